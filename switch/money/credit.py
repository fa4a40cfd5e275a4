# SPDX-License-Identifier: Apache-2.0
"""Credit control of one call: which funds to lock next, and when the paid time ends. Pure: `now` is an argument."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from billing_client.rules.rating import billed_seconds, cost, seconds_covered

if TYPE_CHECKING:
    from billing_client.rules.books import Rate
    from switch.settings import CreditSettings

__all__ = ["Charge", "Credit"]

_ZERO: Final = Decimal(0)

RINGING_SECONDS: Final = 10
"""Of a call that is not answered yet so much is locked, or the first increment: nobody talks, and others of the same
balance want to call too. Enough for the store to lock more once it is talked."""
FIRST_WARNING_SECONDS: Final = 1.0
"""After the answer: before that nobody listens."""
LAST_WARNING_SECONDS: Final = 5.0
"""Before the end: one that comes later helps nobody."""
LAST_RETRY_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Charge:
    """What a finished call costs."""

    billed_seconds: int
    amount: Decimal


class Credit:
    """Funds of one call, locked slice by slice.

    While it rings it holds the least that is of use; the first slice is locked when half of that is talked, so that
    calls that end at once cost the store no more than those that nobody answers. The call never lasts longer than the
    locked funds pay for: `end_at` is known before the answer, and only a further lock moves it. Towards the end of the
    funds more is locked at a time, so that it is known in time for the warning that no more will come.
    """

    __slots__ = (
        "_expected_seconds",
        "_is_ahead",
        "_rate",
        "_retried_end",
        "_settings",
        "_warned_at",
        "answered_at",
        "exhausted",
        "locked",
        "paid_seconds",
    )

    def __init__(self, rate: Rate | None, settings: CreditSettings, available: Decimal | None = None) -> None:
        """`available` is what the payer had before the call: an estimate, other calls spend from it too."""
        self._rate = None if rate is None or rate.is_free else rate
        self._settings = settings
        funds = available if self._rate is not None and settings.warn_seconds else None
        self._expected_seconds = None if funds is None or self._rate is None else seconds_covered(self._rate, funds)
        self._warned_at: float | None = None
        self._retried_end: float | None = None
        self._is_ahead = False
        """More than the next slice is locked."""
        self.locked = _ZERO
        self.paid_seconds: int | None = None
        """Seconds that the locked funds pay for; None: any length."""
        self.answered_at: float | None = None
        self.exhausted = False
        """The store gave less than was asked for: no further slice will come."""

    @property
    def minimum(self) -> Decimal:
        """The least that a lock must hold: the first increment."""
        return _ZERO if self._rate is None else cost(self._rate, self._rate.first_increment)

    @property
    def first_want(self) -> Decimal:
        """What to lock before the call leaves: the first seconds, in whole increments."""
        if self._rate is None:
            return _ZERO
        settings = self._settings
        seconds = min(RINGING_SECONDS, settings.slice_seconds) + settings.disconnect_before_zero_seconds
        return max(self.minimum, cost(self._rate, seconds))

    def next_want(self) -> tuple[Decimal, Decimal]:
        """How much more to lock for the next slice, and the least that helps: one increment.

        What was locked while it rang counts as the first slice: the rest of that comes with the second.
        """
        rate = self._rate
        if rate is None or self.paid_seconds is None:
            return _ZERO, _ZERO
        paid_seconds = max(self.paid_seconds, self._settings.slice_seconds)
        slice_seconds = max(self._settings.slice_seconds, rate.next_increment)
        slice_total = cost(rate, paid_seconds + slice_seconds + self._further_seconds(paid_seconds))
        one_more = cost(rate, self.paid_seconds + rate.next_increment)
        return slice_total - self.locked, one_more - self.locked

    def _further_seconds(self, paid_seconds: int) -> int:
        """What to lock beyond the next slice: nothing while the funds seem to reach far beyond it.

        Otherwise, once, as much as makes the store say before the warning is due that there is no more.
        """
        if self._is_ahead or not self._seems_short(paid_seconds):
            return 0
        return math.ceil(self._warn_ahead_seconds)

    def _seems_short(self, paid_seconds: int) -> bool:
        """Whether the warning may be due before the slice after this one would be asked for."""
        expected, further = self._expected_seconds, math.ceil(self._warn_ahead_seconds)
        return expected is not None and expected <= paid_seconds + self._settings.slice_seconds + further

    @property
    def _ask_ahead_seconds(self) -> float:
        return max(2.0, self._settings.slice_seconds / 3)

    @property
    def _warn_ahead_seconds(self) -> float:
        return self._settings.warn_seconds + self._ask_ahead_seconds

    def granted(self, locked: Decimal) -> None:
        """The store now holds `locked` for this call in all."""
        if self.paid_seconds is None:
            want = self.first_want
        else:
            want = self.locked + self.next_want()[0]
            paid_seconds = max(self.paid_seconds, self._settings.slice_seconds)
            self._is_ahead = self._is_ahead or self._further_seconds(paid_seconds) > 0
        self.exhausted = locked < want
        self.locked = locked
        self.paid_seconds = None if self._rate is None else seconds_covered(self._rate, locked)

    def refused(self) -> None:
        """The store gave nothing more."""
        self.exhausted = True

    def answered(self, now: float) -> None:
        """The callee answered: the paid time runs."""
        self.answered_at = now

    @property
    def end_at(self) -> float | None:
        """When the call must be hung up; None: no limit."""
        if self.answered_at is None or self.paid_seconds is None:
            return None
        return self.answered_at + max(0, self.paid_seconds - self._settings.disconnect_before_zero_seconds)

    @property
    def ask_at(self) -> float | None:
        """When to lock the next slice: early enough for the store to answer, late enough to lock little."""
        end = self.end_at
        if end is None or self.exhausted or self.answered_at is None:
            return None
        if self._is_ahead:
            ahead = self._warn_ahead_seconds
        elif self._seems_short(0):
            return self.answered_at
        else:
            ahead = min(self._ask_ahead_seconds, (end - self.answered_at) / 2)
        return max(self.answered_at, end - ahead)

    @property
    def warn_at(self) -> float | None:
        """When to warn the payer that the call is about to end; None: not, or not again."""
        end, settings = self.end_at, self._settings
        if end is None or not self.exhausted or self.answered_at is None or not settings.warn_seconds:
            return None
        due = max(self.answered_at + FIRST_WARNING_SECONDS, end - settings.warn_seconds)
        if self._warned_at is not None:
            if not settings.warn_again_seconds and self._warned_at >= end - settings.warn_seconds:
                return None
            due = max(due, self._warned_at + settings.warn_again_seconds)
        return due if due <= end - LAST_WARNING_SECONDS else None

    def warned(self, now: float) -> None:
        """The payer was warned."""
        self._warned_at = now

    @property
    def retry_at(self) -> float | None:
        """When to ask a last time whether somebody has topped the account up; None: that was done."""
        end = self.end_at
        if end is None or not self.exhausted or self.answered_at is None or end == self._retried_end:
            return None
        return max(self.answered_at, end - LAST_RETRY_SECONDS)

    def retried(self) -> None:
        """The store was asked a last time before the present end."""
        self._retried_end = self.end_at

    def charge(self, ended_at: float) -> Charge:
        """The charge of a call that ends now: never more time than was paid for."""
        if self.answered_at is None:
            return Charge(0, _ZERO)
        seconds = max(0.0, ended_at - self.answered_at)
        if self._rate is None:
            # at the moment of the answer a call lasts a whole second already, as it does in every carrier's records
            return Charge(_whole(seconds), _ZERO)
        if self.paid_seconds is not None:
            seconds = min(seconds, float(self.paid_seconds))
        seconds = max(seconds, _INSTANT)
        return Charge(billed_seconds(self._rate, seconds), cost(self._rate, seconds))


_INSTANT: Final = 1e-6


def _whole(seconds: float) -> int:
    return max(1, -int(-seconds // 1))
