# SPDX-License-Identifier: Apache-2.0
"""Cost of calls in the session core: INVITE, 100, 180, 200, ACK, BYE, 200 between two user agents; and of holding.

Run: python -m bench.micro.sessions [calls]. Times are CPU time of a call with both its sides, medians over all calls,
parsing shown apart; `--profile` shows where they go. Memory is what one user agent keeps for each established session,
transactions gone, with session timers running.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
import tracemalloc
from itertools import count
from statistics import median
from time import thread_time
from typing import Any

from switch.sip.message.address import NameAddr
from switch.sip.message.flow import Flow
from switch.sip.message.message import Request
from switch.sip.message.parsing import parse_message
from switch.sip.message.uri import Uri
from switch.sip.session import Answered, IncomingInvite, Session
from switch.sip.transaction import Send
from switch.sip.user_agent import Invited, UserAgent

CALLER = ("192.0.2.1", 5060)
CALLEE = ("192.0.2.2", 5060)
OUT = Flow("udp", CALLER, CALLEE)
BACK = Flow("udp", CALLEE, CALLER)
SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\n"
HEADERS = (
    ("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, MESSAGE, NOTIFY, SUBSCRIBE, REFER"),
    ("Supported", "100rel, timer"),
)


def make_agent(name: str) -> UserAgent:
    """A user agent as the switch makes it."""
    numbers = count(1)
    return UserAgent(
        sent_by=lambda flow: f"{flow.local[0]}:{flow.local[1]}",
        contact=lambda flow: f"<sip:{flow.local[0]}:{flow.local[1]}>",
        new_token=lambda: f"{name}{next(numbers):x}",
        headers=HEADERS,
        session_expires=1800,
    )


class Calls:
    """Calls between two user agents, with time and memory of both or of one side."""

    def __init__(self) -> None:
        self.caller, self.callee = make_agent("a"), make_agent("b")
        self.now = 0.0
        self.spent = self.parsing = 0.0
        self.messages = 0
        self._numbers = count(1)

    def run(self, *, hang_up: bool = True) -> tuple[Session, Session]:
        """One call; returns both of its ends."""
        answered: list[Answered] = []
        started, self.parsing = thread_time(), 0.0
        number = next(self._numbers)
        lines = [
            ("Max-Forwards", "70"),
            ("From", f'"Alice" <sip:alice@example.com>;tag=t{number}'),
            ("To", "<sip:bob@example.com>"),
            ("Call-ID", f"call-{number}@192.0.2.1"),
            ("CSeq", "1 INVITE"),
            ("User-Agent", "Example 1.0"),
            ("Content-Type", "application/sdp"),
        ]
        request = Request("INVITE", "sip:bob@192.0.2.2:5060", lines, SDP)
        call = self.caller.invite(request, OUT, natted=False, owner=None)
        told = self._exchange(call.start(self.now), self.callee, BACK)
        invite: IncomingInvite = next(event.invite for event in told if isinstance(event, Invited))
        self._exchange(invite.progress(100, self.now), self.caller, OUT)
        self._exchange(invite.progress(180, self.now), self.caller, OUT)
        told = self._exchange(invite.accept(self.now, body=SDP), self.caller, OUT)
        answered = [event for event in told if isinstance(event, Answered)]
        session = answered[0].session
        self._exchange(session.ack(call.request, self.now), self.callee, BACK)
        if hang_up:
            self._exchange(session.bye(self.now), self.callee, BACK)
        self.spent = thread_time() - started
        return session, invite.session()

    def _exchange(self, outcome: list[Any], to: UserAgent, flow: Flow) -> list[Any]:
        """Carry out what a verb returned, and what comes back from the other side; returns its events."""
        told: list[Any] = []
        for effect in outcome:
            if isinstance(effect, Send):
                self.messages += 1
                started = thread_time()
                message = parse_message(effect.data)
                self.parsing += thread_time() - started
                answer = to.receive(message, flow, self.now)
                other, back = (self.caller, OUT) if to is self.callee else (self.callee, BACK)
                told += self._exchange(answer, other, back)
            else:
                told.append(effect)
        return told

    def advance(self, seconds: float) -> None:
        """Let time pass; what the timers send is lost, which is of no interest here."""
        self.now += seconds
        for agent in (self.caller, self.callee):
            agent.handle_timer(self.now)


def measure_time(rounds: int) -> None:
    calls = Calls()
    whole, parsing = [], []
    for number in range(rounds):
        calls.run()
        whole.append(calls.spent)
        parsing.append(calls.parsing)
        if number % 100 == 99:
            calls.advance(33)
    print(
        f"call: {median(whole) * 1e6:.0f} us for {calls.messages / rounds:.0f} messages and both sides,"
        f" of which parsing {median(parsing) * 1e6:.0f} us"
    )
    calls.advance(33)
    left = calls.caller.session_count + calls.callee.session_count + len(calls.caller.layer) + len(calls.callee.layer)
    print(f"left after {rounds} calls: {left} sessions and transactions")


def measure_memory(sessions: int) -> None:
    """What a held session costs, the callee's and the caller's."""
    calls = Calls()
    for _ in range(50):
        calls.run()
    NameAddr.forget()
    Uri.forget()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(sessions):
        calls.run(hang_up=False)
        calls.advance(0.01)
    calls.advance(40)
    NameAddr.forget()  # caches of fixed size are no part of a session
    Uri.forget()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert calls.caller.session_count == calls.callee.session_count == sessions
    assert len(calls.caller.layer) == len(calls.callee.layer) == 0
    print(f"held session: {(after - before) / (2 * sessions):.0f} bytes, mean of both sides")


def main() -> None:
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    rounds = int(arguments[0]) if arguments else 3000
    if "--profile" in sys.argv:
        profile = cProfile.Profile()
        profile.enable()
        measure_time(rounds)
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(35)
        return
    measure_time(rounds)
    measure_memory(min(rounds, 1000))


if __name__ == "__main__":
    main()
