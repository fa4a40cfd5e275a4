# SPDX-License-Identifier: Apache-2.0
"""Accounts and vouchers in memory: what `billing_client.selfcare` and `billing_client.vouchers.words` promise."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from billing_client.selfcare import AccountStatus, KnownPhone, Login, Quote
from billing_client.types import StoreUnavailable
from billing_client.vouchers.words import Redeemed, VoucherRejected

if TYPE_CHECKING:
    from billing_client.rules.vouching import Vouched
    from billing_client.selfcare import Claim
    from billing_client.vouchers.words import GuessSource, RejectedReason, WantedReceipts

__all__ = ["MemorySelfCare", "MemoryVouchers", "debit"]


def debit(number: str = "101", balance: str = "10", **changes: Any) -> AccountStatus:
    """A debit account in dollars."""
    fields: dict[str, Any] = {
        "number": number,
        "kind": "debit",
        "balance": Decimal(balance),
        "available": Decimal(balance),
        "credit_limit": None,
        "currency": "USD",
    }
    return AccountStatus(**fields | changes)


@dataclass
class MemorySelfCare:
    """Accounts by number, with PINs."""

    accounts: dict[str, AccountStatus] = field(default_factory=dict)
    pins: dict[str, str] = field(default_factory=dict)
    """Account by card PIN, or by `COMPANY#CODE`."""
    passwords: dict[str, str] = field(default_factory=dict)
    """By account."""
    quotes: dict[str, Quote] = field(default_factory=dict)
    """By destination; others are not known."""
    phones: dict[str, str] = field(default_factory=dict)
    """Account by calling number."""
    claimed: set[str] = field(default_factory=set)
    """Of these, numbers that no call has proved."""
    ring_backs: dict[int, bool] = field(default_factory=dict)
    """Whether each was used."""
    rings: bool = True
    """Whether numbers may be rung."""
    colleagues: set[str] = field(default_factory=set)
    """Extensions."""
    lock_after: int = 9
    is_late: bool = False
    """Whether wrong PINs make answers late."""
    is_away: bool = False
    wrong: Counter[str] = field(default_factory=Counter)

    def add(self, status: AccountStatus, *, pin: str = "") -> None:
        """One more account."""
        self.accounts[status.number] = status
        if pin:
            self.pins[pin] = status.number

    def credit(self, number: str, amount: Decimal) -> AccountStatus:
        """A payment."""
        status = self.accounts[number]
        gain = amount if status.kind == "debit" else -amount
        status = replace(status, balance=status.balance + gain, available=status.available + amount)
        self.accounts[number] = status
        return status

    def _answer(self) -> None:
        if self.is_away:
            raise StoreUnavailable("away")

    async def status(self, number: str) -> AccountStatus | None:
        """See SelfCare."""
        self._answer()
        return self.accounts.get(number)

    async def by_phone(self, caller: str, gateway: str) -> KnownPhone | None:
        """See SelfCare; every gateway vouches."""
        self._answer()
        vouched: Vouched = "claimed" if caller in self.claimed else "number"
        return KnownPhone(self.phones[caller], vouched) if caller in self.phones and gateway else None

    async def log_in(
        self, pin: str, source: GuessSource, *, number: str = "", company: str = "", password: str | None = None
    ) -> Login:
        """See SelfCare. Every wrong one makes the answers a second later."""
        self._answer()
        wrong = self.wrong[source.ani]
        delay = wrong if self.is_late else 0
        if wrong >= self.lock_after:
            return Login("locked", delay_seconds=delay)
        found = self.pins.get(f"{company}#{pin}" if company else pin)
        is_password = password is None or (found is not None and password == self.passwords.get(found))
        if found is None or number not in ("", found) or not is_password:
            self.wrong[source.ani] += 1
            return Login("wrong", delay_seconds=delay + 1 if self.is_late else 0)
        return Login("right", found, delay)

    async def quote(self, status: AccountStatus, destination: str) -> Quote:
        """See SelfCare."""
        self._answer()
        if status.available <= 0:
            return Quote("funds", 0)
        return self.quotes.get(destination, Quote("unknown"))

    async def claim_phone(self, number: str, caller: str, gateway: str) -> Claim:
        """See SelfCare."""
        self._answer()
        if caller not in self.phones:
            self.phones[caller] = number
            self.claimed.add(caller)
        if self.phones[caller] != number:
            return "taken"
        return "claimed" if caller in self.claimed else "known"

    async def phone_proven(self, number: str, caller: str) -> bool:
        """See SelfCare."""
        self._answer()
        assert self.phones[caller] == number
        self.claimed.discard(caller)
        return True

    async def are_colleagues(self, number: str, extension: str) -> bool:
        """See SelfCare."""
        self._answer()
        return extension in self.colleagues

    async def take_ring_back(self, number: str, caller: str, an_hour: int) -> int | None:
        """See SelfCare."""
        self._answer()
        if not self.rings:
            return None
        self.ring_backs[len(self.ring_backs) + 1] = False
        return len(self.ring_backs)

    async def ring_back_used(self, ring_back: int) -> None:
        """See SelfCare."""
        self._answer()
        self.ring_backs[ring_back] = True


@dataclass
class MemoryVouchers:
    """Vouchers by code: what each is worth, or why it is refused."""

    selfcare: MemorySelfCare
    worth: dict[str, Decimal] = field(default_factory=dict)
    refused: dict[str, RejectedReason] = field(default_factory=dict)
    seconds: float = 0.0
    """How long the store takes; the money moves in the middle of it."""
    failures: int = 0
    """So many times the store does not answer; `moves_all_the_same` says what it did."""
    moves_all_the_same: bool = False
    delay_seconds: int = 0
    asked: list[tuple[str, str, str, GuessSource]] = field(default_factory=list)
    answers: dict[str, Redeemed | VoucherRejected] = field(default_factory=dict)
    receipts: list[WantedReceipts | None] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    async def redeem(
        self, code: str, account: str, key: str, source: GuessSource, receipts: WantedReceipts | None = None
    ) -> Redeemed | VoucherRejected:
        """See Vouchers."""
        self.receipts.append(receipts)
        self.asked.append((code, account, key, source))
        await asyncio.sleep(self.seconds / 2)
        fails = self.failures > 0
        self.failures -= fails
        if fails and not self.moves_all_the_same:
            raise StoreUnavailable("away")
        if key not in self.answers:
            self.answers[key] = self._move(code, account)
        if fails:
            raise StoreUnavailable("the answer was lost")
        await asyncio.sleep(self.seconds / 2)
        return replace(self.answers[key], delay_seconds=self.delay_seconds)

    def _move(self, code: str, account: str) -> Redeemed | VoucherRejected:
        if code in self.used:
            return VoucherRejected("used")
        if code not in self.worth:
            return VoucherRejected(self.refused.get(code, "unknown"))
        self.used.add(code)
        status = self.selfcare.credit(account, self.worth[code])
        return Redeemed(
            amount=self.worth[code],
            currency=status.currency,
            balance=status.balance,
            available=status.available,
            expires_at=None,
            days=None,
        )


SUMMER = date(2027, 6, 30)
