# SPDX-License-Identifier: Apache-2.0
"""Who is calling: a carrier by its address, an account by its password, or an account by the number it calls from."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from billing_client.types import Parties
from switch.call.plan import Caller, dialled_number
from switch.sip.address import NameAddr
from switch.sip.digest import Verdict
from switch.sip.errors import ParseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing_client.store import Store
    from billing_client.types import Gateway
    from switch.call.services import Books
    from switch.core import Core
    from switch.sip.digest import Credentials, DigestServer
    from switch.sip.message import Request
    from switch.sip.session import IncomingInvite

__all__ = ["CallerCheck"]

log = logging.getLogger(__name__)

_NOBODY = Parties(None, None, ())


class CallerCheck:
    """Authenticates calls; answers those that it does not let through."""

    def __init__(
        self, core: Core, store: Store, digest: DigestServer, books: Books, *, clock: Callable[[], float]
    ) -> None:
        self._core = core
        self._store = store
        self._digest = digest
        self._books = books
        self._clock = clock

    def _gateway(self, invite: IncomingInvite) -> Gateway | None:
        gateway = self._books.routes.gateway_at(*invite.flow.remote[:2])
        return gateway if gateway is not None and gateway.enabled and gateway.inbound else None

    def _credentials(self, request: Request) -> Credentials | None:
        return self._digest.find(request.all("Proxy-Authorization") + request.all("Authorization"))

    def challenged(self, invite: IncomingInvite) -> bool:
        """Ask a caller without credentials for them; needs neither the store nor memory of the call."""
        try:
            if self._gateway(invite) is not None or self._credentials(invite.request) is not None:
                return False
        except ParseError as error:
            self._core.perform(invite.reject(error.status, self._core.now()))
            return True
        self._challenge(invite, stale=False)
        return True

    def _challenge(self, invite: IncomingInvite, *, stale: bool) -> None:
        challenges = self._digest.challenges(self._clock(), stale=stale, user_agent=invite.request.get("User-Agent"))
        headers = [("Proxy-Authenticate", value) for value in challenges]
        self._core.perform(invite.reject(407, self._core.now(), headers=headers))

    async def identify(self, invite: IncomingInvite, dialled: str) -> tuple[Parties, Caller | None]:
        """Both ends of the call; without a Caller the INVITE has been answered."""
        gateway = self._gateway(invite)
        if gateway is not None:
            sender = _asserted(invite.request)
            ani = dialled_number(sender.uri.user or "")
            parties = await self._store.parties(caller=None, ani=ani or None, dialled=dialled)
            return parties, Caller(ani or "anonymous", sender.display, gateway)
        credentials = self._credentials(invite.request)
        if credentials is None:
            return _NOBODY, None
        parties = await self._store.parties(caller=credentials.user, ani=None, dialled=dialled)
        account = parties.caller
        if account is not None and (account.via == "ani" or not account.may_call):
            account = None  # a number to be called from, or to be called at: no login
        verdict = self._digest.verify(
            credentials,
            invite.request.method,
            invite.request.uri_text,
            account.password if account else None,
            self._clock(),
        )
        if verdict is not Verdict.ACCEPTED or account is None:
            if verdict is Verdict.REFUSED:
                log.warning("authentication failed", extra={"source": invite.flow.remote[0], "method": "INVITE"})
            self._challenge(invite, stale=verdict is Verdict.STALE)
            return parties, None
        number = credentials.user if account.via == "alias" else account.number
        return parties, Caller(number, invite.request.from_.display or account.display, None)


def _asserted(request: Request) -> NameAddr:
    """Who a trusted peer says is calling: P-Asserted-Identity (RFC 3325) before From."""
    for value in request.values("P-Asserted-Identity"):
        try:
            return NameAddr.parse(value)
        except ParseError:
            continue
    return request.from_
