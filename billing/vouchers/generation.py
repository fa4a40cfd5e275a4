# SPDX-License-Identifier: Apache-2.0
"""Vouchers by the million: random ids and sealed passwords, copied into the store in chunks.

Each chunk is a transaction that locks the batch, so that two who generate for one batch, or one who was interrupted and
asks again, never give a control number twice. Ids of different batches are drawn under one lock for the same reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db import connection, transaction

from billing.audit_log.action import Action
from billing.audit_log.actor import ActionError
from billing.audit_log.models import AuditLog
from billing.customers.models import Batch, Customer
from billing.printing.digits import escaped, random_digits, random_ids
from billing.tariffs.models import Product
from billing.vouchers.models import Voucher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date
    from decimal import Decimal

    from billing.audit_log.actor import Actor
    from billing_client.secrets.keyring import KeyRing

__all__ = ["Generation", "VoucherError", "generate"]

GENERATE: Final = Action("vouchers.generate", "batch")
CHUNK: Final = 20_000
"""Half a second of work; what an interruption loses at most."""
ID_LOCK: Final = 0x766F7563
"""Advisory lock under which ids are drawn and inserted."""
SPARSE: Final = 1000
"""So many ids there are at least for each voucher: with fewer, a guess would hit too often."""
COPY: Final = (
    "COPY billing_voucher (id, batch_id, control_number, key_id, sealed, amount, currency, state, expires, sub_realm,"
    " product_id) FROM STDIN"
)


class VoucherError(ActionError):
    """What was asked of vouchers cannot be done; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """What is to be generated."""

    customer: str
    batch: str
    count: int
    """So many vouchers the batch shall have; with `add` so many more."""
    amount: Decimal
    currency: str | None = None
    """None: the customer's."""
    expires: date | None = None
    product: str | None = None
    sub_realm: str = ""
    active: bool = True
    id_digits: int = 11
    password_length: int = 8
    """Of sealed vouchers."""
    add: bool = False


def generate(
    actor: Actor, asked: Generation, ring: KeyRing | None, on_progress: Callable[[int, int], None]
) -> tuple[int, int]:
    """Generate what the batch lacks; the first and the last new control number. Raises VoucherError.

    `ring` seals the passwords; None: vouchers without one. Asked again after an interruption it goes on where that
    stopped. `on_progress` is told how many of how many are there.
    """
    batch, first, last, columns = _begin(actor, asked)
    present = first - 1
    while present < last:
        with transaction.atomic():
            present = _chunk(batch, last, columns, asked, ring)
        on_progress(present - first + 1, last - first + 1)
    return first, last


def _begin(actor: Actor, asked: Generation) -> tuple[Batch, int, int, Sequence[str]]:
    """Find or make the batch, and note in the log what it shall come to."""
    with GENERATE.by(actor, asked.batch) as deed:
        customer = Customer.objects.filter(name=asked.customer).select_related("balance").first()
        if customer is None:
            raise VoucherError(f"there is no customer {asked.customer}")
        batch, _ = Batch.objects.get_or_create(name=asked.batch, defaults={"customer": customer, "kind": "voucher"})
        if batch.customer_id != customer.pk:
            raise VoucherError(f"batch {asked.batch} is another customer's")
        if batch.kind != "voucher":
            raise VoucherError(f"batch {asked.batch} holds accounts, no vouchers")
        batch = Batch.objects.select_for_update().get(pk=batch.pk)
        product = Product.objects.filter(name=asked.product).first() if asked.product else None
        if asked.product and product is None:
            raise VoucherError(f"there is no product {asked.product}")
        currency = asked.currency or customer.balance.currency
        present = _last_number(batch)
        target = _target(asked, batch, present)
        _check_room(asked, target - present)
        if present and not asked.add:
            _check_same(asked, batch, currency)
        if target == present:
            deed.nothing()
        deed.changed({"count": present}, {"count": target})
        deed.tell(to=target, since=present + 1, amount=asked.amount, currency=currency, add=asked.add)
    columns = (
        f"{asked.amount:f}",
        currency,
        "active" if asked.active else "inactive",
        asked.expires.isoformat() if asked.expires else r"\N",
        escaped(asked.sub_realm),
        str(product.pk) if product else r"\N",
    )
    return batch, present + 1, target, columns


