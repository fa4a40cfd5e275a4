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

from billing_client import names, snapshots
from billing_client.link.pool import Pool
from billing_client.rules.books import prefixed
from billing_client.rules.lifecycle import LifeTerms, expiry, refusal, zone_of
from billing_client.rules.numbering import Number, read
from billing_client.rules.pins import DEFAULT_SLOW_AFTER, is_pin
from billing_client.rules.rating import seconds_covered
from billing_client.rules.vouching import NumberTrust
from billing_client.secrets.passwords import Passwords
from billing_client.vouchers.guessing import LoginDoor

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date
    from decimal import Decimal

    from asyncpg import Record

    from billing_client.parties import AccountKind
    from billing_client.rules.vouching import Vouched
    from billing_client.vouchers.words import GuessSource

__all__ = ["AccountStatus", "Claim", "KnownPhone", "Login", "Quote", "SelfCare", "StoreSelfCare"]

STATUS = """
SELECT a.number, a.kind, f.amount, f.available, f.credit_limit, f.currency, a.language, p.tariff_id,
       a.customer_name AS customer, coalesce(p.name, '') AS product,
       least(a.max_call_price, c.max_call_price) AS cap, a.terms
  FROM account_by_name a
  JOIN billing_customer c ON c.id = a.customer_id
  JOIN billing_balance f ON f.id = a.balance_id
  LEFT JOIN billing_product p ON p.id = a.product_id
 WHERE a.name = $1"""
BY_ALIAS = (
    "SELECT a.number, a.password FROM billing_alias n JOIN billing_account a ON a.id = n.account_id WHERE n.name = $1"
)
# The account of a number, and whether the card PIN is one of its names.
OWNER = """
SELECT a.number, a.password, EXISTS (SELECT FROM billing_alias p WHERE p.name = $2 AND p.account_id = a.id) AS is_card
  FROM billing_alias n JOIN billing_account a ON a.id = n.account_id WHERE n.name = $1"""
KNOWN_CALLER = "SELECT number, trust, gateway_id FROM known_caller($1, $2)"
NUMBER_CAME = "SELECT number_came($1, $2, $3)"
CLAIM = "SELECT claim_number($1, $2, $3, $4) AS outcome"
PROVEN = "SELECT number_proven($1, $2) AS done"
COLLEAGUES = "SELECT are_colleagues($1, $2) AS are"
RING_BACK = "SELECT ring_back_taken($1, $2, $3, $4) AS id"
RING_BACK_USED = "UPDATE billing_ringback SET used = true WHERE id = $1"

MOST_CLAIMED: Final = 3
"""Numbers of an account that were claimed by telephone and not proven."""
RING_BACKS_OF_ACCOUNT: Final = 4
"""So many times what one number may have, all numbers of an account may have together."""


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


Claim = Literal["known", "claimed", "taken", "full", "unknown"]
"""Of a number that somebody claims by telephone: it is one of the account's; it is claimed now, and dials only until it
is proven; it is somebody else's; the account has claimed too many; there is no such account."""


@dataclass(frozen=True, slots=True)
class KnownPhone:
    """The account that a calling number is of."""

    number: str
    vouched: Vouched


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

    async def by_phone(self, caller: str, gateway: str) -> KnownPhone | None:
        """The account that calls from this number are (alias `CALLER@pstn`), as far as the number identifies it when it
        comes by this gateway; None: nobody."""

    async def log_in(
        self, pin: str, source: GuessSource, *, number: str = "", company: str = "", password: str | None = None
    ) -> Login:
        """Whose PIN this is: that of a calling card (alias `PIN@pin`), or with a number also that of its mailbox; with
        a company, whose authorisation code (alias `COMPANY#PIN@pin`).

        `password`: that of the account must be right too. Each is counted before it is looked at, across calls and
        nodes (`billing_client.vouchers.guessing`). Once it was right, the calling number is enough by this gateway,
        if it is one of the account's.
        """

    async def quote(self, status: AccountStatus, destination: str) -> Quote:
        """What a call to `destination` costs the account, and how long its funds last: to an account of ours by its own
        number, whatever name of it is dialled."""

    async def claim_phone(self, number: str, caller: str, gateway: str) -> Claim:
        """Recognise the account by this calling number in future; it dials only until `phone_proven`."""

    async def phone_proven(self, number: str, caller: str) -> bool:
        """A call to the number has shown that it is the account's."""

    async def are_colleagues(self, number: str, extension: str) -> bool:
        """Whether what was dialled is an account of the same customer."""

    async def take_ring_back(self, number: str, caller: str, an_hour: int) -> int | None:
        """Whether `caller` may be rung at the account's expense now: a count of that; None: not now."""

    async def ring_back_used(self, ring_back: int) -> None:
        """Whoever answered wanted the call."""


