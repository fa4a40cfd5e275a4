# SPDX-License-Identifier: Apache-2.0
"""How a call to an account goes on: its phones, its forwards, its mailbox, one step after the other.

Pure: a course is asked for its next step with what became of the last one. Time and randomness are arguments.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from datetime import datetime
    from random import Random

    from billing_client.rules.incoming import AnsweringRules, FollowMe, Forward, Mode
    from switch.trace.trace import Trace

__all__ = [
    "Course",
    "Deposit",
    "ForwardTo",
    "Happened",
    "RingPhones",
    "Step",
    "Surroundings",
    "happened",
    "takes_messages",
]


class Happened(Enum):
    """What became of a step; the value says it in words."""

    BUSY = "busy"
    NO_ANSWER = "no answer"
    UNREGISTERED = "no phone is registered"
    FAILED = "the phone cannot be reached"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class RingPhones:
    """The account's own phones."""

    seconds: float


@dataclass(frozen=True, slots=True)
class ForwardTo:
    """Places that ring at the same time, each for its own time."""

    forwards: tuple[Forward, ...]
    cause: int
    """Why, as RFC 4458 writes it."""
    reason: str
    """The same as RFC 5806 writes it."""
    decline_ends: bool = False


@dataclass(frozen=True, slots=True)
class Deposit:
    """The account's mailbox."""

    cause: int
    reason: str


Step = RingPhones | ForwardTo | Deposit

