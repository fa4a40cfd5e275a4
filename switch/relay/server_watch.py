# SPDX-License-Identifier: Apache-2.0
"""Whether the media server still lives that calls are with: one that has died hears nobody, and somebody pays for it.

While there are such calls it is asked by OPTIONS every few seconds. Its answer says in `Uptime` (seconds; a header of
ours) for how long it has been there: calls that are older were another life's. One that is silent for long is dead too.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Protocol

from switch.sip.message.flow import Hop
from switch.sip.message.host import with_port
from switch.sip.message.message import Request
from switch.sip.ways import House

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from billing_client.calls import EndedBy
    from switch.sip.element.core import Core
    from switch.sip.message.message import Response
    from switch.sip.session import Outcome
    from switch.sip.transaction import ClientTransaction

__all__ = ["ASK_SECONDS", "ServerWatch", "uptime"]

ASK_SECONDS: Final = 2.0
PATIENCE_SECONDS: Final = 3.0
"""For one answer."""
MOST_SILENCES: Final = 4
"""So many questions in a row that have no answer: it is dead."""
LONGEST_UPTIME: Final = 1e10

log = logging.getLogger(__name__)


class Calls(Protocol):
    """The calls of this switch."""

    def began_with(self, place: tuple[str, int]) -> Mapping[str, float]:
        """The answered calls that have a leg with that address, and since when (monotonic)."""

    def disconnect(self, call_id: str, text: str, by: EndedBy) -> bool:
        """End a call."""


class ServerWatch:
    """Ends calls with a media server that is no more."""

    def __init__(self, calls: Calls, core: Core, server: Callable[[], tuple[str, int] | None]) -> None:
        """`server`: where it is; None: there is none."""
        self._calls = calls
        self._core = core
        self._server = server
        self._silences = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(ASK_SECONDS)
            server = self._server()
            if server is None or not self._calls.began_with(server):
                self._silences = 0
                continue
            await self.ask(server)

    async def ask(self, server: tuple[str, int]) -> None:
        """Ask once, and end what the answer, or its lack, says is over."""
        asked_at = self._core.now()
        response = await self._answer(server)
        if response is None:
            self._silences += 1
            if self._silences >= MOST_SILENCES:
                self._end_older(server, asked_at)
            return
        self._silences = 0
        seconds = uptime(response)
        if seconds is not None:
            self._end_older(server, asked_at - seconds)

    async def _answer(self, server: tuple[str, int]) -> Response | None:
        core = self._core
        host, port = server
        place = with_port(host, port)
        try:
            flow = core.transport.flow_to(Hop("udp", host, port))
        except LookupError:
            return None
        own = f"<sip:{core.transport.sent_by(flow)}>"
        lines = [
            ("Max-Forwards", "70"),
            ("From", f"{own};tag={core.agent.new_token()}"),
            ("To", f"<sip:{place}>"),
            ("Call-ID", core.agent.new_token()),
            ("CSeq", "1 OPTIONS"),
            ("Contact", core.contact(flow)),
        ]
        question = _Question()
        transaction, effects = core.agent.layer.send_request(
            Request("OPTIONS", f"sip:{place}", lines, b""), flow, core.now(), permit=House.SERVER
        )
        transaction.user = question
        core.perform(effects)
        try:
            return await asyncio.wait_for(question.answer, PATIENCE_SECONDS)
        except TimeoutError:
            return None

    def _end_older(self, server: tuple[str, int], than: float) -> None:
        """End the calls with it that began before."""
        lost = [call_id for call_id, since in self._calls.began_with(server).items() if since < than]
        for call_id in lost:
            self._calls.disconnect(call_id, "The media server has ended", by="media")
        if lost:
            log.warning("ended calls that a media server left when it died", extra={"calls": len(lost)})


class _Question:
    """What hangs on the transaction of one OPTIONS."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[Response | None] = asyncio.get_running_loop().create_future()

    def receive_response(
        self, transaction: ClientTransaction, response: Response, now: float, *, local: bool
    ) -> Outcome:
        """Any final response of its own is a sign of life."""
        if response.status >= 200 and not self.answer.done():
            self.answer.set_result(None if local else response)
        return []


def uptime(response: Response) -> float | None:
    """The seconds that `Uptime` tells; None: it tells none."""
    try:
        seconds = float(response.get("Uptime") or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < LONGEST_UPTIME else None
