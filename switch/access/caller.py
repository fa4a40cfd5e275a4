# SPDX-License-Identifier: Apache-2.0
"""Who is calling: a carrier by its address, an account by its password, or an account by the number it calls from."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from billing_client.rules.incoming import DEFAULT_MAX_CALLS
from billing_client.rules.numbering import is_credential
from billing_client.types import Parties, StoreUnavailable
from switch.access.unheard import Unheard
from switch.routing.forward import Forwarding
from switch.routing.number import asserted, calling_number
from switch.routing.plan import Caller
from switch.sip.digest import Verdict
from switch.sip.mark import HEADER as MARK
from switch.sip.mark import Chain
from switch.sip.message.address import NameAddr
from switch.sip.message.errors import ParseError
from switch.sip.message.flow import INNER

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing_client.rules.books import Gateway, RouteBook
    from billing_client.rules.vouching import Vouched
    from billing_client.store import Store
    from billing_client.types import Party
    from switch.access.doorkeeper import Doorkeeper
    from switch.access.reach import PartyMemory, StoreReach
    from switch.calls.services import Books
    from switch.routing.number import Identity
    from switch.sip.destination import Destinations
    from switch.sip.digest import Credentials
    from switch.sip.mark import Marks
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Request, Response
    from switch.trace.trace import Trace

__all__ = [
    "CallerCheck",
    "account_caller",
    "address_caller",
    "carrier_caller",
    "chain_of",
    "is_attested",
    "is_unproven",
    "known_carrier",
    "login_account",
    "name_to_show",
    "note_caller",
    "vouches",
]

_PASSED: Final = "TN-VALIDATION-PASSED"
_NOBODY: Final = Parties(None, None, ())
_TRUST_SECONDS: Final = 3600.0
_A_NUMBER: Final = 5
"""A name with so many digits in it is a number."""


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
    ) -> None:
        """`forwards`: INVITEs on their way to ourselves. `marks`: by which the media server is known, whose word of who
        calls is taken."""
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

    def gateway(self, flow: Flow) -> Gateway | None:
        """The carrier at the other end of a flow, if calls from it are taken."""
        return known_carrier(self._books.routes, flow.remote, self._destinations())

    def _credentials(self, request: Request) -> Credentials | None:
        return self._doorkeeper.find(request.all("Proxy-Authorization") + request.all("Authorization"))

    def needs_challenge(self, request: Request, flow: Flow) -> Verdict | None:
        """Why a request is challenged before anything is asked or kept for it; None: it brings what may identify its
        sender. Raises ParseError."""
        if flow.transport == INNER or self._is_media_server(request):
            return None
        blocked = self._is_blocked(request, flow)
        if self.gateway(flow) is not None and not blocked:
            return None
        credentials = self._credentials(request)
        if credentials is None and self._account_at(flow) is not None and not blocked:
            return None
        return self._doorkeeper.first_look(credentials, flow)

    def _is_blocked(self, request: Request, flow: Flow) -> bool:
        """Whether the address that a packet came from is no reason to believe it any more."""
        return flow.transport == "udp" and self.unheard.is_blocked(request, flow, asyncio.get_running_loop().time())

    def _account_at(self, flow: Flow) -> str | None:
        """The name of the account that calls from the address at the other end of a flow."""
        return self._books.routes.account_at(flow.remote[0])

    def _is_media_server(self, request: Request) -> bool:
        """By its mark, not by its address, which anybody can write into a packet."""
        return request.get(MARK) is not None and self.marks is not None and self.marks.read(request) is not None

    def challenge(self, request: Request, flow: Flow, verdict: Verdict, status: int = 407) -> Response | None:
        """The answer to whoever has not shown who he is; None: none, the source has had enough of them."""
        return self._doorkeeper.challenge(request, flow, status, verdict)

    async def _parties(self, *, caller: str | None, ani: str | None, dialled: str) -> Parties:
        """Both ends from the store, or from memory while that is away; raises StoreError."""
        calling = caller or (f"{ani}@pstn" if ani else "")
        dialled = "" if is_credential(dialled) else dialled
        if not self._reach.is_away:
            changes = self._memory.changes
            try:
                parties = await self._store.parties(caller=caller, ani=ani, dialled=dialled)
            except StoreUnavailable:
                self._reach.lost()
            else:
                self._memory.keep(calling, dialled, parties, changes)
                return parties
        parties = self._memory.recall(calling, dialled, datetime.fromtimestamp(self._clock(), UTC))
        if parties.caller is None and caller is not None:
            raise StoreUnavailable(f"nothing is known of {caller} while the store is away")
        return parties

    async def identify(self, request: Request, flow: Flow, dialled: str) -> tuple[Parties, Caller | Verdict]:
        """Both ends of a call or message, and who sends it, or why that is not known. Raises StoreError."""
        if flow.transport == INNER:
            return await self._forwarded(request, dialled)
        if self._is_media_server(request):
            return await self._served(request, dialled)
        gateway = self.gateway(flow)
        if gateway is not None and not self._is_blocked(request, flow):
            sender = asserted(request)
            identifies = vouches(gateway, request, sender)
            ani = sender.number if identifies and sender.number else None
            parties = await self._parties(caller=None, ani=ani, dialled=dialled)
            return carrier_caller(parties, gateway, sender.number, sender.display, identifies=identifies)
        credentials = self._credentials(request)
        if credentials is None:
            return await self._by_address(request, flow, dialled)
        parties = await self._parties(caller=credentials.user, ani=None, dialled=dialled)
        account = login_account(parties)
        password = account.password if account else None
        verdict = self._doorkeeper.verify(credentials, request, flow, password)
        if verdict is Verdict.REFUSED:
            self._doorkeeper.refused(credentials, request, flow, account.number if account else None)
        if verdict is not Verdict.ACCEPTED or account is None:
            return parties, verdict
        self._doorkeeper.accepted(flow, account.number, _TRUST_SECONDS)
        return parties, account_caller(account, credentials.user, request.from_.display)

    async def _by_address(self, request: Request, flow: Flow, dialled: str) -> tuple[Parties, Caller | Verdict]:
        """A request without a password: of the account, if any, that its source address is a name of."""
        name = self._account_at(flow)
        if name is None or self._is_blocked(request, flow):
            return _NOBODY, Verdict.REFUSED
        parties = await self._parties(caller=name, ani=None, dialled=dialled)
        caller = address_caller(parties, request.from_.display)
        return (_NOBODY, Verdict.REFUSED) if caller is None else (parties, caller)

    async def _forwarded(self, request: Request, dialled: str) -> tuple[Parties, Caller | Verdict]:
        """Our own INVITE: a call that an account forwards."""
        forwarding = self._forwards.pop(request.call_id, None)
        if forwarding is None:
            return _NOBODY, Verdict.REFUSED
        parties = await self._parties(caller=forwarding.account, ani=None, dialled=dialled)
        return parties, Caller(forwarding.number, forwarding.display, None, forwarding, chain=forwarding.chain)

    async def _served(self, request: Request, dialled: str) -> tuple[Parties, Caller | Verdict]:
        """An INVITE of the media server: P-Served-User says who pays (RFC 5502, RFC 8498)."""
        served, chain = _served_user(request), None if self.marks is None else self.marks.take(request)
        if served is None or chain is None:
            return _NOBODY, Verdict.REFUSED
        parties = await self._parties(caller=served.number, ani=None, dialled=dialled)
        sender = asserted(request)
        shown = sender.number or "anonymous"
        forwarding = None
        account = parties.caller
        if served.is_diverted and account is not None:
            forward = account.answering.forward_to(dialled)
            name, most = (forward.name, forward.max_calls) if forward else (dialled, DEFAULT_MAX_CALLS)
            asks_key = forward is not None and forward.confirm  # no mailbox presses one
            forwarding = Forwarding(
                account.number,
                name,
                most,
                shown,
                sender.display,
                chain=chain,
                language=account.language,
                keeps_messages=asks_key,
            )
        return parties, Caller(
            shown,
            sender.display,
            None,
            forwarding,
            is_application=True,
            chain=chain,
            vouched=served.vouched,
            is_charged_on_acceptance=served.is_charged_on_acceptance,
        )


def known_carrier(
    routes: RouteBook, remote: tuple[str, int], destinations: Destinations | None = None
) -> Gateway | None:
    """The carrier that calls from an address, if calls from it are taken; by its name, where `destinations` knows what
    that leads to."""
    gateway = routes.gateway_at(*remote[:2])
    if gateway is None and destinations is not None:
        place = destinations.place(*remote[:2])
        there = () if place is None else (routes.gateways.get(number) for number in sorted(place.carriers))
        gateway = next((one for one in there if one is not None and one.enabled and one.inbound), None)
    return gateway if gateway is not None and gateway.enabled and gateway.inbound else None


def login_account(parties: Parties) -> Party | None:
    """The account whose password the caller has to know. An alias that does not authenticate has it too: who knows it
    is told that nobody calls by this name, and anybody else hears what is said of every name."""
    account = parties.caller
    if account is not None and account.via == "ani":
        return None  # a number to be called from: no login
    return account


def account_caller(account: Party, user: str, display: str = "") -> Caller:
    """A phone of ours that has proved to be `user`."""
    return Caller(user if account.via == "alias" else account.number, name_to_show(display, account), None)


def address_caller(parties: Parties, display: str = "") -> Caller | None:
    """An account that is known by its address; None: that has just ceased to be one of its names."""
    account = parties.caller
    if account is None or not account.may_call:
        return None
    return Caller(account.number, name_to_show(display, account), None, is_at_address=True)


def name_to_show(wanted: str, account: Party) -> str:
    """The name that an account goes by: its phone's own, unless that could be taken for a number or an address, which
    telephones show in the number's place."""
    is_name = any(map(str.isalpha, wanted)) and sum(map(str.isnumeric, wanted)) < _A_NUMBER and "@" not in wanted
    return wanted if is_name else account.display


