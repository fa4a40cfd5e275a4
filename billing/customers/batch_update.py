# SPDX-License-Identifier: Apache-2.0
"""Many accounts changed at once: those that filters choose, in one transaction, with a row in the log.

Calls go on meanwhile: they lock no row of an account. Calls of accounts whose balances are adjusted wait from there to
the end of the transaction, and soon every call behind them; so the balances are moved last, by one statement, and not
too many at once. Closed accounts stay as they are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db import IntegrityError, connection

from billing.audit_log.action import Action
from billing.customers.batch_error import BatchError
from billing.reading.places import read_language, read_timezone
from billing.reading.reader import Reader, shown
from billing.reading.values import amount
from billing.tariffs.models import Product
from billing_client.rules.lifecycle import LONGEST_DAYS, STATES
from billing_client.rules.sending_on import TRANSFERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime
    from decimal import Decimal

    from billing.audit_log.actor import Actor

__all__ = ["MOST_ADJUSTED", "Filters", "count", "described", "read_changes", "update"]

UPDATE: Final = Action("accounts.update", "batch")
MOST_TOLD: Final = 5
"""So many values that a setting had before are told one by one."""
MOST_ADJUSTED: Final = 100_000
"""So many balances move in 0.2 to 0.7 s, while calls wait; a switch gives up on the store after two."""
FROM: Final = """
  FROM billing_account a
  JOIN billing_customer c ON c.id = a.customer_id
  JOIN billing_balance b ON b.id = a.balance_id
  LEFT JOIN billing_batch g ON g.id = a.batch_id
  LEFT JOIN billing_product p ON p.id = a.product_id
 WHERE a.state <> 'closed'"""
REGISTERED: Final = "EXISTS (SELECT FROM billing_binding r WHERE r.aor = a.number AND r.expires_at > now())"
UNUSED_SINCE: Final = "NOT EXISTS (SELECT FROM billing_accountuse u WHERE u.account_id = a.id AND u.last_used_at >= %s)"
ADJUST: Final = """
INSERT INTO billing_adjustment (number, gain, accounts)
VALUES (%s, %s, %s)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which accounts; None: any."""

    customer: str | None = None
    batch: str | None = None
    numbers: tuple[int, int] | None = None
    """Control numbers, both ends chosen."""
    registered: bool | None = None
    state: str | None = None
    product: str | None = None
    kind: str | None = None
    balance_below: Decimal | None = None
    """Of the balance that it uses: funds of a debit account, debt of a credit account."""
    balance_from: Decimal | None = None
    """So much or more."""
    created_before: datetime | None = None
    created_after: datetime | None = None
    """At or after."""
    expires_before: date | None = None
    """By its expiry date; those without one are not chosen."""
    expires_after: date | None = None
    """On that day or later."""
    unused_since: datetime | None = None
    """Not used at that time or later, or never."""

    def __str__(self) -> str:
        given = {name: value for name, value in asdict(self).items() if value is not None}
        if self.numbers:
            given["numbers"] = f"{self.numbers[0]}-{self.numbers[1]}"
        if self.registered is not None:
            given["registered"] = "yes" if self.registered else "no"
        return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in given.items()) or "all accounts"


def read_changes(written: Mapping[str, str]) -> dict[str, Any]:
    """Settings as they are typed, such as `{"state": "blocked", "balance": "+5"}`; `none` takes one away.

    Raises BatchError.
    """
    problems: list[str] = []
    fields = Reader({key: None if value == "none" else value for key, value in written.items()}, "", problems)
    changes = fields.given(
        state=fields.choice("state", tuple(state for state in STATES if state != "closed")),
        product=fields.optional_text("product"),
        activation_date=fields.day("activation_date"),
        expiry_date=fields.day("expiry_date"),
        expire_after_first_use_days=fields.integer("expire_after_first_use_days", least=1, most=LONGEST_DAYS),
        expire_after_last_use_days=fields.integer("expire_after_last_use_days", least=1, most=LONGEST_DAYS),
        max_calls=fields.integer("max_calls", least=1),
        max_calls_in=fields.integer("max_calls_in", least=0),
        max_calls_out=fields.integer("max_calls_out", least=0),
        max_call_price=fields.money("max_call_price"),
        timezone=read_timezone(fields),
        language=read_language(fields),
        transfers=fields.choice("transfers", TRANSFERS),
        sub_realm=fields.text("sub_realm"),
        balance=_adjustment(fields),
    )
    fields.end()
    for name in ("state", "transfers"):
        if name in changes and changes[name] is None and not problems:
            fields.problem(name, "cannot be none")
    if problems:
        raise BatchError("\n".join(problems))
    if not changes:
        raise BatchError("nothing is to be changed")
    return changes


def described(changes: Mapping[str, Any]) -> dict[str, str | None]:
    """The changes as administrators read them; None: taken away."""
    said = {name: None if value is None else str(value) for name, value in changes.items()}
    if "balance" in changes:
        said["balance"] = f"{changes['balance']:+f}"
    return said


def _adjustment(fields: Reader) -> Decimal | None:
    """What every owner gains: `+5`, or loses: `-5`."""
    if not fields.has("balance"):
        return None
    value = str(fields.bare("balance"))
    gain = amount(value)
    if gain:
        return gain
    fields.problem("balance", f"{shown(value)} is not an adjustment such as +5 or -2.50")
    return None


def count(filters: Filters) -> int:
    """How many accounts the filters choose."""
    where, parameters = _where(filters)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) {FROM}{where}", parameters)
        return int(cursor.fetchone()[0])


def update(actor: Actor, filters: Filters, changes: Mapping[str, Any], expected: int | None = None) -> int:
    """Change all of them or none; how many. Raises BatchError, also if they are not as many as were `expected`."""
    columns = {_column(name): value for name, value in changes.items() if name != "balance"}
    if columns.get("product_id") is not None:
        product = Product.objects.filter(name=columns["product_id"]).first()
        if product is None:
            raise BatchError(f"there is no product {columns['product_id']}")
        columns["product_id"] = product.pk
    try:
        with UPDATE.by(actor, filters.batch or "") as deed:
            ids, kinds, before = _locked(filters, changes)
            if not ids:
                deed.nothing()
            if expected not in (None, len(ids)):
                raise BatchError(f"the filters choose {len(ids)} accounts now, not {expected}: nothing was changed")
            if "balance" in changes:
                _check_adjusted(kinds)
            deed.changed(before, described(changes))
            deed.tell(filters=str(filters), count=len(ids))
            _write(columns, changes.get("balance"), ids, deed.write())
    except IntegrityError as error:
        if "balance_no_overspend" in str(error):
            raise BatchError("an account has less available than it would lose: nothing was changed") from error
        raise BatchError(f"nothing was changed: {str(error).splitlines()[0]}") from error
    return len(ids)


def _locked(filters: Filters, changes: Mapping[str, Any]) -> tuple[list[int], list[str], dict[str, str]]:
    """Ids and kinds of the accounts that the filters choose, locked, and what the settings of them were."""
    where, parameters = _where(filters)
    names = [name for name in changes if name != "balance"]
    columns = "".join(f", {'p.name' if name == 'product' else f'a.{name}'}" for name in names)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT a.id, a.kind{columns} {FROM}{where} ORDER BY a.id FOR NO KEY UPDATE OF a", parameters)
        found = cursor.fetchall()
    before = {name: _told(Counter(row[place] for row in found)) for place, name in enumerate(names, start=2)}
    return [row[0] for row in found], [row[1] for row in found], before


def _told(values: Counter[Any]) -> str:
    """What accounts had: `active`, `active (3), blocked (1)`."""
    if len(values) > MOST_TOLD:
        return f"{len(values)} different"
    said = [("none" if value in (None, "") else str(value), count) for value, count in values.most_common()]
    return said[0][0] if len(said) == 1 else ", ".join(f"{value} ({count})" for value, count in said)


def _write(columns: Mapping[str, Any], gain: Decimal | None, ids: list[int], number: int | None) -> None:
    """Settings first, balances last; `number` makes the keys of the ledger's entries."""
    with connection.cursor() as cursor:
        if columns:
            settings = ", ".join(f"{name} = %s" for name in columns)
            cursor.execute(f"UPDATE billing_account SET {settings} WHERE id = ANY(%s)", [*columns.values(), ids])
        if gain is not None:
            cursor.execute(ADJUST, [number, gain, ids])


