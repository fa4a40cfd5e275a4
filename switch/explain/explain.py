# SPDX-License-Identifier: Apache-2.0
"""What would become of a call that is not made: the decision about live calls, with other hands.

Identification, dial plan, rating, first funds and the choice of phones and carriers are the functions that live calls
use; the store grants the funds in a transaction that it takes back. Nothing is sent, locked or written. What only a
running switch knows (a registration of the last moment, a connection that has gone) is not seen.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from billing_client.rules.dialling import NumberPlan
from billing_client.rules.numbering import Emergency, digits_of
from billing_client.rules.rating import seconds_covered
from switch.access.caller import ByAddress, ByCarrier, ByPassword, as_dialled, known_carrier, who_asks
from switch.access.dialling import ByPlan
from switch.calls.decide import decide
from switch.explain.timeline import Timeline
from switch.money.start import Asked, Registered, authorise
from switch.routing.answering import Surroundings
from switch.routing.caller import Forwarding, SentOn
from switch.routing.diversion import MOST_FORWARDS
from switch.routing.number import calling_number
from switch.routing.plan import Application, Applications, DialPlan, Plan, Refusal, called, nowhere
from switch.routing.prices import priced_by
from switch.settings import CallerIdSettings
from switch.sip.digest import Verdict
from switch.sip.message.errors import ParseError
from switch.sip.message.flow import INNER_FLOW
from switch.sip.message.host import bare
from switch.sip.message.uri import Uri
from switch.trace.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from decimal import Decimal

    from billing_client.inquiry import Inquiry, Lock
    from billing_client.parties import Parties, Party
    from billing_client.rules.books import Rate, RateBook, RouteBook
    from billing_client.rules.numbering import Number
    from switch.routing.caller import Caller
    from switch.settings import CreditSettings, SwitchSettings
    from switch.sip.destination import Destinations

__all__ = ["Conditions", "Explanation", "Question", "explain", "uri_of"]

_CALL_ID: Final = "explain"
_INDENT: Final = "    "


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The call that is not made."""

    caller: str
    """Account number or alias; of a call from outside the calling number."""
    dialled: str
    at: datetime
    """When the rates count; account states, funds and registrations are those of now."""
    source: str | None = None
    """The address that it would come from, with or without a port; None: a phone of ours that knows its password."""
    is_transfer: bool = False
    """The account gives a call away to there."""


@dataclass(slots=True)
class Explanation:
    """The answer."""

    question: Question
    trace: Trace
    dialled: str = ""
    """What is called, as routes and rates have it."""
    plan: Plan | None = None
    refusal: Refusal | None = None
    """Why there would be no call; None: it would ring."""
    first_slice: Decimal | None = None
    """What would be locked before it leaves."""
    longest_seconds: int | None = None
    """How long the available funds pay for it; None: any length."""
    locks: tuple[Lock, ...] = ()
    """Live calls that hold funds of the payer."""
    took_seconds: float = 0.0
    """How long the answer took."""


class Node(Protocol):
    """What only a running switch knows."""

    @property
    def destinations(self) -> Destinations:
        """Who is where, carriers by name among them."""

    def rests(self, gateway: str) -> Iterable[str]:
        """Which addresses of a gateway are not asked for a while, and why."""

    def carriers(self) -> dict[str, Any]:
        """Registrations at carriers (`lines`), and addresses that rest (`resting`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What the configuration says that calls depend on."""

    credit: CreditSettings
    emergency: tuple[str, ...] = ()
    emergency_services: Mapping[str, str] = field(default_factory=dict)
    domains: tuple[str, ...] = ()
    applications: Applications = field(default_factory=Applications)
    ring_seconds: float = 60.0
    number_price: Decimal | None = None
    caller_id: CallerIdSettings = field(default_factory=CallerIdSettings)
    numbers: NumberPlan = field(default_factory=NumberPlan)
    node: Node | None = None

    @property
    def known_emergency(self) -> Emergency:
        """The numbers that are always let through."""
        return Emergency(self.emergency, self.emergency_services)

    @classmethod
    def of(cls, settings: SwitchSettings, node: Node | None = None) -> Conditions:
        """Those of a switch."""
        return cls(
            credit=settings.credit,
            emergency=settings.emergency_numbers,
            emergency_services=settings.emergency_services,
            domains=settings.domains,
            applications=Applications.of(settings),
            number_price=settings.number_price,
            caller_id=settings.caller_id,
            numbers=settings.numbers,
            ring_seconds=settings.ring_seconds,
            node=node,
        )


