# SPDX-License-Identifier: Apache-2.0
"""CPU time of a registration (REGISTER, 401, REGISTER, 200) in the switch process, without sockets and store.

    python -m bench.micro.register [registrations [rounds]]

Parsing, transactions, digest, registrar, location and building of the responses are all in, and so is the forgetting of
the transactions, half a minute later by a clock of its own; what is left out is the system's work of receiving and
sending four datagrams, and the writing of the batch. Of the rounds of refreshes the least counts: other work on the
machine only adds.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, cast

from billing_client.parties import Subscriber
from switch.access.doorkeeper import Doorkeeper
from switch.access.guesses import Guesses
from switch.access.subscribers import Subscribers
from switch.registrar.bindings import Location
from switch.registrar.registrar import Registrar
from switch.settings import RegistrationSettings
from switch.sip.destination import Destinations
from switch.sip.digest import DigestServer, answer_challenge, parse_challenge
from switch.sip.message.flow import Flow
from switch.sip.message.parsing import parse_message
from switch.sip.transaction import Send
from switch.sip.transport.edge import Edge
from switch.sip.transport.flood import FloodGuard
from switch.sip.user_agent import Arrived, UserAgent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from billing_client.bindings import BindingRow
    from billing_client.store import Store
    from switch.sip.message.message import Request, Response
    from switch.sip.transaction import ServerTransaction
    from switch.sip.transport import Transport

REGISTER = (
    "REGISTER sip:127.0.0.1:5060 SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK-{branch}\r\n"
    "Max-Forwards: 70\r\n"
    "From: <sip:{user}@127.0.0.1>;tag={branch}\r\n"
    "To: <sip:{user}@127.0.0.1>\r\n"
    "Call-ID: {user}-1234@127.0.0.1\r\n"
    "CSeq: {cseq} REGISTER\r\n"
    "Contact: <sip:{user}@127.0.0.1:{port}>;expires=3600\r\n"
    "{authorization}"
    "User-Agent: bench\r\n"
    "Content-Length: 0\r\n\r\n"
)


class AnyStore:
    """Knows every name."""

    async def subscriber(self, name: str) -> Subscriber | None:
        """An account whose password is `secret`."""
        return Subscriber(name, int(name), name, "secret", None, ())

    async def write_bindings(self, upserts: Sequence[BindingRow], removals: Sequence[tuple[str, str]]) -> None:
        """Take them."""


class Switch:
    """What a REGISTER meets on its way, as switch.app puts it together."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.now = 0.0
        """What transactions take for the time."""
        self.agent = UserAgent(
            sent_by=lambda _: "127.0.0.1:5060", contact=lambda _: "<sip:127.0.0.1>", new_token=lambda: "token"
        )
        flood = FloodGuard()
        digest = DigestServer("127.0.0.1", b"secret", first_serial=1)
        doorkeeper = Doorkeeper(digest, flood, Guesses())
        self.edge = Edge(on_message=self.receive, on_malformed=lambda *_: None, flood=flood, clock=time.monotonic)
        store = cast("Store", AnyStore())
        places = Destinations()
        self.location = Location(store, cast("Transport", None), node="bench", destinations=lambda: places)
        self.registrar = Registrar(
            Subscribers(store, time.monotonic), doorkeeper, self.location, RegistrationSettings()
        )

    def receive(self, message: Request | Response, flow: Flow) -> None:
        """Through the transactions to the registrar and back."""
        for effect in self.agent.receive(message, flow, self.now):
            if isinstance(effect, Arrived):
                answers = partial(self.reply, effect.transaction), partial(self.refuse, effect.transaction)
                self.registrar.handle(effect.request, flow, *answers)
            else:
                self.perform([effect])

    def reply(self, transaction: ServerTransaction, response: Response) -> None:
        """Answer a request."""
        self.perform(self.agent.layer.respond(transaction, response, self.now))

    def refuse(self, transaction: ServerTransaction, response: Response | None) -> None:
        """Answer a stranger."""
        self.perform(self.agent.layer.refuse(transaction, response))

    def perform(self, effects: Sequence[object]) -> None:
        """Keep what would be sent."""
        self.sent += [effect.data for effect in effects if isinstance(effect, Send)]


async def main(count: int, rounds: int) -> None:
    """Register `count` phones: strangers first, then as refreshes, so many rounds of them."""
    logging.disable()
    switch = Switch()
    serial = itertools.count()
    print(f"first registration: {shown(await one_round(switch, serial, count))}")
    refreshes = [await one_round(switch, serial, count) for _ in range(rounds)]
    print(f"refresh: {shown(min(refreshes, key=sum))}")


def shown(parts: tuple[float, float, float]) -> str:
    """A round in words."""
    first, second, later = parts
    return f"{sum(parts):.4f} ms (401: {first:.4f}, 200: {second:.4f}, forgetting both: {later:.4f})"


async def one_round(switch: Switch, serial: Iterator[int], count: int) -> tuple[float, float, float]:
    """Milliseconds that a registration takes: its 401, its 200, and the end of its transactions."""
    first, second = 0.0, 0.0
    for user in range(10_000, 10_000 + count):
        flow = Flow("udp", ("127.0.0.1", 5060), ("127.0.0.1", 20_000 + user % 10_000))
        cseq = next(serial) + 1
        fields = {"user": user, "port": flow.remote[1]}
        asking = REGISTER.format(**fields, branch=f"a{cseq}", cseq=2 * cseq, authorization="").encode()
        started = time.process_time()
        switch.edge.receive(asking, flow)
        first += time.process_time() - started
        challenge = parse_message(switch.sent.pop()).all("WWW-Authenticate")[0]
        authorization = answer_challenge(
            parse_challenge(challenge), "REGISTER", "sip:127.0.0.1:5060", str(user), "secret", cnonce="6b8b4567"
        )
        line = f"Authorization: {authorization}\r\n"
        answering = REGISTER.format(**fields, branch=f"b{cseq}", cseq=2 * cseq + 1, authorization=line).encode()
        started = time.process_time()
        switch.edge.receive(answering, flow)
        if not switch.sent:
            await switch.registrar.settle()
        second += time.process_time() - started
        assert switch.sent.pop().startswith(b"SIP/2.0 200")
    started = time.process_time()
    while len(switch.agent.layer):
        switch.now += 1.0
        switch.perform(switch.agent.handle_timer(switch.now))
    later = time.process_time() - started
    return first * 1000 / count, second * 1000 / count, later * 1000 / count


if __name__ == "__main__":
    NUMBERS = [int(word) for word in sys.argv[1:3]]
    asyncio.run(main(*(NUMBERS + [2000, 10][len(NUMBERS) :])))
