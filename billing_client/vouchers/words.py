# SPDX-License-Identifier: Apache-2.0
"""The words in which vouchers are spoken of, the door to them, and what a store of vouchers outside must offer."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol

from billing_client.names import text

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from decimal import Decimal

__all__ = [
    "LONGEST_ID",
    "Channel",
    "GuessSource",
    "Redeemed",
    "RejectedReason",
    "VoucherRejected",
    "VoucherSettings",
    "VoucherStore",
    "VoucherStoreUnavailable",
    "Vouchers",
    "WantedReceipts",
]

RejectedReason = Literal[
    "unknown", "password", "plain", "used", "expired", "inactive", "blocked", "currency", "realm",
    "kind", "account", "locked", "unavailable", "pending",
]  # fmt: skip


LONGEST_ID: Final = 20
"""Digits of a voucher's id."""
LONGEST_NUMBER: Final = 64
LONGEST_WAY: Final = 24


@dataclass(frozen=True, slots=True)
class GuessSource:
    """Where a code or PIN comes from: who is known for certain, and the way by which it came."""

    ani: str
    """The calling number; empty or "anonymous" where it is withheld. By itself it says nothing of who calls."""
    access_number: str = ""
    """What was dialled, or whatever else the code came through."""
    gateway: str = ""
    """The carrier that brought the call; empty: a phone of ours."""
    phone: str = ""
    """The account of ours whose own phone calls."""
    is_vouched: bool = False
    """The gateway's numbers identify: the calling number is who calls."""

    @property
    def guesser(self) -> str:
        """Who tries, in the words of the store; empty: nobody can say, and then nobody is locked for it."""
        if self.phone:
            return f"phone {text(self.phone, LONGEST_NUMBER)}"
        is_number = self.is_vouched and self.ani not in ("", "anonymous")
        return f"number {text(self.ani, LONGEST_NUMBER)}" if is_number else ""

    @property
    def access(self) -> str:
        """The access number, as the store takes it."""
        return text(self.access_number, LONGEST_WAY)

    @property
    def way(self) -> str:
        """By which way it came: what is locked of somebody else's mailbox or card."""
        return f"{text(self.gateway, LONGEST_WAY) or 'phones'} {self.access}"


Channel = Literal["email", "sms"]


@dataclass(frozen=True, slots=True)
class WantedReceipts:
    """How the owner is told of a recharge, beside the call; once for each redemption."""

    channels: tuple[Channel, ...]
    language: str
    """Of an account that has none."""
    caller: str
    """The number that an SMS goes to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redeemed:
    """The account has the money."""

    amount: Decimal
    """What the voucher was worth."""
    currency: str
    balance: Decimal
    """After it: funds of a debit account, debt of a credit account."""
    available: Decimal
    expires_at: datetime | None
    """First instant at which the account cannot be used; None: it does not expire."""
    days: int | None
    """Whole days until then."""
    delay_seconds: int = 0
    """How late the answer shall be, because wrong codes came before it."""


@dataclass(frozen=True, slots=True)
class VoucherRejected:
    """The account has no money of it. Whoever typed the code must hear the same for every reason but these: "kind" and
    "account" (they do not depend on the code), "unavailable" and "pending" (of external stores)."""

    reason: RejectedReason
    """For the records. "password": the id is right and what follows is not. "plain": it has no password, and such
    vouchers are not allowed. "currency", "realm": they differ from the account's. "kind": the account cannot be
    recharged, since it has no balance of its own. "account": there is none, or it is closed. "locked": too many wrong
    codes; the code was not looked at. "unavailable": an external store does not answer, and nothing was done.
    "pending": an external store may have depleted the voucher; the account is credited once it has said so."""
    delay_seconds: int = 0
    """How late the answer shall be."""


class Vouchers(Protocol):
    """The door to vouchers."""

    async def redeem(
        self, code: str, account: str, key: str, source: GuessSource, receipts: WantedReceipts | None = None
    ) -> Redeemed | VoucherRejected:
        """Transfer what a voucher is worth to an account (by its number or an alias), once.

        `key` names this attempt, such as the call's id and a count: asked again with the same key, code and account the
        answer is the same, and no money moves again. StoreRefused: the key was used for another code or account.
        `receipts` are queued in the same transaction.
        StoreUnavailable: it is not known whether the money was moved; ask again with the same key.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class VoucherSettings:
    """What a process is told of vouchers at its start."""

    keys_file: Path = Path("var/voucher.keys")
    id_digits: int = 11
    allow_plain: bool = False
    open_stores: Callable[[], list[VoucherStore]] = field(default=list, repr=False, compare=False)
    """Makes the adapters of the stores outside."""


class VoucherStoreUnavailable(Exception):  # noqa: N818 (a state of the store)
    """An external store did not answer, or not in a way that leaves no doubt; it may have done what it was asked."""


class VoucherStore(Protocol):
    """A store of vouchers outside: what an adapter offers.

    Its vouchers are in the currency of the customer. Every wait must be bounded. Neither method writes a code to a log.
    """

    @property
    def name(self) -> str:
        """As the configuration has it; written with every redemption."""
        ...

    async def check(self, code: str) -> Decimal | None:
        """What a voucher is worth; None if the store does not know it or it is not valid. Raises
        VoucherStoreUnavailable."""
        ...

    async def deplete(self, code: str, key: str) -> bool:
        """Mark it as depleted. True: it is depleted by this key, now or by an earlier request with the same key.
        False: for certain it is not and never will be by this key (somebody else used it). Raises
        VoucherStoreUnavailable where there is any doubt; it is asked again with the same key."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
