# SPDX-License-Identifier: Apache-2.0
"""The SIP side of the media server: INVITEs of the switch become calls of applications."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ivr.call.call import IvrCall
from ivr.legs.incoming import IncomingLeg
from ivr.legs.outgoing import Origin, OutgoingLeg
from ivr.server.details import call_details
from ivr.server.runner import run_application
from ivr.verbs import DialFailed
from media.rtp.ports import NoPortsError
from media.sdp import SdpError
from media.session.negotiation import NoCodecError, family_of
from switch.access.occupancy import Occupancy
from switch.sip.element.core import EXTENSIONS
from switch.sip.mark import Chain
from switch.sip.message.errors import ParseError
from switch.sip.message.message import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from ivr.call.call import RecordingSpool
    from ivr.legs.house import House
    from ivr.legs.sip_leg import SipLeg
    from ivr.server.runner import Application
    from ivr.settings import IvrSettings
    from ivr.verbs import CallDetails, DialRequest
    from media.session.session import MediaSession
    from switch.settings import Limits
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Message
    from switch.sip.session import IncomingInvite
    from switch.sip.user_agent import Arrived

__all__ = ["IvrServer"]

_CAPABILITIES: Final = (
    ("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO"),
    ("Accept", "application/sdp"),
    ("Supported", ", ".join(one for one in EXTENSIONS if one in ("100rel", "timer"))),
)
_RETRY: Final = ("Retry-After", "10")

log = logging.getLogger(__name__)


class IvrServer:
    """Dispatches INVITEs to applications and keeps count of them."""

    def __init__(
        self,
        house: House,
        settings: IvrSettings,
        applications: Mapping[str, Application],
        *,
        spool: RecordingSpool | None = None,
        on_left: Callable[[str], None] = lambda _name: None,
    ) -> None:
        """`on_left` is told the names of spooled recordings when their application has ended."""
        self._house = house
        self.settings = settings
        self._began = house.core.now()
        self.applications = applications
        self._spool = spool
        self._on_left = on_left
        self.draining = False
        self._occupancy = Occupancy()
        self.calls: dict[str, SipLeg] = {}
        """Running calls by Call-ID."""
        self._ringing_back: set[str] = set()
        """Numbers that are rung back, or about to be."""
        self.started: Counter[str] = Counter()
        """Calls that were taken, by application."""
        self.refused: Counter[int] = Counter()
        """INVITEs that were not, by status."""
        self.failed = 0
        """Applications that broke."""
        self._tasks: dict[asyncio.Task[None], SipLeg | None] = {}
        """With their calls; a caller who is about to be rung back has none yet."""

    # requests -------------------------------------------------------------------------------------------------------
    def arrived(self, arrived: Arrived) -> None:
        """A request outside dialogs; OPTIONS is how the switch asks whether we are there."""
        request, core = arrived.request, self._house.core
        token = core.agent.new_token()
        status, headers = 405, [_CAPABILITIES[0]]
        if not self._is_peer(arrived.flow.remote[0]):
            status, headers = 403, []
        elif request.method == "OPTIONS":
            status, headers = (503, [_RETRY]) if self.draining else (200, [*_CAPABILITIES])
            headers = [*headers, ("Uptime", f"{core.now() - self._began:.3f}")]  # `switch.relay.server_watch`
        core.reply(arrived.transaction, request.response(status, to_tag=token, headers=headers))

    def is_strange(self, message: Message, flow: Flow) -> bool:
        """Whether it asks for a call and does not come from the switch: by its address, and by its mark."""
        if not isinstance(message, Request) or message.method != "INVITE" or message.to_tag is not None:
            return False
        if self._is_peer(flow.remote[0]) and self._house.marks.read(message) is not None:
            return False
        self.refused[403] += 1
        return True

    def invited(self, invite: IncomingInvite) -> None:
        """An INVITE: find its application and run that, or refuse."""
        details, chain = self._details(invite), self._house.marks.take(invite.request)
        refusal = 403 if chain is None else self._refusal(invite, details, chain)
        if refusal is not None or details is None or chain is None:
            self._refuse(invite, refusal or 400)
            return
        try:
            leg = self._leg(invite, chain)
        except (SdpError, NoCodecError) as error:
            self._occupancy.leave(details.call_id)
            log.info("an offer cannot be answered", extra={"call": details.call_id, "reason": str(error)})
            self._refuse(invite, 488)
            return
        except NoPortsError as error:
            self._occupancy.leave(details.call_id)
            log.warning("no ports for a call", extra={"call": details.call_id, "reason": str(error)})
            self._refuse(invite, 503)
            return
        except Exception:  # a bug of ours: who calls is not left without an answer
            log.exception("a call cannot be taken", extra={"call": details.call_id})
            self._refuse(invite, 500)
            return
        self._house.core.perform(invite.progress(100, self._house.core.now()))
        self._start(leg, details)

    def _details(self, invite: IncomingInvite) -> CallDetails | None:
        try:
            return call_details(invite.request, language=self.settings.language)
        except ParseError:
            return None

    def _refusal(self, invite: IncomingInvite, details: CallDetails | None, chain: Chain) -> int | None:
        if not self._is_peer(invite.flow.remote[0]):
            return 403
        if details is None:
            return 400
        if details.application not in self.applications:
            return 404
        if details.call_id in self.calls:
            return 482  # the same request by another way (RFC 3261 section 8.2.2.2)
        if self.draining:
            return 503
        before = replace(chain, depth=chain.depth - 1)
        full = self._occupancy.enter(details.call_id, before, details.application, self._limits)
        if full is not None:
            log.warning("a call is refused", extra={"call": details.call_id, "reason": full.text})
        return None if full is None else full.status

    @property
    def _limits(self) -> Limits:
        return self.settings.limits

    def _is_peer(self, host: str) -> bool:
        return host in self.settings.peers

    def _refuse(self, invite: IncomingInvite, status: int) -> None:
        self.refused[status] += 1
        headers = [_RETRY] if status == 503 else []
        self._house.core.perform(invite.reject(status, self._house.core.now(), headers=headers))

    def _leg(self, invite: IncomingInvite, chain: Chain) -> IncomingLeg:
        offer = invite.request.sdp
        media: MediaSession = self._house.engine.open(family=4 if offer is None else family_of(offer))
        with ExitStack() as undo:
            undo.callback(media.close)  # whatever a description contains, the ports go back
            leg = IncomingLeg(self._house, media, invite, chain)
            undo.pop_all()
        return leg

    # applications ---------------------------------------------------------------------------------------------------
    def _start(self, leg: IncomingLeg, details: CallDetails) -> None:
        self._keep(self._run(IvrCall(leg, details, spool=self._spool), leg, details), leg)

    def _keep(self, work: Coroutine[object, object, None], leg: SipLeg | None) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = leg
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    def ring_back(
        self, request: DialRequest, details: CallDetails, *, after_seconds: float, ring_seconds: float
    ) -> bool:
        """Call a number after so many seconds; whoever answers gets the application of `details`.

        False, and nothing is done, where this number is being rung back already or no call can be taken.
        """
        number = request.destination
        if number in self._ringing_back or self.draining or self._occupancy.total >= self._limits.total:
            return False
        self._ringing_back.add(number)
        self._keep(self._ring_back(request, details, after_seconds, ring_seconds), None)
        return True

    async def _ring_back(
        self, request: DialRequest, details: CallDetails, after_seconds: float, ring_seconds: float
    ) -> None:
        leg: OutgoingLeg | None = None
        try:
            await asyncio.sleep(after_seconds)
            if self.draining:
                return
            began = Chain(1, f"account:{request.account}")
            leg = OutgoingLeg.call(self._house, request, Origin(chain=began))
            task = asyncio.current_task()
            assert task is not None
            self._tasks[task] = leg
            details = replace(details, call_id=leg.call_id)
            if self._occupancy.enter(leg.call_id, replace(began, depth=0), details.application, self._limits):
                leg.hang_up()
                return
            call = IvrCall(leg, details, spool=self._spool)
            if await call.is_reached(ring_seconds):
                await self._run(call, leg, details)
            else:
                log.info("a caller is not reached", extra={"call": leg.call_id, "status": leg.status})
                leg.hang_up()
        except DialFailed as failed:
            log.warning("a caller cannot be rung back", extra={"call": details.call_id, "status": failed.status})
        finally:
            self._ringing_back.discard(request.destination)
            if leg is not None:
                self._occupancy.leave(leg.call_id)

    async def _run(self, call: IvrCall, leg: SipLeg, details: CallDetails) -> None:
        self.started[details.application] += 1
        self.calls[details.call_id] = leg
        log.info(
            "call",
            extra={"call": details.call_id, "application": details.application, "target": details.target or "-"},
        )
        try:
            failure = await run_application(
                self.applications[details.application],
                call,
                unpaid_seconds=self.settings.unpaid_seconds(details.application),
            )
            self.failed += failure is not None
        finally:
            leg.hang_up()
            self.calls.pop(details.call_id, None)
            self._occupancy.leave(details.call_id)
            for name in call.spooled:
                self._on_left(name)

    # the end --------------------------------------------------------------------------------------------------------
    async def drain(self, seconds: float) -> None:
        """Take no more calls; those that run have so long, then they are hung up on and end by themselves."""
        self.draining = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        await self.close()

    async def close(self) -> None:
        """Hang up on all, and wait for their applications, which have their usual grace."""
        for task, leg in list(self._tasks.items()):
            if leg is None:
                task.cancel()
            else:
                leg.hang_up()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def dump(self) -> dict[str, object]:
        """Live state for the administrator."""
        return {
            "calls": len(self.calls),
            "draining": self.draining,
            "started": dict(self.started),
            "refused": {str(status): count for status, count in self.refused.items()},
            "failed": self.failed,
        }
