# SPDX-License-Identifier: Apache-2.0
"""Batches of accounts: who is in them, and export for the printer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.db import connection

from billing.audit_log.action import Action
from billing.customers.batch_error import BatchError
from billing.customers.generation import account_batch, last_number
from billing.customers.models import Account, Batch, Customer
from billing.printing.private_file import check_fits, private_table
from billing.settings import passwords
from billing.store.query import rows
from billing_client.secrets.keyring import KeyRingError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from billing.audit_log.actor import Actor
    from billing.store.query import Row

__all__ = ["assign", "batches", "export"]

ASSIGN_ACTION: Final = Action("batches.assign", "batch")
EXPORT_ACTION: Final = Action("accounts.export", "batch")
AT_A_TIME = 10_000
FIELDS = (
    "control_number", "number", "password", "pin", "kind", "product", "balance", "currency", "state", "activation_date",
    "expiry_date",
)  # fmt: skip
BATCHES = """
SELECT b.name AS batch, c.name AS customer, b.created_at, count(a.id) AS accounts,
       count(*) FILTER (WHERE a.state = 'active') AS active, count(*) FILTER (WHERE a.state = 'inactive') AS inactive,
       count(*) FILTER (WHERE a.state = 'blocked') AS blocked, max(a.control_number) AS last
  FROM billing_batch b JOIN billing_customer c ON c.id = b.customer_id LEFT JOIN billing_account a ON a.batch_id = b.id
 WHERE b.kind = 'account' GROUP BY b.id, c.id ORDER BY b.name"""
EXPORT = """
SELECT a.control_number, a.number, a.password, a.kind, p.name AS product, b.amount::text AS balance, b.currency,
       a.state, a.activation_date, a.expiry_date,
       (SELECT split_part(min(n.name), '@', 1) FROM billing_alias n
         WHERE n.account_id = a.id AND n.name LIKE '%%@pin') AS pin
  FROM billing_account a JOIN billing_balance b ON b.id = a.balance_id
  LEFT JOIN billing_product p ON p.id = a.product_id
 WHERE a.batch_id = %(batch)s AND a.control_number > %(after)s AND a.control_number <= %(last)s
 ORDER BY a.control_number LIMIT %(limit)s"""
ASSIGN = """
UPDATE billing_account a SET batch_id = %s, control_number = %s + n.place
  FROM unnest(%s::bigint[]) WITH ORDINALITY AS n (id, place) WHERE a.id = n.id"""
MOST = 2**31 - 1


def batches() -> list[Row]:
    """Batches of accounts, and how many are in them."""
    return rows(BATCHES)


def assign(actor: Actor, name: str, numbers: Sequence[str]) -> list[tuple[str, int]]:
    """Put accounts that are in no batch into one, in this order; the control numbers they got. Raises BatchError."""
    with ASSIGN_ACTION.by(actor, name) as deed:
        found = {
            account.number: account
            for account in Account.objects.select_for_update(no_key=True).filter(number__in=numbers).order_by("pk")
        }
        for number in numbers:
            if number not in found:
                raise BatchError(f"there is no account {number}")
            if found[number].batch_id is not None:
                raise BatchError(f"account {number} is in a batch already")
        if not found:
            deed.nothing()
            return []
        owners = {account.customer_id for account in found.values()}
        if len(owners) > 1:
            raise BatchError("a batch belongs to one customer, and these accounts do not")
        batch = account_batch(name, Customer.objects.get(pk=owners.pop()))
        last, wanted = last_number(batch), list(dict.fromkeys(numbers))
        with connection.cursor() as cursor:
            cursor.execute(ASSIGN, [batch.pk, last, [found[number].pk for number in wanted]])
        deed.changed({"last": last}, {"last": last + len(wanted)})
        deed.tell(count=len(wanted), since=last + 1, first=wanted[0])
    return [(number, last + place) for place, number in enumerate(wanted, start=1)]


def export(
    actor: Actor, name: str, file: Path, on_progress: Callable[[int, int], None], *, first: int = 1, last: int = MOST
) -> int:
    """Write accounts with passwords and PINs for the printer, as CSV or XLSX that only its owner may read; how many.

    Noted before the first line is written. Raises BatchError, FileExistsError.
    """
    EXPORT_ACTION.check(actor)
    batch = Batch.objects.filter(name=name, kind="account").first()
    if batch is None:
        raise BatchError(f"there is no batch {name} of accounts")
    total = batch.accounts.filter(control_number__gte=first, control_number__lte=last).count()
    check_fits(file, total)
    with private_table(file, FIELDS) as write:
        with EXPORT_ACTION.by(actor, name) as deed:
            deed.tell(since=first, to=last, count=total, file=str(file))
        after, written = first - 1, 0
        while piece := _piece(batch, after, last):
            for row in piece:
                write([row[field] for field in FIELDS])
            after, written = piece[-1]["control_number"], written + len(piece)
            on_progress(written, total)
    return written


def _piece(batch: Batch, after: int, last: int) -> list[dict[str, Any]]:
    piece = rows(EXPORT, batch=batch.pk, after=after, last=last, limit=AT_A_TIME)
    try:
        return [{**row, "password": passwords().open(row["password"])} for row in piece]
    except KeyRingError as error:
        raise BatchError(str(error)) from error