_UNCONDITIONAL: Final = (302, "unconditional")
_DISTURBED: Final = (480, "do-not-disturb")
_WHY: Final = {
    Happened.BUSY: (486, "user-busy"),
    Happened.DECLINED: (486, "user-busy"),
    Happened.NO_ANSWER: (408, "no-answer"),
    Happened.UNREGISTERED: (404, "unavailable"),
    Happened.FAILED: (404, "unavailable"),
}
_TRIGGERS: Final = {
    Happened.BUSY: "busy",
    Happened.DECLINED: "busy",
    Happened.NO_ANSWER: "no_answer",
    Happened.UNREGISTERED: "unregistered",
    Happened.FAILED: "unregistered",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the rules do not say."""

    at: datetime
    """When the call began."""
    ring_seconds: float
    """How long phones ring where the account does not say."""
    may_forward: bool = True
    """False: the call has been forwarded so often, or by this account before."""
    serves_voicemail: bool = True
    """Whether there is a media server."""
    takes_messages: bool = True
    """False: the call was forwarded by an account that takes its messages itself."""
    rings_alias: bool = False
    """What is rung is an alias that registers by itself: where it does not, the call is dropped."""


def happened(status: int) -> Happened:
    """What the final response of a step says of the callee; 487: it rang and was not answered in time."""
    if status in (486, 600):
        return Happened.BUSY
    if status > 600:
        return Happened.DECLINED
    return Happened.NO_ANSWER if status in (408, 487) else Happened.FAILED


class Course:
    """The steps of one call to an account."""

    __slots__ = ("_steps",)

    def __init__(self, rules: AnsweringRules, surroundings: Surroundings, random: Random, trace: Trace) -> None:
        self._steps = _Walk(rules, surroundings, random, trace).steps()

    def next(self, last: Happened | None = None) -> Step | None:
        """The next step after what became of the last one; None: there is none."""
        try:
            return next(self._steps) if last is None else self._steps.send(last)
        except StopIteration:
            return None


class _Walk:
    """The way through one account's rules."""

    def __init__(self, rules: AnsweringRules, surroundings: Surroundings, random: Random, trace: Trace) -> None:
        self._rules = rules
        self._around = surroundings
        self._random = random
        self._trace = trace
        self._local = rules.local(surroundings.at)

    def steps(self) -> Generator[Step, Happened, None]:
        """Every step in turn."""
        rules, phases = self._rules, _phases(self._rules.mode)
        why = _UNCONDITIONAL
        if rules.mode != "ring":
            self._trace.add("answering", "answering mode: {mode}", mode=rules.mode.replace("_", " "))
        if self._is_due("always"):
            phases = ("always", *(phase for phase in phases if phase == "voicemail"))
        elif rules.do_not_disturb:
            self._trace.add("answering", "do not disturb: no phone rings")
            phases, why = tuple(phase for phase in phases if phase == "voicemail"), _DISTURBED
        for phase in phases:
            if phase == "ring":
                last = yield RingPhones(self._ring_seconds)
                why = _WHY[last]
                if last is Happened.UNREGISTERED and self._around.rings_alias:
                    self._trace.add("answering", "the alias registers by itself and is not registered: no call to it")
                    return
                if last is Happened.DECLINED and rules.decline_ends:
                    self._trace.add("answering", "declined: that ends the call")
                    return
                steps = self._conditional(_TRIGGERS[last], why)
            elif phase == "voicemail":
                steps = self._voicemail(why)
            elif phase == "always":
                steps = self._conditional("always", why)
            else:
                steps = self._follow_me(why)
            for step in steps:
                last = yield step
                if last is Happened.DECLINED and rules.decline_ends:
                    return

    @property
    def _ring_seconds(self) -> float:
        rules = self._rules
        seconds = float(rules.ring_seconds or self._around.ring_seconds)
        if rules.no_answer_seconds and self._is_due("no_answer"):
            seconds = min(seconds, float(rules.no_answer_seconds))
        return seconds

    def _is_due(self, trigger: str) -> bool:
        forward = self._rules.forwards.get(trigger)
        return forward is not None and forward.is_due(self._local)

    def _conditional(self, trigger: str, why: tuple[int, str]) -> list[Step]:
        forward = self._rules.forwards.get(trigger)
        return [] if forward is None else self._forwards([(forward,)], why)

    def _follow_me(self, why: tuple[int, str]) -> list[Step]:
        follow_me = self._rules.follow_me
        if not follow_me.entries:
            self._trace.add("answering", "the follow-me list is empty")
        if follow_me.order == "percentage" and self._around.may_forward:
            # Only those that are due share the calls: one that rings nobody takes none from the others.
            follow_me = replace(follow_me, entries=tuple(entry for entry in follow_me.entries if self._is_used(entry)))
        return self._forwards(_groups(follow_me, self._random), (why[0], "follow-me"))

    def _forwards(self, groups: Iterable[Sequence[Forward]], why: tuple[int, str]) -> list[Step]:
        if not self._around.may_forward:
            self._trace.add("answering", "a loop: this call is not forwarded again")
            return []
        return [
            ForwardTo(due, *why, decline_ends=self._rules.decline_ends)
            for group in groups
            if (due := tuple(forward for forward in group if self._is_used(forward)))
        ]

    def _is_used(self, forward: Forward) -> bool:
        if forward.is_due(self._local):
            return True
        self._trace.add(
            "answering",
            "not taken: {name} is {why}",
            name=forward.name,
            why=f"not used at {self._local:%a %H:%M}" if forward.active else "switched off",
        )
        return False

    def _voicemail(self, why: tuple[int, str]) -> list[Step]:
        if not self._rules.has_mailbox:
            self._trace.add("answering", "the mailbox is switched off")
        elif not self._around.serves_voicemail:
            self._trace.add("answering", "no media server takes messages")
        elif not self._around.takes_messages:
            self._trace.add("answering", "messages are for the mailbox of who was called first")
        else:
            return [Deposit(*why)]
        return []


def takes_messages(rules: AnsweringRules) -> bool:
    """Whether calls to an account end in its mailbox."""
    return rules.has_mailbox and "voicemail" in _phases(rules.mode)


def _phases(mode: Mode) -> tuple[str, ...]:
    return () if mode == "reject" else tuple(mode.split("_then_"))


def _groups(follow_me: FollowMe, random: Random) -> list[tuple[Forward, ...]]:
    """The entries that ring at the same time, in the order to try them."""
    entries = list(follow_me.entries)
    match follow_me.order:
        case "simultaneous":
            return [tuple(entries)]
        case "random":
            random.shuffle(entries)
        case "percentage":
            weights = [entry.percent for entry in entries]
            return [(random.choices(entries, weights)[0],)] if any(weights) else []
        case _:
            pass
    return [(entry,) for entry in entries]
