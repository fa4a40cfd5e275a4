# SPDX-License-Identifier: Apache-2.0
"""Who calls, as a carrier is told: one decision a call, and the header lines that each carrier wants it in. Pure.

Carriers see public numbers only. What we assert is a number of who pays; somebody else's number, in a call that is
forwarded, stands in From alone, with Diversion beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from billing_client.rules.callerid import is_public
from billing_client.rules.numbering import read
from switch.sip.message.address import NameAddr
from switch.sip.message.host import bracketed
from switch.sip.message.uri import Uri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing_client.parties import Party
    from billing_client.rules.books import Gateway, Route
    from billing_client.rules.numbering import Number
    from switch.routing.caller import Caller
    from switch.settings import CallerIdSettings
    from switch.sip.message.message import HeaderLines
    from switch.trace.trace import Trace

__all__ = [
    "ANONYMOUS",
    "Presented",
    "diversion_lines",
    "identity_lines",
    "note_presented",
    "presented",
    "with_number",
    "without_code",
]

ANONYMOUS: Final = NameAddr("Anonymous", "sip:anonymous@anonymous.invalid")
"""RFC 3323 section 4.1.1.3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """Who calls, before a carrier's wishes."""

    number: str
    """Of who calls; empty: there is no public one."""
    display: str = ""
    payer: str = ""
    """The number of who pays, which we assert; empty: it has no public one."""
    payer_display: str = ""
    is_hidden: bool = False
    is_diverted: bool = False
    """Somebody else calls than who pays."""
    payer_hides: bool = False
    """Who forwards does not want to be told of."""
    usual: str = ""
    """What the operator shows for those without a number."""

    def default_at(self, gateway: Gateway) -> str:
        """What a carrier gets for those without a public number; empty: nothing."""
        return gateway.style.default_number or self.usual

    def shown_at(self, gateway: Gateway) -> str:
        """The number that a carrier gets, hidden or not; empty: none."""
        if self.is_diverted and gateway.forwarded_caller == "original" and self.number:
            return self.number
        return (self.payer if self.is_diverted else self.number) or self.default_at(gateway)


def presented(account: Party, caller: Caller, usual: str) -> Presented:
    """What a call that `account` pays for shows to carriers."""
    own = account.shows.default
    if caller.is_own and is_public(caller.number):
        own = (
            caller.number
        )  # the name that it logged in by, what its phone says and may say, or what a carrier vouches for
    foreign = None if caller.is_own else _foreign(account, caller)
    is_phone = caller.is_own and caller.gateway is None
    return Presented(
        number=own if foreign is None else foreign,
        # what networks show to strangers is the account's name, not the phone's
        display=account.display if is_phone else caller.display,
        payer=own,
        payer_display=account.display,
        is_hidden=caller.is_hidden,
        is_diverted=foreign is not None,
        payer_hides=account.shows.hides,
        usual=usual,
    )


def _foreign(account: Party, caller: Caller) -> str | None:
    """The number of somebody else who calls, if that is public; None: the account itself does."""
    if caller.number == account.number or account.shows.owns(caller.number):
        return None
    if caller.forwarding is not None and caller.forwarding.public is not None:
        return caller.forwarding.public
    return caller.number if is_public(caller.number) else ""


def note_presented(seen: Presented, account: Party, caller: Caller, trace: Trace) -> None:
    """Explain which number carriers are shown."""
    if seen.is_diverted:
        text = "carriers see {number}, who called {account}, and that {payer} pays"
    elif not seen.number:
        text = "account {account} has no public number: carriers see {usual}"
    elif seen.number == account.shows.default:
        text = "carriers see {number}, the number of account {account}"
    else:
        text = "carriers see {number}, one of the numbers of account {account}, as its phone says"
    trace.add(
        "caller",
        text + ("; it is withheld from who is called" if seen.is_hidden else ""),
        number=seen.number or "anonymous",
        account=account.number,
        payer=seen.payer or seen.usual or "nobody",
        usual=seen.usual or "their gateway's default number, or nobody",
    )
    if caller.claimed:
        trace.add(
            "caller",
            "its phone says {claimed}, which is no number of account {account}: that is not shown",
            claimed=caller.claimed,
            account=account.number,
        )


