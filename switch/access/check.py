# SPDX-License-Identifier: Apache-2.0
"""The check at the door: what a request shows of its sender, and who that is, as far as this switch can tell."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from billing_client.rules.numbering import is_credential
from billing_client.types import StoreUnavailable
from switch.access.caller import (
    ByAddress,
    ByPassword,
    ByServer,
    known_carrier,
    served_user,
    shown_by_carrier,
    who_asks,
)
from switch.access.dialling import ByPlan
from switch.access.unheard import Unheard
from switch.routing.number import asserted, claimed, hides
from switch.sip.digest import Verdict
from switch.sip.mark import HEADER as MARK
from switch.sip.message.flow import INNER

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing_client.parties import Parties, Party
    from billing_client.rules.books import Gateway
    from billing_client.rules.numbering import Number
    from billing_client.store import Store
    from switch.access.caller import Shown
    from switch.access.doorkeeper import Doorkeeper
    from switch.access.reach import PartyMemory, StoreReach
    from switch.routing.caller import Caller, Forwarding
    from switch.routing.plan import Books
    from switch.settings import SwitchSettings
    from switch.sip.destination import Destinations
    from switch.sip.digest import Credentials
    from switch.sip.mark import Marks
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Request, Response

__all__ = ["CallerCheck"]

log = logging.getLogger(__name__)

_TRUST_SECONDS: Final = 3600.0


class CallerCheck:
    """Finds out who sends an INVITE or another request that wants something of us."""

    def __init__(
        self,
        store: Store,
        reach: StoreReach,
        memory: PartyMemory,
        doorkeeper: Doorkeeper,
        books: Books,
        forwards: dict[str, Forwarding],
        *,
        marks: Marks | None = None,
        clock: Callable[[], float],
        destinations: Callable[[], Destinations],
        settings: Callable[[], SwitchSettings],
    ) -> None:
        """`forwards`: INVITEs on their way to ourselves. `marks`: by which the media server is known, whose word of who
        calls is taken."""
        self._ask = ByPlan(
            self._parties, lambda: settings().numbers, lambda: settings().emergency_numbers, memory.last_known
        )
        self._forwards = forwards
        self.marks = marks
        self.unheard = Unheard()
        """Callers who do not acknowledge what is answered."""
        self._store = store
        self._reach = reach
        self._memory = memory
        self._doorkeeper = doorkeeper
        self._books = books
        self._clock = clock
        self._destinations = destinations

    def gateway(self, flow: Flow, user: str | None = None) -> Gateway | None:
        """The carrier at the other end of a flow, if calls from it are taken; `user` is that of the Request-URI."""
        return known_carrier(self._books.routes, flow.remote, self._destinations(), user)

    def _credentials(self, request: Request) -> Credentials | None:
        return self._doorkeeper.find(request.all("Proxy-Authorization") + request.all("Authorization"))

    def shown(self, request: Request, flow: Flow) -> Shown | Verdict:
        """What a request brings that may identify its sender; or why it is challenged before anything is asked or kept
        for it. What counts once is used up: ask once a request. Raises ParseError."""
        if flow.transport == INNER:
            return self._forwards.pop(request.call_id, None) or Verdict.REFUSED
        if self._is_media_server(request):
            return self._served(request)
        blocked = self._is_blocked(request, flow)
        gateway = self.gateway(flow, request.uri.user)
        if gateway is not None and not blocked:
            return shown_by_carrier(gateway, request)
        credentials = self._credentials(request)
        name = None if credentials is not None or blocked else self._books.routes.account_at(flow.remote[0])
        if name is not None:
            return ByAddress(name, request.from_.display, claimed(request), hides(request))
        verdict = self._doorkeeper.first_look(credentials, flow)
        if credentials is None or verdict is not None:
            return verdict or Verdict.REFUSED
        return ByPassword(credentials.user, request.from_.display, credentials, claimed(request), hides(request))

    def _is_blocked(self, request: Request, flow: Flow) -> bool:
        """Whether the address that a packet came from is no reason to believe it any more."""
        return flow.transport == "udp" and self.unheard.is_blocked(request, flow, asyncio.get_running_loop().time())

    def _is_media_server(self, request: Request) -> bool:
        """By its mark, not by its address, which anybody can write into a packet."""
        return request.get(MARK) is not None and self.marks is not None and self.marks.read(request) is not None

    def challenge(self, request: Request, flow: Flow, verdict: Verdict, status: int = 407) -> Response | None:
        """The answer to whoever has not shown who he is; None: none, the source has had enough of them."""
        return self._doorkeeper.challenge(request, flow, status, verdict)

    def not_acknowledged(self, request: Request, flow: Flow) -> None:
        """Nobody acknowledged the answer at an address that somebody may have only written into a packet."""
        if self.unheard.not_acknowledged(request, flow, asyncio.get_running_loop().time()):
            log.warning("calls of an address are not acknowledged", extra={"source": flow.remote[0]})

    async def _parties(self, *, caller: str | None, ani: str | None, dialled: str, inside: str) -> Parties:
        """Both ends from the store, or from memory while that is away; raises StoreError."""
        calling = caller or (f"{ani}@pstn" if ani else "")
        dialled = "" if is_credential(dialled) else dialled
        if not self._reach.is_away:
            changes = self._memory.changes
            try:
                parties = await self._store.parties(caller=caller, ani=ani, dialled=dialled, inside=inside)
            except StoreUnavailable:
                self._reach.lost()
            else:
                self._memory.keep(calling, dialled, parties, changes, inside)
                return parties
        parties = self._memory.recall(calling, dialled, datetime.fromtimestamp(self._clock(), UTC), inside)
        if parties.caller is None and caller is not None:
            raise StoreUnavailable(f"nothing is known of {caller} while the store is away")
        return parties

    async def identify(
        self, shown: Shown, request: Request, flow: Flow, dialled: Number
    ) -> tuple[Parties, Caller] | Verdict:
        """Both ends of a call or message, and who sends it, or why that is not known. Raises StoreError."""
        return await who_asks(shown, dialled, self._ask, partial(self._verify, request, flow))

    def _verify(self, request: Request, flow: Flow, shown: ByPassword, account: Party | None) -> Verdict:
        credentials = shown.credentials
        if credentials is None:
            return Verdict.REFUSED
        verdict = self._doorkeeper.verify(credentials, request, flow, account.password if account else None)
        if verdict is Verdict.REFUSED:
            self._doorkeeper.refused(credentials, request, flow, account.number if account else None)
        elif verdict is Verdict.ACCEPTED and account is not None:
            self._doorkeeper.accepted(flow, account.number, _TRUST_SECONDS)
        return verdict

    def _served(self, request: Request) -> Shown | Verdict:
        """A request of the media server: P-Served-User says who pays (RFC 5502, RFC 8498)."""
        served, chain = served_user(request), None if self.marks is None else self.marks.take(request)
        if served is None or chain is None:
            return Verdict.REFUSED
        sender = asserted(request)
        return ByServer(served, chain, sender.number or "anonymous", sender.display, hides(request))