def _check_adjusted(kinds: Sequence[str]) -> None:
    """Raises BatchError if the balances of accounts of these kinds cannot be adjusted at once."""
    if "subordinate" in kinds:
        raise BatchError("subordinate accounts have no balance of their own: choose others by --kind")
    if len(kinds) > MOST_ADJUSTED:
        raise BatchError(f"balances of at most {MOST_ADJUSTED} accounts are adjusted at once: choose some by --numbers")


def _column(name: str) -> str:
    """Names come from `read_changes`, never from outside."""
    return "product_id" if name == "product" else name


def _where(filters: Filters) -> tuple[str, list[Any]]:
    terms = {
        "c.name = %s": filters.customer,
        "g.name = %s": filters.batch,
        "a.control_number >= %s": filters.numbers and filters.numbers[0],
        "a.control_number <= %s": filters.numbers and filters.numbers[1],
        f"{REGISTERED} = %s": filters.registered,
        "a.state = %s": filters.state,
        "p.name = %s": filters.product,
        "a.kind = %s": filters.kind,
        "b.amount < %s": filters.balance_below,
        "b.amount >= %s": filters.balance_from,
        "a.created_at < %s": filters.created_before,
        "a.created_at >= %s": filters.created_after,
        "a.expiry_date < %s": filters.expires_before,
        "a.expiry_date >= %s": filters.expires_after,
        UNUSED_SINCE: filters.unused_since,
    }
    given = {term: value for term, value in terms.items() if value is not None}
    return "".join(f"\n   AND {term}" for term in given), list(given.values())
