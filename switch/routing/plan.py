# SPDX-License-Identifier: Apache-2.0
"""The dial plan: from what the store knows of both ends to who pays, at which rate, and where the call goes. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from billing_client.rules.dialling import NumberPlan
from billing_client.rules.lifecycle import briefly
from billing_client.rules.numbering import Number, digits_of, read
from billing_client.rules.sending_on import may_send_on
from switch.routing.applications import VOICEMAIL_ACCESS, Application, Applications
from switch.routing.carriers.choice import chosen
from switch.routing.identity import note_presented, presented, with_number, without_code
from switch.routing.number import dialled_number, number_of
from switch.routing.prices import priced_by
from switch.settings import CallerIdSettings
from switch.sip.message.flow import INNER

if TYPE_CHECKING:
    from collections.abc import Container
    from datetime import datetime
    from decimal import Decimal

    from billing_client.calls import Direction
    from billing_client.parties import Parties, Party
    from billing_client.rules.books import Rate, RateBook, Route, RouteBook
    from billing_client.rules.numbering import Emergency
    from switch.routing.caller import Caller
    from switch.routing.identity import Presented
    from switch.settings import SwitchSettings
    from switch.sip.message.flow import Flow
    from switch.sip.message.uri import Uri
    from switch.trace.trace import Trace

__all__ = [
    "CARD",
    "Application",
    "Applications",
    "Books",
    "Called",
    "DialPlan",
    "Plan",
    "Refusal",
    "called",
    "dialled_number",
    "nowhere",
    "plan_call",
]

_MATCH: Final = "{destination} by prefix {prefix}, the longest one in force (since {since}): "
_PAID: Final = (
    _MATCH + "{connect_fee} at the answer, {first_price} {currency} a minute for the first {first_increment} s, "
    "then {next_price} by {next_increment} s"
)
_FREE: Final = _MATCH + "free"
_BLOCKED: Final = _MATCH + "blocked"
CARD: Final = "calling_card"
USUAL: Final = CallerIdSettings()


@dataclass(slots=True)
class Books:
    """The tariffs and routes in force; replaced when the store says that they changed."""

    rates: RateBook
    routes: RouteBook


@dataclass(frozen=True, slots=True)
class DialPlan:
    """What calls are decided by, apart from the two ends."""

    rates: RateBook
    routes: RouteBook
    emergency: Container[str] = ()
    applications: Applications = field(default_factory=Applications)
    number_price: Decimal | None = None
    """The most that a minute, or the answer, may cost where the payer is known by the calling number alone; None: any
    price."""
    caller_id: CallerIdSettings = USUAL
    numbers: NumberPlan = field(default_factory=NumberPlan)
    """Where phones are that neither account nor customer says it of."""

    @classmethod
    def of(cls, settings: SwitchSettings, books: Books) -> DialPlan:
        """That of a switch, with the tariffs and routes of this moment."""
        applications = Applications.of(settings)
        return cls(
            books.rates,
            books.routes,
            settings.emergency,
            applications,
            settings.number_price,
            settings.caller_id,
            settings.numbers,
        )

    def is_dear(self, rate: Rate) -> bool:
        """Whether a call at this rate wants more than a number to say who pays."""
        return self.number_price is not None and max(rate.connect_fee, rate.first_price, rate.next_price) > (
            self.number_price
        )


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there will be no call."""

    status: int
    cause: int
    """Q.850."""
    text: str
    prompt: str = ""
    """The announcement that says so to the caller."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A call that may be made."""

    payer: Party | None
    """None: a call from a carrier to an application, by nobody of ours: it costs nothing."""
    rate: Rate | None
    """None: free."""
    direction: Direction
    callee: Party | None
    """The account to ring; None: the call leaves by `routes`, or is forwarded to a SIP URI of somebody else."""
    routes: tuple[Route, ...]
    application: Application | None = None
    """The application that the call is for."""
    presented: Presented | None = None
    """Of a call to carriers: who calls, as they may see it."""
    is_emergency: bool = False
    """Free, exempt from every limit but that of such calls, and never ended by us."""


@dataclass(frozen=True, slots=True)
class Called:
    """Who is called."""

    number: str
    """As rating, routing, the record and the carrier have it; `user@host` where we forward a call to somebody else's
    SIP URI."""
    refusal: Refusal | None = None
    """Given for what nobody may dial."""
    hides: bool | None = None
    """Whether a star code before the number withholds the caller's, or shows it; None: there is none."""
    plus: bool = False
    """It was written with a +."""

    @property
    def meant(self) -> Number:
        """For the number plan of who calls."""
        return Number("number" if digits_of(self.number) else "name", self.number, plus=self.plus)