def carrier_caller(
    parties: Parties, gateway: Gateway, ani: str, display: str = "", *, identifies: bool
) -> tuple[Parties, Caller]:
    """A call from a carrier that shows the number `ani`, and whose call it is: an account's where the carrier vouches
    for its numbers and the account lets that be enough, else nobody's of ours."""
    account = parties.caller
    trust = account.trust if account is not None and identifies else None
    vouched: Vouched = "" if trust is None else trust.by(gateway.gateway_id)
    caller = Caller(ani or "anonymous", display, gateway, vouched=vouched, is_identified=identifies)
    return parties if vouched else replace(parties, caller=None), caller


def vouches(gateway: Gateway, request: Request, sender: Identity) -> bool:
    """Whether the number of a call from a carrier says who calls (`identifies` of the gateway)."""
    return gateway.identifies == "yes" or (gateway.identifies == "attested" and is_attested(request, sender))


def is_attested(request: Request, sender: Identity) -> bool:
    """Whether the carrier says that it has verified the number, and that it was attested fully.

    `verstat` of the number (3GPP TS 24.229 section 7.2A.20) must be TN-Validation-Passed; its level is the suffix of
    that (`-A`), or Attestation-Info or P-Attestation-Indicator. Less than A, or no level at all, is not enough.
    """
    verstat = sender.verstat.upper()
    result, level = verstat[: len(_PASSED)], verstat[len(_PASSED) :].removeprefix("-")
    if result != _PASSED:
        return False
    told = [level, request.get("Attestation-Info"), request.get("P-Attestation-Indicator")]
    levels = {one.strip().upper() for one in told if one}
    return levels == {"A"}


