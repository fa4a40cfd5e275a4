# SPDX-License-Identifier: Apache-2.0
"""What callers ask of their own account: balance, limit, expiry, how long a call may last; who they are by a PIN; and
the telephone that shall be recognised in future."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, Protocol

from billing_client import rows, statements
from billing_client.books import TariffTable, prefixed
from billing_client.guessing import LOGIN_ATTEMPT, LOGIN_FAILED, PIN_RIGHT, Guesses, counted, tell_of_guessing
from billing_client.lifecycle import LifeTerms, expiry, refusal, zone_of
from billing_client.numbering import Number, read
from billing_client.pins import is_pin
from billing_client.pool import Pool
from billing_client.rating import seconds_covered

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date
    from decimal import Decimal

    from asyncpg import Record

    from billing_client.types import AccountKind
    from billing_client.vouchers import GuessSource

__all__ = ["AccountStatus", "Login", "Quote", "SelfCare", "StoreSelfCare"]

STATUS = """
SELECT a.number, a.kind, f.amount, f.available, f.credit_limit, f.currency, a.language, p.tariff_id,
       c.name AS customer, coalesce(p.name, '') AS product,
       least(a.max_call_price, c.max_call_price) AS cap,
       account_terms(a.kind, a.state, c.state, a.activation_date, a.expiry_date, a.expire_after_first_use_days,
                     a.expire_after_last_use_days, u.first_used_at, u.last_used_at, u.renewed_at, c.timezone) AS terms
  FROM billing_alias n
  JOIN billing_account a ON a.id = n.account_id
  JOIN billing_customer c ON c.id = a.customer_id
  JOIN billing_balance f ON f.id = a.balance_id
  LEFT JOIN billing_accountuse u ON u.account_id = a.id
  LEFT JOIN billing_product p ON p.id = a.product_id
 WHERE n.name = $1"""
BY_ALIAS = (
    "SELECT a.number, a.password FROM billing_alias n JOIN billing_account a ON a.id = n.account_id WHERE n.name = $1"
)
# The account of a number, and whether the card PIN is one of its names.
OWNER = """
SELECT a.number, a.password, EXISTS (SELECT FROM billing_alias p WHERE p.name = $2 AND p.account_id = a.id) AS is_card
  FROM billing_alias n JOIN billing_account a ON a.id = n.account_id WHERE n.name = $1"""
KNOW_PHONE = """
  WITH made AS (
       INSERT INTO billing_alias (name, account_id)
       SELECT $2, n.account_id FROM billing_alias n WHERE n.name = $1
           ON CONFLICT (name) DO NOTHING
    RETURNING account_id)
SELECT EXISTS (SELECT FROM made)
    OR EXISTS (SELECT FROM billing_alias p JOIN billing_alias n ON n.account_id = p.account_id
                WHERE p.name = $2 AND n.name = $1) AS known"""

LONGEST_SOURCE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStatus:
    """An account as its user may hear of it."""

    number: str
    kind: AccountKind
    balance: Decimal
    """Funds that are left of a debit account, debt of a credit account (below zero: a deposit); of a subordinate
    account, its customer's."""
    available: Decimal
    """What may still be spent."""
    credit_limit: Decimal | None
    currency: str
    expires_on: date | None = None
    """First day on which it cannot be used, in the customer's billing time zone; None: it does not expire."""
    days_left: int | None = None
    """Days on which it can be used, today included."""
    customer: str = ""
    product: str = ""
    language: str = ""
    """Of its prompts; empty: none of its own."""
    refusal: str | None = None
    """Why it may not be used, such as "account expired"; None: it may."""
    tariff_id: int | None = None
    cap: Decimal | None = None
    """The most that one call may cost."""


@dataclass(frozen=True, slots=True)
class Login:
    """What a PIN opens."""

    verdict: Literal["right", "wrong", "locked"]
    """Callers must not be able to tell "wrong" from "locked"."""
    number: str = ""
    """Of the account, where it was right."""
    delay_seconds: int = 0
    """How late the answer shall be, because wrong PINs came before it."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What a call to a destination would be."""

    verdict: Literal["ok", "funds", "blocked", "unknown"]
    """"funds": not even the first increment is paid for; "unknown": no rate says so, ask the switch by calling."""
    seconds: int | None = None
    """The longest time that is paid for; None: any."""
    price: Decimal | None = None
    """Of a further minute."""
    currency: str = ""


class SelfCare(Protocol):
    """The door to one's own account; every method raises StoreError."""

    async def status(self, number: str) -> AccountStatus | None:
        """Of the account that a number or alias leads to."""

    async def by_phone(self, caller: str) -> str | None:
        """The account that calls from this number are (alias `CALLER@pstn`)."""

    async def log_in(
        self, pin: str, source: GuessSource, *, number: str = "", company: str = "", password: str | None = None
    ) -> Login:
        """Whose PIN this is: that of a calling card (alias `PIN@pin`), or with a number also that of its mailbox; with
        a company, whose authorisation code (alias `COMPANY#PIN@pin`).

        `password`: that of the account must be right too. Wrong ones are counted across calls and nodes: for the
        calling number and for `number`, which too many lock, and for the access number and all.
        """

    async def quote(self, status: AccountStatus, destination: str) -> Quote:
        """What a call to `destination` costs the account, and how long its funds last: to an account of ours by its own
        number, whatever name of it is dialled."""

    async def know_phone(self, number: str, caller: str) -> bool:
        """Recognise the account by this calling number in future; false: the number is somebody else's."""