class StoreSelfCare:
    """`SelfCare` on the billing store; make one by `connect`."""

    def __init__(
        self, pool: Pool, logins: LoginDoor, *, utc: Callable[[], datetime], passwords: Passwords | None = None
    ) -> None:
        """The pool is closed by `close`."""
        self._opened = (passwords or Passwords()).open_or_none
        self._pool = pool
        self._logins = logins
        self._utc = utc
        self.guesses = logins.guesses
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
        slow_after: int = DEFAULT_SLOW_AFTER,
        utc: Callable[[], datetime] = lambda: datetime.now(UTC),
        passwords: Passwords | None = None,
    ) -> StoreSelfCare:
        """Open connections of its own; raises StoreUnavailable. PINs are locked as those of mailboxes are."""
        name = f"softswitch {node} selfcare"
        pool = Pool(dsn, name=name, size=connections, timeout_seconds=timeout_seconds, prepare=(STATUS,))
        await pool.open()
        return cls(pool, LoginDoor(pool, lock_after, lock_seconds, slow_after), utc=utc, passwords=passwords)

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def status(self, number: str) -> AccountStatus | None:
        """See `SelfCare`."""
        found = await self._pool.fetch(STATUS, names.name(number))
        return _status(found[0], self._utc()) if found else None

    async def by_phone(self, caller: str, gateway: str) -> KnownPhone | None:
        """See `SelfCare`."""
        found = (await self._pool.fetch(KNOWN_CALLER, names.name(caller), names.name(gateway)))[0]
        trust = NumberTrust.parse(found["trust"])
        vouched = "" if trust is None or found["gateway_id"] is None else trust.by(found["gateway_id"])
        return KnownPhone(found["number"], vouched) if vouched else None

    async def log_in(
        self, pin: str, source: GuessSource, *, number: str = "", company: str = "", password: str | None = None
    ) -> Login:
        """See `SelfCare`. The attempt is counted before it is looked at, and taken back if it was right."""
        card = names.pin_name(pin, company)
        asked = names.name(number) if number else _subject(card)
        attempt = await self._logins.attempt(asked, source)
        if attempt["is_locked"]:
            return Login("locked", delay_seconds=attempt["delay"])
        owner = await self._owner(card, number, pin, attempt["hash"])
        if owner is None or not _is_password(password, self._opened(owner["password"])):
            return Login("wrong", delay_seconds=await self._logins.wrong(asked, source, attempt))
        await self._logins.right(asked, source)
        if source.is_vouched:
            await self._pool.fetch(NUMBER_CAME, owner["number"], names.name(source.ani), names.name(source.gateway))
        return Login("right", owner["number"], attempt["delay"])

    async def _owner(self, card: str, number: str, pin: str, mailbox_pin: str) -> Record | None:
        if not number:
            found = await self._pool.fetch(BY_ALIAS, card) if card else []
            return found[0] if found else None
        found = await self._pool.fetch(OWNER, names.name(number), card)
        is_mailbox = await asyncio.to_thread(is_pin, pin, mailbox_pin)
        return found[0] if found and (found[0]["is_card"] or is_mailbox) else None

    async def quote(self, status: AccountStatus, destination: str) -> Quote:
        """See `SelfCare`."""
        account = await self._pool.fetch(BY_ALIAS, names.asked_name(destination))
        digits = prefixed(account[0]["number"] if account else destination)
        book = await snapshots.rates_of(
            self._pool.fetch, [] if status.tariff_id is None else [status.tariff_id], digits
        )
        rate = None if status.tariff_id is None else book.rate_for(status.tariff_id, digits, self._utc())
        if rate is None:
            return Quote("unknown")
        if rate.blocked:
            return Quote("blocked")
        if rate.is_free:
            return Quote("ok", None, rate.next_price, status.currency)
        funds = status.available if status.cap is None else min(status.available, status.cap)
        seconds = seconds_covered(rate, funds)
        return Quote("funds" if seconds == 0 else "ok", seconds, rate.next_price, status.currency)

    async def claim_phone(self, number: str, caller: str, gateway: str) -> Claim:
        """See `SelfCare`."""
        if read(caller) != Number("number", caller):
            return "unknown"
        found = await self._pool.fetch(CLAIM, names.name(number), names.name(caller), names.name(gateway), MOST_CLAIMED)
        outcome: Claim = found[0]["outcome"]
        return outcome

    async def phone_proven(self, number: str, caller: str) -> bool:
        """See `SelfCare`."""
        return bool((await self._pool.fetch(PROVEN, names.name(number), names.name(caller)))[0]["done"])

    async def are_colleagues(self, number: str, extension: str) -> bool:
        """See `SelfCare`."""
        return bool((await self._pool.fetch(COLLEAGUES, names.name(number), names.name(extension)))[0]["are"])

    async def take_ring_back(self, number: str, caller: str, an_hour: int) -> int | None:
        """See `SelfCare`."""
        most = (an_hour, RING_BACKS_OF_ACCOUNT * an_hour)
        found: int | None = (await self._pool.fetch(RING_BACK, names.name(number), names.name(caller), *most))[0]["id"]
        return found

    async def ring_back_used(self, ring_back: int) -> None:
        """See `SelfCare`."""
        await self._pool.fetch(RING_BACK_USED, ring_back)


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