def called(
    uri: Uri,
    domains: Container[str],
    flow: Flow | None,
    emergency: Emergency,
    caller_id: CallerIdSettings = USUAL,
) -> Called:
    """Who is called by a request URI; without a flow, by one that a phone sends."""
    found, hides = without_code(number_of(uri), caller_id)
    if found.kind == "emergency":
        number = emergency.number_for(found.text)
        return Called(number or found.text, None if number else Refusal(404, 3, "no emergency number is configured"))
    if found.refusal and found.kind != "nothing":
        return Called(found.text, Refusal(found.refusal, 28, f"{found.text} is nothing that can be dialled"))
    is_ours = flow is None or flow.transport != INNER or uri.host in domains
    return Called(found.text if is_ours else f"{found.text}@{uri.host}", hides=hides, plus=found.plus)


def plan_call(
    parties: Parties, dialled: str, caller: Caller, dial_plan: DialPlan, at: datetime, trace: Trace
) -> Plan | Refusal:
    """Decide; every step appends its reason to `trace`."""
    callee = parties.callee
    account = _known(parties.caller, caller, trace)
    refusal = _standing(account, caller)
    if refusal is not None:
        return refusal
    if caller.forwarding is not None and dialled in dial_plan.emergency:
        return Refusal(403, 21, "nobody sends his calls on to an emergency number")
    if account is not None and dialled in dial_plan.emergency:
        trace.add(
            "rate", "{dialled} is an emergency number: free, whatever the funds; two calls at a time", dialled=dialled
        )
        return _for_help(account, dialled, caller, dial_plan, trace)
    application = dial_plan.applications.find(dialled)
    refusal = _sending_on(account, caller, is_inside=application is not None or callee is not None, trace=trace)
    if refusal is not None:
        return refusal
    if application is not None:
        return _to_application(application, account, dialled, caller, trace)
    refusal = _false_number(account, caller)
    if refusal is not None:
        return refusal
    if callee is not None:
        if _calls_own_second_number(account, callee, caller) and dial_plan.applications.is_served:
            return _to_own_mailbox(callee, caller, trace)
        return _to_account(callee, account, dialled, caller, dial_plan, at, trace)
    least = parties.dialled.least if parties.dialled is not None else 0
    return _to_outside(account, dialled, caller, dial_plan, at, trace, least)


def _for_help(account: Party, dialled: str, caller: Caller, dial_plan: DialPlan, trace: Trace) -> Plan | Refusal:
    """A call to an emergency number: by the routes of where the phone is, with the number to call back."""
    where = account.plan.within(dial_plan.numbers)
    place = " ".join(filter(None, (where.country, where.area))) or "no country that is set"
    found = dial_plan.routes.emergency_routes_for(dialled, where.country, where.area)
    names = ", ".join(route.gateway.name for route in found) or "no gateway"
    trace.add("route", "emergency calls from {place} leave by {names}, each is tried", place=place, names=names)
    if not found:
        return Refusal(404, 3, f"no gateway takes emergency calls from {place}")
    seen = presented(account, replace(caller, is_hidden=False), dial_plan.caller_id.default_number)
    if account.place.callback:
        seen = replace(seen, number=account.place.callback, payer=account.place.callback)
    note_presented(seen, account, caller, trace)
    return Plan(account, None, "outgoing", None, found, presented=seen, is_emergency=True)


def _known(account: Party | None, caller: Caller, trace: Trace) -> Party | None:
    """The account that calls; None: nobody of ours."""
    if account is None:
        trace.add("account", "caller {number} is no account of ours", number=caller.number)
        return None
    trace.add(
        "account",
        "caller is account {account} of {customer} (by {via}), {kind}, {available} {currency} available",
        account=account.number,
        customer=account.customer_name,
        via=account.via,
        kind=account.kind,
        available=account.available,
        currency=account.currency,
    )
    if account.refusal is not None and caller.gateway is not None:
        # A telephone elsewhere may call us whatever became of an account that knows its number.
        trace.add("account", "{why}: the call is a stranger's", why=account.refusal)
        return None
    return account


def _standing(account: Party | None, caller: Caller) -> Refusal | None:
    """Why a caller may make no call at all."""
    if account is None:
        return Refusal(403, 21, "no account of ours pays for the call") if caller.gateway is None else None
    if account.refusal is not None:
        prompt = "ann-expired" if account.refusal.startswith("account expired") else "ann-blocked"
        return Refusal(403, 21, f"caller's {account.refusal}", prompt)
    if account.via == "alias" and not account.may_call and caller.is_own and caller.gateway is None:
        return Refusal(403, 21, f"an alias of account {account.number} that does not authenticate makes no calls")
    return None


