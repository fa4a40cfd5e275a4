# SPDX-License-Identifier: Apache-2.0
"""A call as its legs see it: they read what it is, and tell it what happened; only `calls.call` changes it."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from switch.calls.crossing import Side
from switch.money.payment import Times
from switch.sip.mark import ACCEPTED

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from billing_client.parties import Parties, Party
    from billing_client.rules.books import Gateway
    from switch.calls.bridge import Bridge
    from switch.calls.transfers.sides import Sides
    from switch.routing.caller import Caller
    from switch.routing.plan import Plan, Refusal
    from switch.sip.mark import Chain
    from switch.sip.message.message import Request
    from switch.sip.session import IncomingInvite, Requested, Session, SessionEvent
    from switch.sip.ways import Warrant
    from switch.trace.ladder import Ladder
    from switch.trace.trace import Trace

__all__ = [
    "CallState",
    "CallView",
    "Timed",
    "is_acceptance",
    "leads_to_account",
    "log_fields",
    "own_request",
    "source_of",
]


class CallState(Enum):
    """Where a call stands."""

    SETUP = "setup"
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"


class Timed:
    """When a call began, was answered, and ends, by its own clock: the wall's when it began, and monotonic since. So
    they are as far apart as they were, whatever happens to the wall's clock."""

    __slots__ = ("_clock", "answered_at", "began", "started_at")

    def __init__(self, started_at: datetime, clock: Callable[[], float]) -> None:
        """`clock`: monotonic seconds."""
        self._clock = clock
        self.started_at = started_at
        self.began = clock()
        """The same moment in monotonic seconds."""
        self.answered_at: datetime | None = None

    def move(self, seconds: float) -> None:
        """The clock of all records was set."""
        self.started_at += timedelta(seconds=seconds)
        if self.answered_at is not None:
            self.answered_at += timedelta(seconds=seconds)

    def utc(self) -> datetime:
        """Now, by this call's own clock."""
        return self.started_at + timedelta(seconds=self._clock() - self.began)

    @property
    def times(self) -> Times:
        """Those that are recorded of a call that ends now."""
        return Times(self.started_at, self.answered_at, self.utc())


class CallView(Protocol):
    """One call."""

    @property
    def call_id(self) -> str:
        """Its name in the store, at the relay and in records."""

    @property
    def state(self) -> CallState:
        """Where it stands."""

    @property
    def invite(self) -> IncomingInvite:
        """What asks for it."""

    @property
    def sides(self) -> Sides:
        """Who talks on either side."""

    @property
    def bridge(self) -> Bridge:
        """What joins its legs."""

    @property
    def trace(self) -> Trace:
        """Its reasons."""

    @property
    def ladder(self) -> Ladder | None:
        """Its messages, where they are kept."""

    @property
    def began(self) -> float:
        """When it began; monotonic."""

    @property
    def started_at(self) -> datetime:
        """When it was asked for."""

    @property
    def times(self) -> Times:
        """When it began and was answered; its end is now."""

    @property
    def dialled(self) -> str:
        """Who is called, in the one form of a number."""

    @property
    def typed(self) -> str:
        """What was dialled, where that is another."""

    @property
    def caller(self) -> Caller | None:
        """Who calls; None: not known yet."""

    @property
    def account(self) -> Party | None:
        """The account of ours that calls."""

    @property
    def depth(self) -> int:
        """How many calls one after the other were sent on for it."""

    @property
    def chain(self) -> Chain:
        """Who began all this, and through how many applications."""

    @property
    def plan(self) -> Plan | None:
        """What was decided about it."""

    @property
    def gateway(self) -> Gateway | None:
        """The carrier that is rung, or answered."""

    @property
    def warrant(self) -> Warrant | None:
        """What INVITEs to carriers show; None: they may not leave."""

    def rings(self, gateway: Gateway | None) -> None:
        """Somebody is being rung: phones, or this carrier."""

    def is_limited(self, refusal: Refusal) -> None:
        """The media server was not asked for what the call wanted of it; it is refused so where nothing else rings."""

    @property
    def limit(self) -> Refusal | None:
        """Why the media server was not asked for what the call wanted of it."""

    def is_from(self, caller: Caller, ends: Parties) -> None:
        """Who calls is known."""

    def goes_by(self, plan: Plan) -> None:
        """The dial plan lets it go on."""

    def funds_ended(self) -> None:
        """The paid time is over."""

    def funds_end_soon(self) -> None:
        """The payer is to be warned."""

    def receive(self, event: SessionEvent) -> None:
        """Something happened on a leg."""


def log_fields(call: CallView) -> dict[str, str | None]:
    """For log records: which call this is."""
    payer = call.plan.payer if call.plan is not None else None
    account = payer.number if payer else None
    sip_call_id = call.invite.request.call_id
    return {"call": call.call_id, "sip_call_id": sip_call_id, "dialled": call.dialled, "account": account}


def source_of(call: CallView) -> Side:
    """Who sent the INVITE."""
    caller = call.caller
    if caller is not None and not caller.is_own:
        return Side.OURSELVES
    return Side.PHONE if caller is None or caller.gateway is None else Side.CARRIER


def own_request(call: CallView) -> Request | None:
    """The INVITE where it is one of our own, so that what it says of its way is true."""
    return call.invite.request if source_of(call) is Side.OURSELVES else None


def leads_to_account(call: CallView, session: Session) -> bool:
    """Whether what comes by one leg goes to an account of ours, or to a call of ours that may lead to one."""
    if session in call.sides.callers:
        return call.plan is not None and call.plan.callee is not None
    return source_of(call) is not Side.CARRIER


def is_acceptance(call: CallView, event: Requested) -> bool:
    """Whether the media server says that its call was accepted."""
    is_info = event.request.method == "INFO" and event.request.get(ACCEPTED) is not None
    return is_info and event.session in call.sides.callers
