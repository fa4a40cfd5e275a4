# SPDX-License-Identifier: Apache-2.0
"""Accounts by the million: random numbers and passwords, copied into the store in chunks.

Each chunk is one transaction that locks the batch: accounts, balances, opening entries and names, or nothing of them.
Whoever was interrupted and asks again goes on after the last control number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import psycopg
from django.db import IntegrityError, connection, transaction

from billing.audit_log.action import Action
from billing.customers.batch_error import BatchError
from billing.customers.models import Account, Batch, Customer, usual_calls_out
from billing.customers.names import FREE, Reserved
from billing.printing.digits import draw, escaped, random_digits
from billing.settings import passwords as sealing
from billing.tariffs.models import Product
from billing_client.rules.check_digit import check_digit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from decimal import Decimal

    from billing.audit_log.actor import Actor

__all__ = ["AccountGeneration", "account_batch", "generate", "last_number", "passwords"]

GENERATE: Final = Action("accounts.generate", "batch")
CHUNK: Final = 10_000
NAME_LOCK: Final = 0x6E616D65
"""Advisory lock under which numbers and PINs are drawn and inserted."""
SPARSE: Final = 10
"""So many random numbers there are at least for each account."""
PINS_FOR_A_CARD: Final = 1_000_000
"""So many PINs there are at least for each card, so that a guess among them hits none in a lifetime of guesses: callers
whom nobody vouches for get some two hundred an hour (docs/vouchers.md)."""
CARDS = """
SELECT count(*) FROM billing_alias
 WHERE name LIKE '%%@pin' AND strpos(name, '#') = 0 AND length(name) = %s + length('@pin')"""
LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
PASSWORD_LENGTH: Final = 12
SHORTEST_RANDOM: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountGeneration:
    """What is to be generated."""

    customer: str
    batch: str
    count: int
    """So many accounts the batch shall have."""
    kind: str = "debit"
    product: str | None = None
    opening_balance: Decimal | None = None
    """Funds of a debit account; debt of a credit account."""
    credit_limit: Decimal | None = None
    number_digits: int = 12
    """Of a whole random number: prefix, random digits, check digit."""
    prefix: str | None = None
    """What numbers begin with. None: of random ones 0, which no country code begins with (ITU-T E.164), so that a call
    to a telephone number never ends at one of these accounts."""
    first_number: int | None = None
    """Numbers follow from this one, without a check digit; None: they are random."""
    pin_digits: int = 0
    """Of the PIN of a calling card; 0: none."""
    password_digits: int = 0
    """Passwords are so many digits, which can be typed at the telephone; 0: letters and digits."""
    columns: Mapping[str, Any] | None = None
    """Further columns of every account."""
    reserved: Reserved = FREE
    """Names that lead somewhere else than to accounts."""

    @property
    def beginning(self) -> str:
        """The prefix, where it is decided."""
        if self.prefix is None:
            return "0" if self.first_number is None else ""
        return self.prefix


def account_batch(name: str, customer: Customer) -> Batch:
    """Find or make a batch of accounts, and lock it until the transaction ends. Raises BatchError."""
    batch, _ = Batch.objects.get_or_create(name=name, defaults={"customer": customer, "kind": "account"})
    if batch.customer_id != customer.pk:
        raise BatchError(f"batch {name} is another customer's")
    if batch.kind != "account":
        raise BatchError(f"batch {name} holds vouchers, no accounts")
    return Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)


def last_number(batch: Batch) -> int:
    """The highest control number of a batch; 0: it is empty."""
    found = Account.objects.filter(batch=batch).order_by("-control_number").values_list("control_number", flat=True)
    return found.first() or 0


def generate(actor: Actor, asked: AccountGeneration, on_progress: Callable[[int, int], None]) -> tuple[int, int]:
    """Generate what the batch lacks; the first and the last new control number. Raises BatchError.

    `on_progress` is told how many of how many are there.
    """
    with GENERATE.by(actor, asked.batch) as deed:
        customer = Customer.objects.filter(name=asked.customer).select_related("balance").first()
        if customer is None:
            raise BatchError(f"there is no customer {asked.customer}")
        product = Product.objects.filter(name=asked.product).first() if asked.product else None
        if asked.product and product is None:
            raise BatchError(f"there is no product {asked.product}")
        _check(asked)
        batch = account_batch(asked.batch, customer)
        present = last_number(batch)
        first, last = present + 1, max(present, asked.count)
        if last == present:
            deed.nothing()
        deed.changed({"count": present}, {"count": last})
        deed.tell(since=first, to=last, kind=asked.kind, opening_balance=asked.opening_balance or 0)
    maker = _Maker(asked, batch, customer, product)
    while present < last:
        try:
            with transaction.atomic():
                present = maker.chunk(last)
        except (IntegrityError, psycopg.IntegrityError) as error:  # COPY passes Django by
            raise BatchError(f"accounts from number {present + 1} on are refused: {_reason(error)}") from error
        on_progress(present - first + 1, last - first + 1)
    return first, last


def _reason(error: Exception) -> str:
    taken = re.search(r"Key \(number\)=\((.*)\) already exists|Key \(name\)=\((.*)\) already exists", str(error))
    return f"{taken[1] or taken[2]} is taken" if taken else str(error).splitlines()[0]


def _check(asked: AccountGeneration) -> None:
    if asked.kind == "subordinate" and asked.opening_balance:
        raise BatchError("subordinate accounts have no balance of their own")
    if (asked.kind == "credit") != (asked.credit_limit is not None):
        raise BatchError("credit accounts need a credit limit, others have none")
    if asked.pin_digits:
        _check_pins(asked.count, asked.pin_digits)
    if asked.first_number is not None:
        return
    random = asked.number_digits - len(asked.beginning) - 1
    if random < SHORTEST_RANDOM or asked.count * SPARSE > 10**random:
        raise BatchError(f"{asked.count} accounts need longer numbers than {asked.number_digits} digits")
    if any(asked.beginning.startswith(one) for one in asked.reserved.beginnings):
        raise BatchError(f"numbers that begin with {asked.beginning} lead somewhere else than to accounts")


def _check_pins(count: int, digits: int) -> None:
    """Of PINs that others have as well: whoever guesses is glad of any."""
    with connection.cursor() as cursor:
        cursor.execute(CARDS, [digits])
        cards = max(count, cursor.fetchone()[0])
    if cards * PINS_FOR_A_CARD > 10**digits:
        needed = len(str(cards * PINS_FOR_A_CARD - 1))
        raise BatchError(
            f"{cards} cards need PINs of {needed} digits or more, not {digits}: one guess in a million may be right"
        )


class _Maker:
    """Makes the chunks of one generation."""

    def __init__(self, asked: AccountGeneration, batch: Batch, customer: Customer, product: Product | None) -> None:
        self.asked = asked
        self.batch = batch
        self.customer = customer
        columns = {"max_calls_out": usual_calls_out(asked.kind)}
        self.columns = columns | {"product_id": product and product.pk} | dict(asked.columns or {})

    def chunk(self, last: int) -> int:
        """Copy the next accounts; the last control number then."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [NAME_LOCK])
            cursor.execute("SELECT 1 FROM billing_batch WHERE id = %s FOR NO KEY UPDATE", [self.batch.pk])
            present = last_number(self.batch)
            count = min(CHUNK, last - present)
            if count <= 0:
                return present
            numbers = self._numbers(cursor, present, count)
            ids = _next_ids(cursor, "billing_account", count)
            balances = self._balances(cursor, count)
            secrets = map(sealing().seal, self._passwords(count))
            tail = [self.customer.pk, self.asked.kind, self.batch.pk, *self.columns.values()]
            _copy(
                cursor,
                "billing_account",
                ("id", "number", "balance_id", "password", "control_number", "customer_id", "kind", "batch_id",
                 *self.columns),
                ([*row, *tail] for row in zip(ids, numbers, balances, secrets,
                                              range(present + 1, present + count + 1), strict=True)),
            )  # fmt: skip
            self._open(cursor, numbers, balances)
            if self.asked.pin_digits:
                pins = _untaken(cursor, count, lambda n: random_digits(n, self.asked.pin_digits), "@pin")
                _copy(cursor, "billing_alias", ("name", "account_id"), zip(pins, ids, strict=True))
        return present + count

    def _numbers(self, cursor: Any, present: int, count: int) -> list[str]:
        first = self.asked.first_number
        if first is not None:
            following = [f"{self.asked.beginning}{first + index}" for index in range(present, present + count)]
            problem = next(filter(None, map(self.asked.reserved.problem, following)), None)
            if problem is not None:
                raise BatchError(problem)
            return following
        length = self.asked.number_digits - len(self.asked.beginning) - 1

        def drawn(count: int) -> list[str]:
            begun = [self.asked.beginning + digits for digits in random_digits(count, length)]
            made = [digits + check_digit(digits) for digits in begun]
            return [number for number in made if self.asked.reserved.problem(number) is None]

        return _untaken(cursor, count, drawn)

    def _passwords(self, count: int) -> list[str]:
        digits = self.asked.password_digits
        return random_digits(count, digits) if digits else passwords(count)

    def _balances(self, cursor: Any, count: int) -> list[int]:
        if self.asked.kind == "subordinate":
            return [self.customer.balance_id] * count
        ids = _next_ids(cursor, "billing_balance", count)
        kind = "credit" if self.asked.kind == "credit" else "debit"
        currency, limit = self.customer.balance.currency, self.asked.credit_limit
        _copy(
            cursor, "billing_balance", ("id", "kind", "currency", "credit_limit"),
            ([balance, kind, currency, limit] for balance in ids),
        )  # fmt: skip
        return ids

    def _open(self, cursor: Any, numbers: Sequence[str], balances: Sequence[int]) -> None:
        """Funds come from the ledger; its trigger moves the balances. Debit: funds; credit: a debt."""
        if self.asked.opening_balance:
            _copy(
                cursor, "billing_ledgerentry", ("key", "balance_id", "amount", "kind"),
                ([f"opening:{number}", balance, self.asked.opening_balance, "opening"]
                 for number, balance in zip(numbers, balances, strict=True)),
            )  # fmt: skip