def _target(asked: Generation, batch: Batch, present: int) -> int:
    """The last control number; of an addition that was interrupted, the one that it was to reach."""
    if not asked.add:
        return max(present, asked.count)
    earlier = AuditLog.objects.filter(action="vouchers.generate", subject=batch.name).order_by("-pk").first()
    if earlier is not None and earlier.details.get("add") and earlier.details["to"] > present:
        return int(earlier.details["to"])
    return present + asked.count


def _check_room(asked: Generation, more: int) -> None:
    """There must be many more ids than vouchers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE relname = 'billing_voucher'")
        present = cursor.fetchone()[0]
    ids = 9 * 10 ** (asked.id_digits - 2)
    if (present + more) * SPARSE > ids:
        raise VoucherError(f"{more} vouchers are too many for ids of {asked.id_digits} digits: set vouchers.id_digits")


def _check_same(asked: Generation, batch: Batch, currency: str) -> None:
    """Who asks for a batch again shall mean the same vouchers."""
    one = Voucher.objects.filter(batch=batch).order_by("-control_number").first()
    if one is None:
        return
    there = (one.amount, one.currency, one.expires, one.sub_realm)
    if there != (asked.amount, currency, asked.expires, asked.sub_realm):
        raise VoucherError(
            f"batch {batch.name} has vouchers of {one.amount.normalize():f} {one.currency} that are not like these:"
            " take another name, or add to it (--add)"
        )


def _last_number(batch: Batch) -> int:
    found = Voucher.objects.filter(batch=batch).order_by("-control_number").values_list("control_number", flat=True)
    return found.first() or 0


def _chunk(batch: Batch, last: int, columns: Sequence[str], asked: Generation, ring: KeyRing | None) -> int:
    """Copy the next vouchers; the last control number then."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ID_LOCK])
        cursor.execute("SELECT 1 FROM billing_batch WHERE id = %s FOR UPDATE", [batch.pk])
        present = _last_number(batch)
        ids = _new_ids(cursor, min(CHUNK, last - present), asked.id_digits)
        if not ids:
            return present
        with cursor.copy(COPY) as copy:
            copy.write("".join(_lines(ids, f"{batch.pk}", present + 1, columns, asked.password_length, ring)))
        return present + len(ids)


def _lines(
    ids: Sequence[str], batch: str, first: int, columns: Sequence[str], password_length: int, ring: KeyRing | None
) -> Iterator[str]:
    """The rows in COPY's text format."""
    tail = "\t".join(columns) + "\n"
    if ring is None:
        for number, voucher in enumerate(ids, start=first):
            yield f"{voucher}\t{batch}\t{number}\t\\N\t\\N\t{tail}"
        return
    key, seal = ring.newest, ring.seal
    for number, (voucher, password) in enumerate(
        zip(ids, random_digits(len(ids), password_length), strict=True), start=first
    ):
        yield f"{voucher}\t{batch}\t{number}\t{key}\t\\\\x{seal(password, voucher).hex()}\t{tail}"


def _new_ids(cursor: Any, count: int, digits: int) -> list[str]:
    """Ids that no voucher has."""
    found: list[str] = []
    while len(found) < count:
        drawn = list(dict.fromkeys([*found, *random_ids(count - len(found), digits)]))[len(found) :]
        cursor.execute("SELECT id FROM billing_voucher WHERE id = ANY(%s)", [drawn])
        taken = {row[0] for row in cursor.fetchall()}
        found += [one for one in drawn if one not in taken]
    return found