class StoreSelfCare:
    """`SelfCare` on the billing store; make one by `connect`."""

    def __init__(self, pool: Pool, *, lock_after: int, lock_seconds: int, utc: Callable[[], datetime]) -> None:
        """The pool is closed by `close`."""
        self._pool = pool
        self._lock_after = lock_after
        self._lock_seconds = lock_seconds
        self._utc = utc
        self.guesses = Guesses()
        """Wrong PINs."""

    @classmethod
    async def connect(
        cls,
        dsn: str,
        *,
        node: str,
        connections: int = 2,
        timeout_seconds: float = 5.0,
        lock_after: int = 9,
        lock_seconds: int = 900,
        utc: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> StoreSelfCare:
        """Open connections of its own; raises StoreUnavailable. PINs are locked as those of mailboxes are."""
        name = f"softswitch {node} selfcare"
        pool = Pool(dsn, name=name, size=connections, timeout_seconds=timeout_seconds, prepare=(STATUS,))
        await pool.open()
        return cls(pool, lock_after=lock_after, lock_seconds=lock_seconds, utc=utc)

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def status(self, number: str) -> AccountStatus | None:
        """See `SelfCare`."""
        found = await self._pool.fetch(STATUS, rows.name(number))
        return _status(found[0], self._utc()) if found else None

    async def by_phone(self, caller: str) -> str | None:
        """See `SelfCare`."""
        found = await self._pool.fetch(BY_ALIAS, f"{rows.name(caller)}@pstn")
        return found[0]["number"] if found else None

    async def log_in(
        self, pin: str, source: GuessSource, *, number: str = "", company: str = "", password: str | None = None
    ) -> Login:
        """See `SelfCare`. The attempt is counted before it is looked at, and taken back if it was right."""
        card = rows.pin_name(pin, company)
        asked = rows.name(number) if number else _subject(card)
        ani = rows.text(source.ani, LONGEST_SOURCE)
        subjects, weights = counted(source)
        attempt = (await self._pool.fetch(LOGIN_ATTEMPT, asked, ani, subjects, self._lock_after, self._lock_seconds))[0]
        if attempt["is_locked"]:
            return Login("locked", delay_seconds=attempt["delay"])
        owner = await self._owner(card, number, pin, attempt["hash"])
        if owner is None or not _is_password(password, owner["password"]):
            failed = (await self._pool.fetch(LOGIN_FAILED, asked, ani, subjects, weights, self._lock_after))[0]
            self.guesses.wrong += 1
            self.guesses.alarms += len(failed["alarms"])
            tell_of_guessing(failed["alarms"])
            return Login("wrong", delay_seconds=failed["delay"])
        await self._pool.fetch(PIN_RIGHT, asked, ani, self._lock_after)
        return Login("right", owner["number"], attempt["delay"])

    async def _owner(self, card: str, number: str, pin: str, mailbox_pin: str) -> Record | None:
        if not number:
            found = await self._pool.fetch(BY_ALIAS, card) if card else []
            return found[0] if found else None
        found = await self._pool.fetch(OWNER, rows.name(number), card)
        is_mailbox = await asyncio.to_thread(is_pin, pin, mailbox_pin)
        return found[0] if found and (found[0]["is_card"] or is_mailbox) else None

    async def quote(self, status: AccountStatus, destination: str) -> Quote:
        """See `SelfCare`."""
        account = await self._pool.fetch(BY_ALIAS, rows.asked_name(destination))
        digits = prefixed(account[0]["number"] if account else destination)
        prefixes = [digits[:length] for length in range(len(digits) + 1)]
        table = TariffTable()
        if status.tariff_id is not None:
            for rate_id, prefix, terms in await self._pool.fetch(statements.RATES_OF, status.tariff_id, prefixes):
                table.append(rate_id, prefix, rows.terms(terms))
        rate = table.rate_for(digits, self._utc())
        if rate is None:
            return Quote("unknown")
        if rate.blocked:
            return Quote("blocked")
        if rate.is_free:
            return Quote("ok", None, rate.next_price, status.currency)
        funds = status.available if status.cap is None else min(status.available, status.cap)
        seconds = seconds_covered(rate, funds)
        return Quote("funds" if seconds == 0 else "ok", seconds, rate.next_price, status.currency)

    async def know_phone(self, number: str, caller: str) -> bool:
        """See `SelfCare`."""
        if read(caller) != Number("number", caller):
            return False
        found = await self._pool.fetch(KNOW_PHONE, rows.name(number), f"{caller}@pstn")
        return bool(found[0]["known"])


def _is_password(typed: str | None, password: str) -> bool:
    """Whether it was typed rightly, or not asked for."""
    return typed is None or (typed != "" and hmac.compare_digest(typed.encode(), password.encode()))


def _subject(card: str) -> str:
    """What a PIN without a number is counted by, beside its source: nothing that tells it."""
    return "card " + hashlib.sha256(card.encode()).hexdigest()[:32]


def _status(row: Record, now: datetime) -> AccountStatus:
    life = LifeTerms.parse(row["terms"])
    end = None if life is None else expiry(life)
    today = now.astimezone(zone_of("" if life is None else life.timezone)).date()
    return AccountStatus(
        number=row["number"],
        kind=row["kind"],
        balance=row["amount"],
        available=row["available"],
        credit_limit=row["credit_limit"],
        currency=row["currency"],
        customer=row["customer"],
        product=row["product"],
        expires_on=None if end is None else end.day,
        days_left=None if end is None else max(0, (end.day - today) // timedelta(days=1)),
        language=row["language"],
        refusal=refusal(life, now),
        tariff_id=row["tariff_id"],
        cap=row["cap"],
    )