async def explain(inquiry: Inquiry, question: Question, conditions: Conditions) -> Explanation:
    """Answer a question; raises StoreError."""
    began_at = time.perf_counter()
    explanation = Explanation(question, Trace())
    await _Answering(inquiry, await inquiry.routes(), explanation, conditions).run()
    explanation.took_seconds = time.perf_counter() - began_at
    return explanation


class _Answering:
    """One answer on its way; implements `switch.calls.decide.Hands`."""

    def __init__(
        self,
        inquiry: Inquiry,
        routes: RouteBook,
        explanation: Explanation,
        conditions: Conditions,
        forwarding: Forwarding | None = None,
        forwarders: tuple[str, ...] = (),
    ) -> None:
        """`forwarding`: given for a call that is forwarded. `forwarders`: accounts that have forwarded it so far."""
        self._inquiry = inquiry
        self._routes = routes
        self._rates: RateBook | None = None
        self._rated: tuple[int | None, str] = None, ""
        """The tariff that prices the call, and by which number."""
        self._explanation = explanation
        self._conditions = conditions
        self._forwarding = forwarding
        self._forwarders = forwarders
        emergency = conditions.known_emergency
        flow = INNER_FLOW if forwarders else None
        domains = (*conditions.domains, "")
        self._called = called(uri_of(explanation.question.dialled), domains, flow, emergency, conditions.caller_id)
        self._dialled = explanation.dialled = self._called.number

    async def run(self) -> None:
        """Explain; raises StoreError."""
        decision = await decide(self._called, self)
        if isinstance(decision, Verdict):
            decision = Refusal(407, 21, f"nobody logs in as {self._explanation.question.caller}")
        if isinstance(decision, Refusal):
            self._explanation.refusal = decision
            self.trace.add("refused", "{status} {text}", status=decision.status, text=decision.text)

    # hands ------------------------------------------------------------------------------------------------------
    @property
    def at(self) -> datetime:
        """When it would be made."""
        return self._explanation.question.at

    @property
    def trace(self) -> Trace:
        """Of the explanation."""
        return self._explanation.trace

    @property
    def source(self) -> str:
        """Where it would come from."""
        return self._explanation.question.source or "its phone"

    def is_over(self) -> bool:
        """Somebody waits for the answer."""
        return False

    async def identify(self, dialled: Number) -> tuple[Parties, Caller] | Verdict:
        """By what is said of the caller; a phone of ours is taken to know its password."""
        conditions = self._conditions
        look_up = partial(self._inquiry.parties, at=self.at)
        ask = ByPlan(look_up, lambda: conditions.numbers, lambda: conditions.emergency, lambda _name: None)
        shown = as_dialled(self._forwarding or self._transfer() or self._shown(), self._called.hides)
        found = await who_asks(shown, dialled, ask, lambda _, account: Verdict.ACCEPTED if account else Verdict.REFUSED)
        if not isinstance(found, Verdict) and found[0].dialled is not None:
            self._dialled = self._explanation.dialled = found[0].dialled.text
        return found

    def _transfer(self) -> Forwarding | None:
        question = self._explanation.question
        if not question.is_transfer:
            return None
        return Forwarding(question.caller, "transfer", number=question.caller, sent_on=SentOn(_CALL_ID))

    def _shown(self) -> ByCarrier | ByAddress | ByPassword:
        question, node = self._explanation.question, self._conditions.node
        if not question.source:
            return ByPassword(question.caller)
        socket = _socket(question.source)
        gateway = known_carrier(self._routes, socket, None if node is None else node.destinations)
        if gateway is not None:
            # nobody can say what a carrier would attest
            return ByCarrier(gateway, calling_number(question.caller), "", identifies=gateway.identifies == "yes")
        name = self._routes.account_at(socket[0])
        if name is not None:
            return ByAddress(name)
        self.trace.add(
            "caller", "{source} is no carrier's address: the caller is asked for a password", source=question.source
        )
        return ByPassword(question.caller)

    async def dial_plan(self, ends: Parties, dialled: str) -> DialPlan:
        """The tariffs and routes of the inquiry."""
        conditions, account = self._conditions, ends.caller
        tariff_id, number = (None, self._dialled) if account is None else priced_by(account, ends.callee, self._dialled)
        self._rated = tariff_id, number
        wanted = {tariff_id} | {gateway.cost_tariff_id for gateway in self._routes.gateways.values()}
        rates = await self._inquiry.rates([one for one in wanted if one is not None], number)
        self._rates = rates
        return DialPlan(
            rates,
            self._routes,
            conditions.emergency,
            conditions.applications,
            conditions.number_price,
            conditions.caller_id,
            conditions.numbers,
        )

    async def planned(self, ends: Parties, plan: Plan | Refusal) -> None:
        """What matched too, and how long the funds would last."""
        if self._rates is not None:
            self._note_rejections(self._rates, self._routes, plan)
        if isinstance(plan, Refusal):
            return
        explanation = self._explanation
        explanation.plan = plan
        if plan.payer is not None and plan.rate is not None and not plan.rate.is_free:
            explanation.longest_seconds = seconds_covered(plan.rate, plan.payer.available)
            explanation.locks = tuple(await self._inquiry.locks(plan.payer.balance_id))

    async def find_ways(self, plan: Plan, caller: Caller, ends: Parties) -> Refusal | None:
        """Tell of them."""
        return None if await self._ways(plan, ends, caller) else nowhere(plan)

    async def authorise(self, plan: Plan, payer: Party, caller: Caller) -> Refusal | None:
        """The store grants the funds, and takes that back."""
        conditions = self._conditions
        found = await authorise(
            plan,
            payer,
            caller,
            Asked(_CALL_ID, self._dialled, self.at),
            conditions.credit,
            conditions.emergency,
            self._inquiry.try_call,
            self.trace,
        )
        if not isinstance(found, Registered):
            return found
        self._explanation.first_slice = found.credit.locked
        return None

    # what only an explanation tells -----------------------------------------------------------------------------
    def _note_rejections(self, rates: RateBook, routes: RouteBook, plan: Plan | Refusal) -> None:
        """What matched too and was not taken."""
        at = self.at
        chosen = plan.rate.rate_id if isinstance(plan, Plan) and plan.rate is not None else None
        is_rated = not isinstance(plan, Plan) or plan.rate is not None
        tariff_id, number = self._rated
        longest = rates.rate_for(tariff_id, number, at) if tariff_id is not None and is_rated else None
        for rate in rates.matching(tariff_id, number) if tariff_id is not None and is_rated else ():
            if rate.rate_id == chosen or rate.blocked:
                continue
            self.trace.add(
                "rate",
                "not taken: {prefix} ({price} a minute): {why}",
                prefix=rate.prefix or "(any)",
                price=rate.next_price,
                why=_why_not(rate, longest, at),
            )
        if isinstance(plan, Plan) and (plan.callee is not None or plan.application is not None):
            return
        for route in routes.closed_routes_for(self._dialled):
            self.trace.add(
                "route",
                "not taken: {gateway} ({prefix}): {why}",
                gateway=route.gateway.name,
                prefix=route.prefix or "everything",
                why="for incoming calls only" if route.gateway.enabled else "disabled",
            )

    def _note_application(self, application: Application) -> None:
        target = f" for {application.target}" if application.target else ""
        menu = dict(application.params).get("name") if application.name == "menu" else None
        if menu:
            self.trace.add("ring", "the media server is asked for menu {menu}", menu=menu)
        else:
            self.trace.add("ring", "the media server is asked for {name}{target}", name=application.name, target=target)

    async def _ways(self, plan: Plan, parties: Parties, caller: Caller) -> bool:
        """Explain whom the call would ring; false: nobody."""
        trace, conditions = self.trace, self._conditions
        if plan.application is not None:
            self._note_application(plan.application)
            return True
        if plan.callee is not None:
            around, callee = self._surroundings(plan.callee, caller), plan.callee
            timeline = Timeline(around, callee, parties.bindings, caller, parties.caller, self._dialled, trace)
            return await timeline.tell(self._forwarded)
        if not plan.routes:
            trace.add("ring", "{uri}, wherever DNS says", uri=self._dialled)
        for route in plan.routes:
            gateway = route.gateway
            trace.add(
                "ring",
                "{number} at {gateway}, {transport}:{place}",
                number=route.number(self._dialled),
                gateway=gateway.name,
                transport=gateway.transport,
                place=gateway.place,
            )
            for rest in () if conditions.node is None else conditions.node.rests(gateway.name):
                trace.add("ring", "{rest}: asked last", rest=rest)
        return True

    def _surroundings(self, callee: Party, caller: Caller) -> Surroundings:
        """What the rules of who is called do not say."""
        hops = self._forwarders
        return Surroundings(
            at=self._explanation.question.at,
            ring_seconds=self._conditions.ring_seconds,
            may_forward=callee.number not in hops and len(hops) < MOST_FORWARDS,
            serves_voicemail=self._conditions.applications.is_served,
            takes_messages=caller.forwarding is None or not caller.forwarding.keeps_messages,
            rings_alias=callee.name != callee.number,
        )

    async def _forwarded(self, forwarding: Forwarding, to: str) -> None:
        """Explain a call that an account would forward, within the answer."""
        inner = Explanation(replace(self._explanation.question, dialled=to), Trace())
        forwarders = (*self._forwarders, forwarding.account)
        await _Answering(self._inquiry, self._routes, inner, self._conditions, forwarding, forwarders).run()
        for step in inner.trace.read():
            self.trace.steps.append(step._replace(template=_INDENT + step.template))


