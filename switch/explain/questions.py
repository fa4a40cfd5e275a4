# SPDX-License-Identifier: Apache-2.0
"""Questions about calls that are not made, answered by a running switch on a unix socket: a line of JSON each way.

A new connection to the store costs ten milliseconds before it has read the catalogue and planned its statements. The
switch keeps one that has done so, and answers in a fraction of that. Only its own system user, and root, may ask.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from billing_client.inquiry import Inquiry
from billing_client.types import StoreError
from switch.explain.explain import Conditions, Question, explain
from switch.routing.carriers.choice import minute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from billing_client.rules.books import RateBook, Route, RouteBook
    from switch.explain.explain import Explanation, Node
    from switch.routing.carriers.lines import Lines
    from switch.routing.carriers.rests import Rests
    from switch.routing.plan import Books, Plan
    from switch.settings import SwitchSettings
    from switch.sip.destination import Destinations
    from switch.sip.element.core import Core

__all__ = ["NodeKnowledge", "Questions", "answer_of", "ask", "ask_carriers"]

log = logging.getLogger(__name__)

LONGEST_PATH: Final = 107
"""In octets: unix(7)."""
RETRY_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 5.0
LONGEST_LINE: Final = 1 << 20


class SwitchInquiry(Inquiry):
    """Asks the store for what calls ask it for; tariffs and routes are those that the switch holds for its calls."""

    books: Books

    async def routes(self) -> RouteBook:
        """As the switch's calls see them now."""
        return self.books.routes

    async def rates(self, tariff_ids: Iterable[int], number: str) -> RateBook:
        """As the switch's calls see them now."""
        return self.books.rates


class NodeKnowledge:
    """What a running switch knows beside the store."""

    def __init__(self, core: Core, rests: Rests, lines: Lines) -> None:
        self._lines = lines
        self._core = core
        self._rests = rests

    @property
    def destinations(self) -> Destinations:
        """Who is where."""
        return self._core.destinations

    def rests(self, gateway: str) -> list[str]:
        """Which addresses of a gateway rest, and whether we are not registered there as we should be, in words."""
        now = self._core.now()
        resting = [
            f"{gateway} at {rest.address} rests for another {max(0.0, rest.until - now):.0f} s, as {rest.why}"
            for rest in self._rests.of(gateway, now)
        ]
        lost = [
            f"at {gateway} we are not registered: {one.said}" for one in self._lines.of(gateway) if not one.registered
        ]
        return resting + lost

    def carriers(self) -> dict[str, Any]:
        """Our registrations at carriers, and the addresses that rest."""
        now = self._core.now()
        resting = [
            {
                "gateway": rest.gateway,
                "address": rest.address,
                "seconds": round(max(0.0, rest.until - now)),
                "why": rest.why,
            }
            for rest in self._rests.all(now)
        ]
        return {"lines": [asdict(line) for line in self._lines.all()], "resting": resting}


class Questions:
    """Answers them one after the other, on a connection to the store that is kept warm."""

    def __init__(self, settings: Callable[[], SwitchSettings], books: Books, node: Node | None = None) -> None:
        self._settings = settings
        self._books = books
        self._node = node
        self._inquiry: SwitchInquiry | None = None
        self._turn = asyncio.Lock()

    async def run(self, path: Path) -> None:
        """Serve at `path` for ever."""
        try:
            listening = _listen(path)
        except OSError as error:
            log.warning("questions are not answered", extra={"path": str(path), "reason": str(error)})
            return
        server = await asyncio.start_unix_server(self._serve, sock=listening, limit=LONGEST_LINE)
        try:
            while True:
                async with self._turn:
                    await self._warm()
                await asyncio.sleep(RETRY_SECONDS)
        finally:
            server.close()
            await self._hang_up()

    async def _warm(self) -> None:
        """Have a connection that has planned its statements, if there can be one."""
        if self._inquiry is not None and self._inquiry.is_open:
            return
        try:
            await self._hang_up()
            self._inquiry = await SwitchInquiry.connect(self._settings().store_dsn)
            self._inquiry.books = self._books
            await self._inquiry.warm_up()
        except StoreError as error:
            log.info("no connection for questions", extra={"reason": str(error)})
            await self._hang_up()

    async def _hang_up(self) -> None:
        inquiry, self._inquiry = self._inquiry, None
        if inquiry is not None:
            await inquiry.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                asked = json.loads(await reader.readline())
                answer = self._carriers() if "carriers" in asked else await self._answer(_question(asked))
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (OSError, TimeoutError, ValueError, KeyError, TypeError) as error:
            log.warning("a question was not answered", extra={"reason": repr(error)})
        finally:
            writer.close()

    def _carriers(self) -> dict[str, Any]:
        return {"error": "nobody knows"} if self._node is None else self._node.carriers()

    async def _answer(self, question: Question) -> dict[str, Any]:
        settings = self._settings()
        async with self._turn:
            await self._warm()
            if self._inquiry is None:
                return {"error": "the store cannot be reached"}
            try:
                found = await explain(self._inquiry, question, Conditions.of(settings, self._node))
            except StoreError as error:
                await self._hang_up()
                return {"error": str(error)}
        return answer_of(found)