def chain_of(caller: Caller, account: Party | None, flow: Flow) -> Chain:
    """Who began a call: whoever its forwards and applications say, else the caller himself."""
    if caller.chain.by:
        return caller.chain
    if caller.gateway is not None:
        withheld = caller.number == "anonymous"
        return Chain(0, f"carrier:{caller.gateway.name}" if withheld else f"number:{caller.number}")
    return Chain(caller.chain.depth, f"account:{account.number if account else caller.number}", flow.remote[0])


def is_unproven(caller: Caller, flow: Flow) -> bool:
    """Whether all that is known of a caller is what it writes into packets: no challenge of ours was answered."""
    return flow.transport == "udp" and (caller.is_at_address or caller.gateway is not None or caller.is_application)


def note_caller(trace: Trace, caller: Caller, source: str) -> None:
    """Explain how the caller was known."""
    if caller.forwarding is not None:
        trace.add(
            "caller",
            "account {account} forwards a call, and pays; {number} is shown",
            account=caller.forwarding.account,
            number=caller.number,
        )
        return
    if caller.is_application:
        trace.add("caller", "the media server calls for an account; {number} is shown", number=caller.number)
        return
    if caller.is_at_address:
        trace.add("caller", "{number} is known by its address {source}", number=caller.number, source=source)
        return
    if caller.gateway is None:
        trace.add("caller", "{number} at {source} knows its password", number=caller.number, source=source)
        return
    trace.add(
        "caller",
        "{number} by carrier {gateway}, known by its address {source}",
        number=caller.number,
        gateway=caller.gateway.name,
        source=source,
    )
    if not caller.is_identified:
        trace.add(
            "caller", "nobody vouches for the number: by {gateway} it identifies nobody", gateway=caller.gateway.name
        )


class _Served(NamedTuple):
    """Whose service a call of the media server is."""

    number: str
    """Of the account that pays."""
    is_diverted: bool
    """It forwards the call."""
    vouched: Vouched
    """What it is known by where that is its number alone."""
    is_charged_on_acceptance: bool


def _served_user(request: Request) -> _Served | None:
    """The account that a trusted peer says is served; None: it says nothing."""
    for value in request.values("P-Served-User"):
        try:
            user = NameAddr.parse(value)
            number = calling_number(user.uri.user or "")
        except ParseError:
            continue
        if number:
            params = user.params
            vouched: Vouched = "number" if params.get("vouched") == "number" else ""
            is_diverted = (params.get("sescase") or "").lower() == "orig-cdiv"
            return _Served(number, is_diverted, vouched, params.get("charged") == "accepted")
    return None
