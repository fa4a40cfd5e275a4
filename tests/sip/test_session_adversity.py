# SPDX-License-Identifier: Apache-2.0
"""Whatever two people do to their telephones and whatever the wire does short of the timeouts, both sides agree.

They end up both in the call or both out of it; in the call, they agree on what was offered and answered last. And
afterwards nothing is left of it.
"""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from switch.sip.message.parsing import parse_message
from switch.sip.session import Requested, State
from tests.sip.agents import Line, Phone, assert_forgotten, make_agent
from tests.sip.harness import label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.sip.harness import Endpoint

_MOST_LOSSES: Final = 3
"""Of the copies of one message, so that its repetitions still get through well within 64*T1."""

ACTIONS: Final = (
    "alice gives up", "alice hangs up", "bob hangs up", "bob rings", "bob rings reliably", "bob shows early media",
    "bob answers", "bob answers", "bob declines", "alice re-invites", "bob re-invites", "alice updates", "bob updates",
    "alice asks for an offer", "alice withdraws", "bob withdraws", "alice informs", "bob thinks", "bob refuses",
    "bob agrees", "bob responds", "alice updates early",
)  # fmt: skip

steps = st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from([0.0, 0.005, 0.015, 0.3, 1.0, 6.0])), max_size=14)
fates = st.lists(st.sampled_from(["", "", "", "lost", "lost", "twice", "late"]), max_size=40)


class Weather:
    """Decides about every message in turn; never so badly that the timeouts strike."""

    def __init__(self, plan: Sequence[str]) -> None:
        self._plan = iter(plan)
        self._lost: Counter[str] = Counter()

    def __call__(self, sender: Endpoint, data: bytes) -> Sequence[float]:
        match next(self._plan, ""):
            case "lost":
                message = parse_message(data)
                copies = f"{sender.name} {label(data)} {message.cseq} {message.cseq_method} {message.get('RSeq')}"
                self._lost[copies] += 1
                return (0.0,) if self._lost[copies] > _MOST_LOSSES else ()
            case "twice":
                return (0.0, 0.02)
            case "late":
                return (0.08,)
        return (0.0,)


def prepare(plan: Sequence[str], expires: int) -> Line:
    line = Line(
        alice=make_agent("alice", session_expires=expires),
        bob=make_agent("bob", session_expires=expires),
    )
    line.wire.fate = Weather(plan)
    numbers = count(1)
    for phone in (line.alice, line.bob):
        phone.describes = lambda offer: b"offer %d" % next(numbers) if offer is None else b"answer to " + offer
    return line


def act(line: Line, action: str) -> None:
    """Do it where it can be done."""
    alice, bob = line.alice, line.bob
    who = alice if action.startswith("alice") else bob
    session = who.session
    match action.partition(" ")[2]:
        case "gives up":
            alice.gives_up(settle=False)
        case "rings" | "rings reliably" | "shows early media" if bob.invite is not None and not bob.invite.answered:
            media = action.endswith("media")
            body = bob.describes(bob.invite.request.sdp) if media and bob.invite.session().local_sdp is None else b""
            bob.rings(183 if media else 180, reliable=action != "bob rings", body=body, settle=False)
        case "answers" if bob.invite is not None and not bob.invite.answered and bob.session is None:
            local = bob.invite.session().local_sdp
            bob.answers(body=b"" if local else bob.describes(bob.invite.request.sdp), settle=False)
        case "declines" if bob.invite is not None and bob.session is None:
            bob.declines(settle=False)
        case "hangs up" if session is not None:
            who.hangs_up(settle=False)
        case "re-invites" if session is not None:
            who.sends("INVITE", body=who.describes(None), settle=False)
        case "asks for an offer" if session is not None:
            who.sends("INVITE", settle=False)
        case "updates" if session is not None:
            who.sends("UPDATE", body=who.describes(None), settle=False)
        case "updates early" if alice.call is not None and alice.session is None:
            for early in alice.call._sessions.values():
                alice.does(early.send("UPDATE", line.now, body=alice.describes(None)), settle=False)
        case "informs" if session is not None:
            who.sends("INFO", settle=False)
        case "withdraws" if session is not None:
            who.does(session.cancel(line.now), settle=False)
        case "thinks":
            bob.replies = None
        case "refuses":
            bob.replies = 488
        case "agrees":
            bob.replies = 200
        case "responds":
            respond_to_all(bob)


def respond_to_all(phone: Phone) -> None:
    """Answer every request that waits."""
    phone.replies = 200
    for event in phone.heard_ever:
        if isinstance(event, Requested) and event.transaction in event.session.in_flight.peers:
            body = phone._description_for(event.session, event.request)
            phone.does(event.session.respond(event.transaction, 200, phone.line.now, body=body), settle=False)


def come_to_rest(line: Line) -> None:
    """Nobody does anything any more; a call that is still ringing is given up."""
    line.wire.fate = None
    respond_to_all(line.bob)
    line.advance(40)
    if line.alice.session is None:
        line.alice.gives_up()
    respond_to_all(line.bob)
    line.advance(140)


def assert_agreement(line: Line) -> None:
    states = {
        phone.session.state if phone.session is not None and phone.agent.session_count else State.ENDED
        for phone in (line.alice, line.bob)
    }
    assert len(states) == 1, (states, line.ladder())
    assert states <= {State.CONFIRMED, State.ENDED}, line.ladder()
    assert line.alice.agent.session_count == line.bob.agent.session_count <= 1
    if states == {State.CONFIRMED}:
        described = {line.alice.dialog.local_sdp, line.bob.dialog.local_sdp}
        assert any(b"answer to " + offer in described for offer in described if offer), (described, line.ladder())
        for phone in (line.alice, line.bob):
            assert not phone.dialog.in_flight.offers.is_open
            assert not phone.dialog.in_flight.peers
            assert phone.dialog.in_flight.inviting is None


def finals(phone: Phone) -> list[str]:
    """What ended the attempt or the call for the application."""
    names = (type(event).__name__ for event in phone.heard_ever)
    return [name for name in names if name in ("Failed", "Ended", "Cancelled")]


def begin(line: Line, *, talking: bool, late_offer: bool) -> None:
    """Alice calls; where the test is about the established call, Bob answers."""
    line.alice.calls(offer=b"" if late_offer else line.alice.describes(None), settle=False)
    if talking:
        line.advance(3)
        act(line, "bob answers")
        line.advance(5)


@settings(max_examples=150, deadline=None)
@given(steps, fates, st.sampled_from([0, 0, 90]), st.booleans(), st.booleans())
def test_both_sides_agree(
    steps: list[tuple[str, float]], plan: list[str], expires: int, talking: bool, late_offer: bool
) -> None:
    line = prepare(plan, expires)
    begin(line, talking=talking, late_offer=late_offer)
    for action, pause in steps:
        act(line, action)
        line.advance(pause)
    come_to_rest(line)
    assert_agreement(line)
    assert len(finals(line.alice)) <= 1
    assert len(finals(line.bob)) <= 1
    if line.alice.is_talking:
        line.alice.hangs_up()
    line.advance(100)
    for phone in (line.alice, line.bob):
        assert_forgotten(phone.agent)