def _false_number(account: Party | None, caller: Caller) -> Refusal | None:
    """A call is refused whose phone shows a number that is not its account's, where the account wants that."""
    if account is None or not caller.claimed or account.shows.foreign != "refuse":
        return None
    return Refusal(403, 21, f"{caller.claimed} is no number of account {account.number}", "ann-not-allowed")


def _sending_on(account: Party | None, caller: Caller, *, is_inside: bool, trace: Trace) -> Refusal | None:
    """Why the phone of an account may not send a call on to there."""
    if caller.sent_on is None or account is None or may_send_on(account.transfers, inside=is_inside):
        return None
    trace.add(
        "account",
        "account {account} may send calls on: {transfers}",
        account=account.number,
        transfers=account.transfers,
    )
    where = "not at all" if account.transfers == "nowhere" else "inside only"
    return Refusal(403, 21, f"{account.number} may transfer and redirect calls {where}")


def _to_application(
    application: Application, account: Party | None, dialled: str, caller: Caller, trace: Trace
) -> Plan | Refusal:
    trace.add("callee", "{dialled} is the application {name}", dialled=dialled, name=application.name)
    if caller.is_application:
        return Refusal(403, 21, "an application does not call an application")
    if application.name == "feature" and (account is None or not caller.is_own or caller.gateway is not None):
        return Refusal(403, 21, "only an account's own phone uses star codes")
    if caller.vouched == "claimed" and application.name != CARD:
        account = None  # a number that was claimed by telephone dials on the card, and opens nothing else
    if account is not None and caller.is_own:
        # Who only forwards a call here, or calls through an application, has not shown to be the account.
        application = replace(application, target=account.number)
    trace.add("rate", "a call to an application costs nothing")
    return Plan(account, None, "internal" if caller.gateway is None else "incoming", None, (), application)


def _calls_own_second_number(account: Party | None, callee: Party, caller: Caller) -> bool:
    """Whether a carrier's call comes from a number that is an alias of the account that it calls."""
    return (
        caller.gateway is not None
        and account is not None
        and caller.vouched == "number"
        and account.account_id == callee.account_id
        and callee.answering.has_mailbox
    )


def _to_own_mailbox(callee: Party, caller: Caller, trace: Trace) -> Plan:
    trace.add(
        "callee",
        "{number} calls account {account}, of which it is an alias: it is its owner, who gets to its mailbox",
        number=caller.number,
        account=callee.number,
    )
    trace.add("rate", "a call from a carrier costs the callee nothing")
    application = Application(VOICEMAIL_ACCESS, target=callee.number)
    return Plan(callee, None, "incoming", None, (), application)


def nowhere(plan: Plan) -> Refusal:
    """There is nothing to ring."""
    callee = plan.callee
    if callee is None:
        return Refusal(480, 20, "No route")
    if callee.answering.mode == "reject":
        return Refusal(603, 21, f"{callee.number} takes no calls", "ann-declined")
    if callee.answering.do_not_disturb:
        return Refusal(480, 21, f"{callee.number} does not want to be disturbed", "ann-do-not-disturb")
    return Refusal(480, 20, f"{callee.name} is not registered", "ann-unavailable")


def _to_account(
    callee: Party,
    account: Party | None,
    dialled: str,
    caller: Caller,
    dial_plan: DialPlan,
    at: datetime,
    trace: Trace,
) -> Plan | Refusal:
    trace.add(
        "callee", "{dialled} is account {account} (by {via})", dialled=dialled, account=callee.number, via=callee.via
    )
    if account is not None and callee.trunk is not None and account.account_id == callee.account_id and caller.is_own:
        # it would get back what it has just sent, and send it again
        return Refusal(482, 25, f"{dialled} is a number of the trunk that calls it")
    if callee.refusal is not None:
        trace.add("callee", "{account} takes no calls: {why}", account=callee.number, why=callee.refusal)
        return Refusal(480, 20, f"callee's {briefly(callee.refusal)}", "ann-callee-blocked")
    if account is None or caller.gateway is not None:
        trace.add("rate", "a call from a carrier costs the callee nothing")
        return Plan(callee, None, "incoming", callee, ())
    rate = _rate_between(account, callee, dialled, caller, dial_plan, at, trace)
    direction: Direction = "internal" if caller.forwarding is None or caller.transfers else "forwarded"
    return rate if isinstance(rate, Refusal) else Plan(account, rate, direction, callee, ())


