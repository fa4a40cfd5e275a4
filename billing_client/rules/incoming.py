# SPDX-License-Identifier: Apache-2.0
"""How an account takes its incoming calls, as the store says it: answering mode, forwards, follow-me list."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, get_args
from zoneinfo import ZoneInfo

from billing_client.rules.numbering import read

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CALLER_IDS",
    "DAYS",
    "DEFAULT_FORWARD_SECONDS",
    "DEFAULT_MAX_CALLS",
    "MESSAGES",
    "MODES",
    "ORDERS",
    "TRIGGERS",
    "AnsweringRules",
    "CallerId",
    "FollowMe",
    "Forward",
    "Messages",
    "Mode",
    "Order",
    "Period",
    "read_rules",
]

Mode = Literal[
    "ring", "forward", "voicemail", "ring_then_forward", "ring_then_voicemail", "forward_then_voicemail",
    "ring_then_forward_then_voicemail", "reject",
]  # fmt: skip
Messages = Literal["own", "forwarded"]
"""In whose mailbox a message is that a forwarded caller leaves: the account's own, or that of whom it forwards to."""
Order = Literal["as_listed", "simultaneous", "random", "percentage"]
CallerId = Literal["caller", "caller_forwarder_name", "forwarder"]
"""What a forwarded party sees: the caller's number and name; the caller's number and the forwarder's name; the
forwarder's number and name."""

MODES: Final[tuple[Mode, ...]] = get_args(Mode)
MESSAGES: Final[tuple[Messages, ...]] = get_args(Messages)
ORDERS: Final[tuple[Order, ...]] = get_args(Order)
CALLER_IDS: Final[tuple[CallerId, ...]] = get_args(CallerId)
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TRIGGERS: Final = ("always", "busy", "no_answer", "unregistered")
"""When an account's calls are forwarded apart from its follow-me list: "always" before its phones ring at all."""
DEFAULT_FORWARD_SECONDS: Final = 25
DEFAULT_MAX_CALLS: Final = 5
"""Simultaneous calls that one forward carries unless it says otherwise: what bounds a loop that hides itself."""
_WHOLE_DAY: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class Period:
    """A part of the week on the clock of the account's time zone; minutes count from midnight."""

    days: frozenset[int]
    """0 is Monday."""
    begin: int = 0
    end: int = _WHOLE_DAY
    """First minute that is not in it; not after `begin`: the period goes on past midnight."""

    def holds_at(self, local: datetime) -> bool:
        """Whether a moment lies within, by the local clock: an hour that comes twice counts twice, one that is skipped
        never comes."""
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.begin < self.end:
            return day in self.days and self.begin <= minute < self.end
        yesterday = (local - timedelta(days=1)).weekday()
        return (day in self.days and minute >= self.begin) or (yesterday in self.days and minute < self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """One place that calls may be forwarded to."""

    name: str
    """Unique among the forwards of its account."""
    to: str
    """A number, or a SIP URI."""
    seconds: int = DEFAULT_FORWARD_SECONDS
    """How long it rings."""
    caller_id: CallerId = "caller"
    max_calls: int = DEFAULT_MAX_CALLS
    """Simultaneous calls that it carries."""
    active: bool = True
    confirm: bool = False
    """Who answers must press a key before he is connected: somebody else's voicemail does not."""
    keep_cld: bool = False
    """The forwarded party is told which number was dialled: in To, and in the user part of a SIP URI."""
    percent: int = 0
    """Weight within a list that splits by percentage."""
    periods: tuple[Period, ...] = ()
    """When it is used; none: always."""

    def is_due(self, local: datetime) -> bool:
        """Whether it is used at this moment of the account's own clock."""
        return self.active and (not self.periods or any(period.holds_at(local) for period in self.periods))


@dataclass(frozen=True, slots=True)
class FollowMe:
    """The list that the modes with `forward` go through."""

    order: Order = "as_listed"
    entries: tuple[Forward, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweringRules:
    """How an account takes its calls."""

    mode: Mode = "ring"
    ring_seconds: int | None = None
    """How long its phones ring; None: as configured."""
    do_not_disturb: bool = False
    decline_ends: bool = False
    """A phone that declines for everybody (a 6xx) ends the call; else it is busy."""
    forwards: Mapping[str, Forward] = field(default_factory=dict)
    """By trigger."""
    no_answer_seconds: int | None = None
    """How long phones ring before the forward on no answer; None: `ring_seconds`."""
    follow_me: FollowMe = field(default_factory=FollowMe)
    messages: Messages = "own"
    has_mailbox: bool = True
    timezone: str = ""
    """IANA name; empty: UTC."""

    def local(self, at: datetime) -> datetime:
        """An instant on the clock of the account."""
        return at.astimezone(_zone(self.timezone))

    def forward_to(self, destination: str) -> Forward | None:
        """The forward that leads to a number, however that is written."""
        forwards = (*self.follow_me.entries, *self.forwards.values())
        found = (one for one in forwards if destination in (one.to, read(one.to).text))
        return next(found, None)


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):  # a name that this machine does not know
        return ZoneInfo("UTC")


@lru_cache(maxsize=4096)
def read_rules(written: str | None) -> AnsweringRules:
    """The rules as the store writes them in JSON; what is missing or makes no sense is as by default."""
    if written is None:
        return AnsweringRules()
    values = json.loads(written)
    rules: dict[str, Any] = {}
    mailbox = values.get("mailbox")
    if values.get("mode") in MODES:
        rules["mode"] = values["mode"]
    elif mailbox:
        rules["mode"] = "ring_then_voicemail"
    for key in ("ring_seconds", "do_not_disturb", "no_answer_seconds", "timezone"):
        if values.get(key) is not None:
            rules[key] = values[key]
    forwards = {
        trigger: _forward({**entry, "name": trigger})
        for trigger, entry in (values.get("forward") or {}).items()
        if trigger in TRIGGERS and entry
    }
    listed = values.get("follow_me") or {}
    entries = tuple(_forward(entry) for entry in listed.get("entries") or ())
    order = listed.get("order")
    return AnsweringRules(
        decline_ends=values.get("on_decline") == "end",
        messages="forwarded" if values.get("messages") == "forwarded" else "own",
        forwards={trigger: forward for trigger, forward in forwards.items() if forward.to},
        follow_me=FollowMe(order if order in ORDERS else "as_listed", tuple(entry for entry in entries if entry.to)),
        has_mailbox=mailbox is not False,
        **rules,
    )


def _forward(values: Mapping[str, Any]) -> Forward:
    known = ("seconds", "max_calls", "active", "confirm", "keep_cld", "percent")
    given = {key: values[key] for key in known if values.get(key) is not None}
    caller_id = values.get("caller_id")
    if caller_id in CALLER_IDS:
        given["caller_id"] = caller_id
    periods = tuple(_period(period) for period in values.get("periods") or ())
    to = str(values.get("to") or "")
    return Forward(name=str(values.get("name") or to), to=to, periods=periods, **given)


def _period(values: Mapping[str, Any]) -> Period:
    days = frozenset(DAYS.index(day) for day in values.get("days") or DAYS if day in DAYS)
    return Period(days, _minute(values.get("from") or "00:00"), _minute(values.get("to") or "24:00"))


def _minute(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes or 0)