def uri_of(text: str) -> Uri:
    """What is asked about, as a phone would dial it: a number, or a URI."""
    if text.lower().startswith(("sip:", "sips:", "tel:", "urn:")):
        with suppress(ParseError):
            return Uri.parse(text)
    return Uri("sip", text, "")


def _socket(source: str) -> tuple[str, int]:
    """`192.0.2.1`, `192.0.2.1:5060`, `2001:db8::1` or `[2001:db8::1]:5060`; port 0: any."""
    host, colon, port = source.rpartition(":")
    if colon and digits_of(port[:5]) == port and (":" not in host or host.startswith("[")):
        return bare(host), int(port)
    return bare(source), 0


def _why_not(rate: Rate, longest: Rate | None, at: datetime) -> str:
    """Why a rate that matches is not what the call costs; `longest`: what it would cost if it were made."""
    if not (rate.effective_from <= at and (rate.effective_to is None or at < rate.effective_to)):
        return f"in force {_span(rate.effective_from, rate.effective_to)}"
    if longest is None or rate.rate_id == longest.rate_id:
        return "the call is refused"
    return f"{longest.prefix} is blocked" if longest.blocked else "a longer prefix matches"


def _span(since: datetime, until: datetime | None) -> str:
    return f"from {since:%Y-%m-%d %H:%M}" + ("" if until is None else f" to {until:%Y-%m-%d %H:%M}")