def _listen(path: Path) -> socket.socket:
    """A socket at `path` that only our own user can reach; what a killed switch left there goes."""
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise OSError("the path is too long for a socket")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    finally:
        os.umask(before)
    return listening


async def ask_carriers(path: Path) -> dict[str, Any] | None:
    """Our registrations at carriers (`lines`) and the addresses that rest (`resting`); None: no switch answers."""
    return await _asked(path, {"carriers": True})


async def ask(path: Path, question: Question) -> dict[str, Any] | None:
    """The answer of the switch that serves at `path`, with the milliseconds that it took from the open connection.

    None: no switch answers there, or it does not reach the store.
    """
    began_at = asyncio.get_running_loop().time()
    asked = {
        "from": question.caller,
        "to": question.dialled,
        "at": question.at.isoformat(),
        "source": question.source,
        "transfer": question.is_transfer,
    }
    answer = await _asked(path, asked)
    if answer is not None:
        answer["took_ms"] = round((asyncio.get_running_loop().time() - began_at) * 1000, 3)
    return answer


async def _asked(path: Path, asked: dict[str, Any]) -> dict[str, Any] | None:
    try:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=LONGEST_LINE)
    except OSError:
        return None
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            writer.write(json.dumps(asked).encode() + b"\n")
            line = await reader.readline()
    except (OSError, TimeoutError):
        return None
    finally:
        writer.close()
    answer: dict[str, Any] = json.loads(line) if line else {"error": "no answer"}
    return None if "error" in answer else answer


def _question(asked: dict[str, Any]) -> Question:
    return Question(
        caller=str(asked["from"]),
        dialled=str(asked["to"]),
        at=datetime.fromisoformat(asked["at"]),
        source=asked["source"],
        is_transfer=asked.get("transfer") is True,
    )


def answer_of(found: Explanation) -> dict[str, Any]:
    """An explanation as JSON has it: amounts and times as text."""
    refusal, plan = found.refusal, found.plan
    payer = plan.payer if plan is not None else None
    answer = {
        "from": found.question.caller,
        "to": found.question.dialled,
        "at": found.question.at,
        "would_ring": refusal is None,
        "refusal": None if refusal is None else {"status": refusal.status, "q850": refusal.cause, "text": refusal.text},
        "payer": None if payer is None else payer.number,
        "is_paid": plan is not None and plan.rate is not None and not plan.rate.is_free,
        "available": None if payer is None else payer.available,
        "currency": None if payer is None else payer.currency,
        "first_slice": found.first_slice,
        "longest_seconds": found.longest_seconds,
        "routes": []
        if plan is None
        else [_route(order, route, plan, found.dialled) for order, route in enumerate(plan.routes, 1)],
        "locks": [
            {
                "call_id": lock.call_id,
                "account": lock.account,
                "dialled": lock.dialled,
                "started_at": lock.started_at,
                "locked": lock.locked,
            }
            for lock in found.locks
        ],
        "reasons": [
            {"at": step.offset, "kind": step.kind, "text": step.text, "data": dict(step.data)}
            for step in found.trace.read()
        ],
        "took_ms": round(found.took_seconds * 1000, 3),
    }
    written: dict[str, Any] = json.loads(json.dumps(answer, default=_plain))
    return written


def _route(order: int, route: Route, plan: Plan | None, dialled: str) -> dict[str, Any]:
    """One way out, with what a minute of the call is sold and bought for."""
    price = None if plan is None or plan.rate is None else minute(plan.rate)
    paid = None if route.cost is None else minute(route.cost)
    return {
        "order": order,
        "gateway": route.gateway.name,
        "vendor": route.gateway.vendor,
        "prefix": route.prefix,
        "number": route.number(dialled),
        "price": price,
        "cost": paid,
        "margin": None if price is None or paid is None else price - paid,
    }


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