def _copy(cursor: Any, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        copy.write("".join("\t".join(map(_text, row)) + "\n" for row in rows))


def _text(value: Any) -> str:
    return r"\N" if value is None else escaped(str(value))


def _next_ids(cursor: Any, table: str, count: int) -> list[int]:
    cursor.execute(f"SELECT nextval(pg_get_serial_sequence('{table}', 'id')) FROM generate_series(1, %s)", [count])
    return [row[0] for row in cursor.fetchall()]


def _untaken(cursor: Any, count: int, drawn: Callable[[int], list[str]], suffix: str = "") -> list[str]:
    """Names that lead to no account yet."""
    found: dict[str, None] = {}
    while len(found) < count:
        fresh = [name + suffix for name in drawn(count - len(found))]
        cursor.execute("SELECT name FROM billing_alias WHERE name = ANY(%s)", [fresh])
        taken = {row[0] for row in cursor.fetchall()}
        found |= dict.fromkeys(name for name in fresh if name not in taken)
    return list(found)


def passwords(count: int) -> list[str]:
    """Random SIP passwords that can be typed on a phone."""
    letters = "".join(LETTERS[value] for value in draw(count * PASSWORD_LENGTH, len(LETTERS)))
    return [letters[start : start + PASSWORD_LENGTH] for start in range(0, len(letters), PASSWORD_LENGTH)]