def _rate_between(
    account: Party, callee: Party, dialled: str, caller: Caller, dial_plan: DialPlan, at: datetime, trace: Trace
) -> Rate | Refusal | None:
    """What a call between two accounts of ours costs."""
    tariff_id, number = priced_by(account, callee, dialled)
    if tariff_id is None and account.customer_id == callee.customer_id:
        trace.add("rate", "a call within {customer} is free", customer=account.customer_name)
        return None
    return _rate(account, tariff_id, number, caller, dial_plan, at, trace)


def _to_outside(
    account: Party | None, dialled: str, caller: Caller, dial_plan: DialPlan, at: datetime, trace: Trace, least: int = 0
) -> Plan | Refusal:
    trace.add("callee", "{dialled} is no account of ours", dialled=dialled)
    if account is None or not account.may_call:
        return Refusal(404, 1, f"{dialled} is nobody of ours, and the caller may not call out")
    is_forwarded = caller.forwarding is not None and not caller.transfers
    is_foreign = is_forwarded and "@" in dialled
    if status := 0 if is_foreign else read(dialled).outside:
        return Refusal(status, 28, f"{dialled} is nobody of ours, and no telephone number", "ann-invalid-number")
    found = () if is_foreign else dial_plan.routes.routes_for(dialled, dial_plan.emergency)
    # A short number is the beginning of no country: only what is said of just these numbers serves it.
    found = tuple(route for route in found if len(route.prefix) >= least)
    if not found and not is_foreign:
        return Refusal(404, 1, f"{dialled} is nobody of ours, and no gateway serves it", "ann-invalid-number")
    for route in found:
        trace.add(
            "route",
            "{gateway} serves {prefix}, order {order}: as {number}",
            gateway=route.gateway.name,
            prefix=route.prefix or "everything",
            order=route.order,
            number=route.number(dialled),
        )
    # Digits at somebody else's host are no telephone number: only a rate for everything prices them.
    rate = _rate(account, account.tariff_id, "" if is_foreign else dialled, caller, dial_plan, at, trace, least)
    if isinstance(rate, Refusal):
        return rate
    direction: Direction = "forwarded" if is_forwarded else "outgoing"
    if is_foreign:
        return Plan(account, rate, direction, None, found)
    found = chosen(found, rate, account.tariff_id or 0, dial_plan.rates, dialled, at, trace)
    if not found:
        return Refusal(480, 34, "no carrier is taken for it", "ann-unavailable")
    seen = presented(account, caller, dial_plan.caller_id.default_number)
    note_presented(seen, account, caller, trace)
    if dial_plan.caller_id.without_number == "refuse":
        found = with_number(found, seen, trace)
        if not found:
            return Refusal(403, 21, f"account {account.number} has no number to show to carriers", "ann-not-allowed")
    return Plan(account, rate, direction, None, found, presented=seen)


def _rate(
    account: Party,
    tariff_id: int | None,
    dialled: str,
    caller: Caller,
    dial_plan: DialPlan,
    at: datetime,
    trace: Trace,
    least: int = 0,
) -> Rate | Refusal:
    """The rate of the longest prefix; a shorter one than `least` digits is none of this number's."""
    rate = None if tariff_id is None else dial_plan.rates.rate_for(tariff_id, dialled, at)
    if rate is None or len(rate.prefix) < least:
        where = dialled or "what has no public number"
        return Refusal(403, 21, f"the tariff of {account.number} has no rate for {where}", "ann-not-allowed")
    trace.add(
        "rate",
        _BLOCKED if rate.blocked else _FREE if rate.is_free else _PAID,
        destination=rate.destination or "elsewhere",
        prefix=rate.prefix or "(any)",
        since=rate.effective_from.date(),
        connect_fee=rate.connect_fee,
        first_price=rate.first_price,
        first_increment=rate.first_increment,
        next_price=rate.next_price,
        next_increment=rate.next_increment,
        currency=account.currency,
    )
    if rate.blocked:
        return Refusal(403, 21, f"calls to {rate.destination} are blocked", "ann-not-allowed")
    if caller.vouched and dial_plan.is_dear(rate):
        # 428 (RFC 8224 section 6.2.2): who calls must say so by more than a number; the media server asks the PIN.
        return Refusal(428, 21, f"calls to {rate.destination} want the PIN: the calling number alone is not enough")
    return rate
