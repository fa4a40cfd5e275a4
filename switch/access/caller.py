# SPDX-License-Identifier: Apache-2.0
"""Who is calling: a carrier by its address, an account by its password, its address, or the number it calls from.

What a request shows (`Shown`) is read once, without the store; `who_asks` then finds the ends of the call with it. A
running switch and an explanation both do so, each with its own way to ask the store.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from billing_client.parties import Parties
from billing_client.rules.callerid import is_public
from billing_client.rules.incoming import DEFAULT_MAX_CALLS
from switch.routing.caller import Caller, Forwarding
from switch.routing.number import asserted, calling_number, hides
from switch.sip.digest import Verdict
from switch.sip.mark import Chain
from switch.sip.message.address import NameAddr
from switch.sip.message.errors import ParseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing_client.parties import Party
    from billing_client.rules.books import Gateway, RouteBook
    from billing_client.rules.numbering import Number
    from billing_client.rules.vouching import Vouched
    from switch.routing.number import Identity
    from switch.sip.destination import Destinations
    from switch.sip.digest import Credentials
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Request
    from switch.sip.message.uri import Uri
    from switch.trace.trace import Trace

__all__ = [
    "Ask",
    "ByAddress",
    "ByCarrier",
    "ByPassword",
    "ByServer",
    "Served",
    "Shown",
    "as_dialled",
    "chain_of",
    "dialled_uri",
    "is_attested",
    "is_unproven",
    "known_carrier",
    "note_caller",
    "served_user",
    "shown_by_carrier",
    "vouches",
    "who_asks",
]

_PASSED: Final = "TN-VALIDATION-PASSED"
_NOBODY: Final = Parties(None, None, ())
_A_NUMBER: Final = 5
"""A name with so many digits in it is a number."""


@dataclass(frozen=True, slots=True)
class ByCarrier:
    """It came from an address of a carrier."""

    gateway: Gateway
    number: str
    """That it shows; empty: it is withheld."""
    display: str
    identifies: bool
    """Whether the number says who calls."""
    hides: bool | None = None


@dataclass(frozen=True, slots=True)
class ByAddress:
    """It came from an address that is a name of an account."""

    name: str
    display: str = ""
    claimed: str = ""
    """The number that it wants to be shown."""
    hides: bool | None = None
    """Whether it withholds its number; None: it does not say."""


@dataclass(frozen=True, slots=True)
class ByPassword:
    """It brings credentials; None of a call that is not made, whose sender is taken to know them."""

    user: str
    display: str = ""
    credentials: Credentials | None = None
    claimed: str = ""
    hides: bool | None = None


@dataclass(frozen=True, slots=True)
class ByServer:
    """It came from the media server, which says whose service it is."""

    served: Served
    chain: Chain
    number: str
    """That is to be shown."""
    display: str
    hides: bool | None = None


Shown = ByCarrier | ByAddress | ByPassword | ByServer | Forwarding
"""What a request brings that may identify its sender; a call that we forward brings itself."""


class Ask(Protocol):
    """Looks both ends of a call up."""

    async def __call__(self, *, caller: str | None, ani: str | None, dialled: Number) -> Parties:
        """Who calls by that name, or from that number, and who is called by the number plan; raises StoreError."""


async def who_asks(
    shown: Shown, dialled: Number, ask: Ask, verify: Callable[[ByPassword, Party | None], Verdict]
) -> tuple[Parties, Caller] | Verdict:
    """Both ends of a call or message, and who sends it; or why that is not known. `verify` judges the password that
    was brought, by that of the account. Raises StoreError."""
    match shown:
        case ByCarrier():
            ani = shown.number if shown.identifies and shown.number else None
            parties = await ask(caller=None, ani=ani, dialled=dialled)
            parties, caller = carrier_caller(
                parties, shown.gateway, shown.number, shown.display, identifies=shown.identifies
            )
            return parties, replace(caller, is_hidden=shown.hides is True)
        case ByAddress():
            parties = await ask(caller=shown.name, ani=None, dialled=dialled)
            account = parties.caller
            if account is None or not account.may_call:
                return Verdict.REFUSED  # that has just ceased to be one of its names
            return parties, replace(_own(shown, account, account.number), is_at_address=True)
        case ByPassword():
            parties = await ask(caller=shown.user, ani=None, dialled=dialled)
            account = login_account(parties)
            verdict = verify(shown, account)
            if verdict is not Verdict.ACCEPTED or account is None:
                return verdict
            number = shown.user if account.via == "alias" else account.number
            return parties, _own(shown, account, number)
        case ByServer():
            parties = await ask(caller=shown.served.number, ani=None, dialled=dialled)
            return parties, _served_caller(shown, parties.caller, dialled.text)
        case Forwarding():
            parties = await ask(caller=shown.account, ani=None, dialled=dialled)
            is_hidden = shown.hides is True
            return parties, Caller(shown.number, shown.display, None, shown, chain=shown.chain, is_hidden=is_hidden)


def _own(shown: ByAddress | ByPassword, account: Party, login: str) -> Caller:
    """An account that calls by itself: shown is what its phone says, as far as that is a number of its own, else the
    name that it logged in by."""
    rules, claimed = account.shows, shown.claimed
    found = rules.find(claimed) if claimed else ""
    login = rules.default if rules.ranges else login
    is_foreign = claimed and not found and claimed not in (login, account.number)
    return Caller(
        found if is_public(found) else login,
        name_to_show(shown.display, account),
        None,
        is_hidden=rules.hides if shown.hides is None else shown.hides,
        claimed=claimed if is_foreign else "",
    )


def _served_caller(shown: ByServer, account: Party | None, dialled: str) -> Caller:
    """The media server, which calls or forwards for an account."""
    served, forwarding = shown.served, None
    if served.is_diverted and account is not None:
        forward = account.answering.forward_to(dialled)
        name, most = (forward.name, forward.max_calls) if forward else (dialled, DEFAULT_MAX_CALLS)
        asks_key = forward is not None and forward.confirm  # no mailbox presses one
        forwarding = Forwarding(
            account.number,
            name,
            most,
            shown.number,
            shown.display,
            chain=shown.chain,
            language=account.language,
            keeps_messages=asks_key,
        )
    return Caller(
        shown.number,
        shown.display,
        None,
        forwarding,
        is_application=True,
        chain=shown.chain,
        vouched=served.vouched,
        is_charged_on_acceptance=served.is_charged_on_acceptance,
        is_hidden=shown.hides is True,
    )


def shown_by_carrier(gateway: Gateway, request: Request) -> ByCarrier:
    """What a call from a carrier shows."""
    sender = asserted(request)
    identifies = vouches(gateway, request, sender)
    return ByCarrier(gateway, sender.number, sender.display, identifies=identifies, hides=hides(request))


def as_dialled(shown: Shown, hides: bool | None) -> Shown:
    """What a request shows, with the star code before the number: it counts for one call, before all other words."""
    if hides is None:
        return shown
    if isinstance(shown, Forwarding):
        shown.hides = hides
        return shown
    return replace(shown, hides=hides)


def known_carrier(
    routes: RouteBook, remote: tuple[str, int], destinations: Destinations | None = None, user: str | None = None
) -> Gateway | None:
    """The carrier that calls from an address, if calls from it are taken; by its name, where `destinations` knows what
    that leads to. `user`, of the Request-URI, tells lines at one address apart; elsewhere it says nothing."""
    line = None if user is None or destinations is None else routes.lines.get(user)
    if line is not None and destinations is not None:
        at = destinations.place(*remote[:2])
        if at is not None and line.gateway_id in at.carriers:
            return line
    gateway = routes.gateway_at(*remote[:2])
    if gateway is None and destinations is not None:
        place = destinations.place(*remote[:2])
        there = () if place is None else (routes.gateways.get(number) for number in sorted(place.carriers))
        gateway = next((one for one in there if one is not None and one.enabled and one.inbound), None)
    return gateway if gateway is not None and gateway.enabled and gateway.inbound else None


def dialled_uri(request: Request, shown: Shown) -> Uri:
    """What an INVITE asks for: its Request-URI; of a carrier that calls our Contact at it, P-Called-Party-ID (RFC 7315
    section 4.2) or else To, as that Contact names no number. Raises ParseError."""
    if not isinstance(shown, ByCarrier) or request.uri.user != shown.gateway.line:
        return request.uri
    value = request.get("P-Called-Party-ID")
    return request.to.uri if value is None else NameAddr.parse(value).uri


def login_account(parties: Parties) -> Party | None:
    """The account whose password the caller has to know. An alias that does not authenticate has it too: who knows it
    is told that nobody calls by this name, and anybody else hears what is said of every name."""
    account = parties.caller
    if account is not None and account.via == "ani":
        return None  # a number to be called from: no login
    return account


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
        verb = "forwards" if caller.sent_on is None else "transfers" if caller.transfers else "has moved, and redirects"
        trace.add(
            "caller",
            "account {account} {verb} a call, and pays; {number} is shown",
            verb=verb,
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


class Served(NamedTuple):
    """Whose service a call of the media server is."""

    number: str
    """Of the account that pays."""
    is_diverted: bool
    """It forwards the call."""
    vouched: Vouched
    """What it is known by where that is its number alone."""
    is_charged_on_acceptance: bool


def served_user(request: Request) -> Served | None:
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
            return Served(number, is_diverted, vouched, params.get("charged") == "accepted")
    return None
