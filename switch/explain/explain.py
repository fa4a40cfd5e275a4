# SPDX-License-Identifier: Apache-2.0
"""What would become of a call that is not made: the code of live calls, run on the store's answers.

Identification, dial plan, rating, first funds and the choice of phones and carriers are the functions that live calls
use; the store grants the funds in a transaction that it takes back. Nothing is sent, locked or written. What only a
running switch knows (a registration of the last moment, a connection that has gone) is not seen.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol

from billing_client.rules.numbering import Emergency, digits_of
from billing_client.rules.rating import seconds_covered
from switch.access.caller import (
    account_caller,
    address_caller,
    carrier_caller,
    known_carrier,
    login_account,
    note_caller,
)
from switch.explain.timeline import Timeline
from switch.money.credit import Credit
from switch.money.funds import note_grant
from switch.money.start import call_start, refused
from switch.routing.answering import Surroundings
from switch.routing.diversion import MOST_FORWARDS
from switch.routing.number import calling_number
from switch.routing.plan import Applications, Caller, DialPlan, Plan, Refusal, called, nowhere, plan_call
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
    from billing_client.rules.books import RateBook, RouteBook
    from billing_client.types import Parties, Party
    from switch.routing.forward import Forwarding
    from switch.settings import CreditSettings, SwitchSettings
    from switch.sip.destination import Destinations

__all__ = ["Conditions", "Explanation", "Question", "explain"]

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


@dataclass(slots=True)
class Explanation:
    """The answer."""

    question: Question
    trace: Trace
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
    node: Node | None = None

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
            ring_seconds=settings.ring_seconds,
            node=node,
        )


async def explain(inquiry: Inquiry, question: Question, conditions: Conditions) -> Explanation:
    """Answer a question; raises StoreError."""
    began_at = time.perf_counter()
    explanation = Explanation(question, Trace())
    await _Answering(inquiry, explanation, conditions).run()
    if explanation.refusal is not None:
        _note_refusal(explanation.trace, explanation.refusal)
    explanation.took_seconds = time.perf_counter() - began_at
    return explanation


def _note_refusal(trace: Trace, refusal: Refusal) -> None:
    trace.add("refused", "{status} {text}", status=refusal.status, text=refusal.text)


class _Answering:
    """One answer on its way."""

    def __init__(
        self, inquiry: Inquiry, explanation: Explanation, conditions: Conditions, forwarders: tuple[str, ...] = ()
    ) -> None:
        """`forwarders`: accounts that have forwarded the call so far."""
        self._inquiry = inquiry
        self._explanation = explanation
        self._trace = explanation.trace
        self._conditions = conditions
        self._forwarders = forwarders
        emergency = Emergency(conditions.emergency, conditions.emergency_services)
        flow = INNER_FLOW if forwarders else None
        self._called = called(_uri(explanation.question.dialled), (*conditions.domains, ""), flow, emergency)
        self._dialled = self._called.number
        self._at = explanation.question.at

    async def run(self) -> None:
        question = self._explanation.question
        routes = await self._inquiry.routes()
        parties, caller = await self._identify(routes)
        if caller is None:
            self._explanation.refusal = Refusal(407, 21, f"nobody logs in as {question.caller}")
            return
        note_caller(self._trace, caller, question.source or "its phone")
        await self._decide(routes, parties, caller)

    async def run_forwarded(self, routes: RouteBook, forwarding: Forwarding) -> None:
        """The same for a call that an account forwards."""
        parties = await self._inquiry.parties(caller=forwarding.account, ani=None, dialled=self._dialled, at=self._at)
        caller = Caller(forwarding.number, forwarding.display, None, forwarding)
        note_caller(self._trace, caller, "")
        await self._decide(routes, parties, caller)
        if self._explanation.refusal is not None:
            _note_refusal(self._trace, self._explanation.refusal)

    async def _decide(self, routes: RouteBook, parties: Parties, caller: Caller) -> None:
        explanation, conditions, account = self._explanation, self._conditions, parties.caller
        if self._called.refusal is not None:
            explanation.refusal = self._called.refusal
            return
        rated = parties.callee.number if parties.callee is not None else self._dialled
        rates = await self._inquiry.rates(account.tariff_id if account else None, rated)
        dial_plan = DialPlan(rates, routes, conditions.emergency, conditions.applications, conditions.number_price)
        plan = plan_call(parties, self._dialled, caller, dial_plan, explanation.question.at, self._trace)
        self._note_rejections(account, rates, rated, routes, plan)
        if isinstance(plan, Refusal):
            explanation.refusal = plan
            return
        explanation.plan = plan
        if plan.payer is not None and plan.rate is not None and not plan.rate.is_free:
            explanation.longest_seconds = seconds_covered(plan.rate, plan.payer.available)
            explanation.locks = tuple(await self._inquiry.locks(plan.payer.balance_id))
        if await self._ways(plan, parties, caller, routes):
            await self._authorise(plan, caller)
        else:
            explanation.refusal = nowhere(plan)

    async def _identify(self, routes: RouteBook) -> tuple[Parties, Caller | None]:
        question, inquiry = self._explanation.question, self._inquiry
        node = self._conditions.node
        places = None if node is None else node.destinations
        gateway = known_carrier(routes, _socket(question.source), places) if question.source else None
        if gateway is not None:
            ani = calling_number(question.caller)
            identifies = gateway.identifies == "yes"  # nobody can say what a carrier would attest
            calling = ani if identifies and ani else None
            parties = await inquiry.parties(caller=None, ani=calling, dialled=self._dialled, at=self._at)
            return carrier_caller(parties, gateway, ani, identifies=identifies)
        name = routes.account_at(_socket(question.source)[0]) if question.source else None
        if name is not None:
            parties = await inquiry.parties(caller=name, ani=None, dialled=self._dialled, at=self._at)
            return parties, address_caller(parties)
        if question.source:
            self._trace.add(
                "caller", "{source} is no carrier's address: the caller is asked for a password", source=question.source
            )
        parties = await inquiry.parties(caller=question.caller, ani=None, dialled=self._dialled, at=self._at)
        account = login_account(parties)
        return parties, None if account is None else account_caller(account, question.caller)

    def _note_rejections(
        self, payer: Party | None, rates: RateBook, rated: str, routes: RouteBook, plan: Plan | Refusal
    ) -> None:
        """What matched too and was not taken."""
        at = self._explanation.question.at
        chosen = plan.rate.rate_id if isinstance(plan, Plan) and plan.rate is not None else None
        is_rated = not isinstance(plan, Plan) or plan.rate is not None
        tariff_id = payer.tariff_id if payer is not None and is_rated else None
        for rate in rates.matching(tariff_id, rated) if tariff_id is not None else ():
            if rate.rate_id == chosen or rate.blocked:
                continue
            in_force = rate.effective_from <= at and (rate.effective_to is None or at < rate.effective_to)
            self._trace.add(
                "rate",
                "not taken: {prefix} ({price} a minute): {why}",
                prefix=rate.prefix or "(any)",
                price=rate.next_price,
                why="a longer prefix matches"
                if in_force
                else f"in force {_span(rate.effective_from, rate.effective_to)}",
            )
        if isinstance(plan, Plan) and (plan.callee is not None or plan.application is not None):
            return
        for route in routes.closed_routes_for(self._dialled):
            self._trace.add(
                "route",
                "not taken: {gateway} ({prefix}): {why}",
                gateway=route.gateway.name,
                prefix=route.prefix or "everything",
                why="for incoming calls only" if route.gateway.enabled else "disabled",
            )

    async def _ways(self, plan: Plan, parties: Parties, caller: Caller, routes: RouteBook) -> bool:
        """Explain whom the call would ring; false: nobody."""
        trace, conditions = self._trace, self._conditions
        if plan.application is not None:
            target = f" for {plan.application.target}" if plan.application.target else ""
            trace.add("ring", "the media server is asked for {name}{target}", name=plan.application.name, target=target)
            return True
        if plan.callee is not None:
            timeline = Timeline(self._surroundings(plan.callee, caller), plan.callee, parties.bindings, caller, trace)
            return await timeline.tell(lambda forwarding, to: self._forwarded(routes, forwarding, to))
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

    async def _forwarded(self, routes: RouteBook, forwarding: Forwarding, to: str) -> None:
        """Explain a call that an account would forward, within the answer."""
        inner = Explanation(replace(self._explanation.question, dialled=to), Trace())
        answering = _Answering(self._inquiry, inner, self._conditions, (*self._forwarders, forwarding.account))
        await answering.run_forwarded(routes, forwarding)
        for step in inner.trace.read():
            self._trace.steps.append(step._replace(template=_INDENT + step.template))

    async def _authorise(self, plan: Plan, caller: Caller) -> None:
        if plan.payer is None:
            return
        explanation, credit = self._explanation, Credit(plan.rate, self._conditions.credit, plan.payer.available)
        start = call_start(
            plan,
            plan.payer,
            caller,
            credit,
            call_id=_CALL_ID,
            dialled=self._dialled,
            started_at=explanation.question.at,
            emergency=self._conditions.emergency,
        )
        grant = await self._inquiry.try_call(start)
        explanation.refusal = refused(grant)
        if explanation.refusal is None:
            credit.granted(grant.locked)
            explanation.first_slice = grant.locked
            note_grant(self._trace, credit, plan.payer)


def _uri(text: str) -> Uri:
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


def _span(since: datetime, until: datetime | None) -> str:
    return f"from {since:%Y-%m-%d %H:%M}" + ("" if until is None else f" to {until:%Y-%m-%d %H:%M}")