def identity_lines(seen: Presented, route: Route, own_domain: str) -> tuple[NameAddr, HeaderLines]:
    """From of the INVITE to a carrier, without its tag, and the header lines that say who calls."""
    gateway, style = route.gateway, route.gateway.style
    domain = _domain(style.domain, gateway, own_domain)
    asserted_domain = _domain(style.asserted_domain, gateway, own_domain) if style.asserted_domain else domain
    by_payer = seen.is_diverted and gateway.forwarded_caller == "forwarder"
    is_hidden = seen.is_hidden and not by_payer
    shown, asserted = seen.shown_at(gateway), seen.payer or seen.default_at(gateway)
    name = (seen.payer_display if by_payer else seen.display) if style.name else ""
    sender = NameAddr(name, str(Uri("sip", route.caller(shown), domain))) if shown else ANONYMOUS
    told = sender
    if is_hidden and (style.hidden == "anonymous" or not style.privacy):
        sender = ANONYMOUS
    lines: HeaderLines = []
    if asserted and (style.privacy or not is_hidden):
        uri = Uri("sip", route.caller(asserted), asserted_domain)
        if style.asserted != "no":
            lines.append(("P-Asserted-Identity", f"<{_tel(uri) if style.asserted == 'tel' else uri}>"))
        if style.remote_party:
            named = NameAddr(told.display if not is_hidden else "", str(uri))
            lines.append(
                ("Remote-Party-ID", f"{named};party=calling;screen=yes;privacy={'full' if is_hidden else 'off'}")
            )
    return sender, lines


def diversion_lines(
    seen: Presented, route: Route, own_domain: str, *, reason: str = "unknown", counter: int = 1
) -> HeaderLines:
    """Diversion of a call that is forwarded, with the public number of who forwards, if it has one (RFC 5806)."""
    gateway, style = route.gateway, route.gateway.style
    number = seen.payer or seen.default_at(gateway)
    if not (style.diversion and number):
        return []
    uri = Uri("sip", route.caller(number), _domain(style.asserted_domain or style.domain, gateway, own_domain))
    privacy = ";privacy=full" if seen.payer_hides else ""
    return [("Diversion", f"<{uri}>;reason={reason};counter={counter}{privacy}")]


def _domain(wanted: str, gateway: Gateway, own: str) -> str:
    if wanted in ("", "own"):
        return own
    return bracketed(gateway.host) if wanted == "gateway" else wanted


def _tel(uri: Uri) -> str:
    """A tel URI is of the whole world, or has a context (RFC 3966 section 5.1.4)."""
    return f"tel:+{(uri.user or '').removeprefix('+')}"


def without_code(found: Number, caller_id: CallerIdSettings) -> tuple[Number, bool | None]:
    """A number without the star code before it that hides or shows the caller's, and whether that hides."""
    if found.kind == "code":
        codes = [*((code, True) for code in caller_id.hide_codes), *((code, False) for code in caller_id.show_codes)]
        for code, hides in sorted(codes, key=lambda one: -len(one[0])):
            rest = read(found.text.removeprefix(code))
            if found.text.startswith(code) and rest.kind == "number":
                return rest, hides
    return found, None


def with_number(routes: Sequence[Route], seen: Presented, trace: Trace) -> tuple[Route, ...]:
    """The routes by which a number can be shown."""
    for route in routes:
        if not seen.shown_at(route.gateway):
            trace.add("route", "{gateway} is passed over: there is no number to show it", gateway=route.gateway.name)
    return tuple(route for route in routes if seen.shown_at(route.gateway))
