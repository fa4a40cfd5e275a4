# SPDX-License-Identifier: Apache-2.0
"""What administrators do with vouchers: look, export, block, activate, rotate keys. What shows PINs is logged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db import connection, transaction

from billing.audit_log.action import Action
from billing.customers.models import Batch
from billing.passwords.actions import key_ring
from billing.passwords.sealing import keys_of_passwords, passwords_of_others, reseal_passwords
from billing.printing.private_file import check_fits, private_table
from billing.store.query import rows
from billing.vouchers.generation import VoucherError
from billing_client.secrets.keyring import KeyRingError
from billing_client.secrets.passwords import Passwords

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from billing.audit_log.actor import Actor
    from billing_client.secrets.keyring import KeyFile, KeyRing

__all__ = [
    "MOVES",
    "Numbers",
    "Rotation",
    "VoucherError",
    "batches",
    "export",
    "key_file_for_sealing",
    "pending",
    "rotate",
    "set_state",
    "show",
    "vouchers",
]

SHOW: Final = Action("vouchers.show", "batch")
EXPORT: Final = Action("vouchers.export", "batch")
ROTATE: Final = Action("vouchers.rotate-key", "key")
AT_A_TIME: Final = 10_000
HIDDEN: Final = "********"
MOVES: Final = {
    "block": (("active", "inactive"), "blocked"),
    "unblock": (("blocked",), "active"),
    "activate": (("inactive",), "active"),
}
"""From which states a move leads, and to which. A used voucher stays as it is."""
ACTIONS: Final = {move: Action(f"vouchers.{move}", "batch") for move in MOVES}

BATCHES = """
SELECT b.name AS batch, c.name AS customer, b.created_at, count(v.id) AS vouchers, count(v.used_at) AS used,
       count(*) FILTER (WHERE v.used_at IS NULL AND v.state = 'active'
                        AND NOT voucher_expired(v.expires, c.timezone)) AS usable,
       count(*) FILTER (WHERE v.used_at IS NULL AND v.state = 'inactive') AS inactive,
       count(*) FILTER (WHERE v.used_at IS NULL AND v.state = 'blocked') AS blocked,
       count(*) FILTER (WHERE v.used_at IS NULL AND voucher_expired(v.expires, c.timezone)) AS expired,
       min(v.currency) AS currency, coalesce(sum(v.amount) FILTER (WHERE v.used_at IS NULL), 0) AS outstanding
  FROM billing_batch b JOIN billing_customer c ON c.id = b.customer_id LEFT JOIN billing_voucher v ON v.batch_id = b.id
 WHERE b.kind = 'voucher' AND (%(batch)s = '' OR b.name = %(batch)s)
 GROUP BY b.id, c.id ORDER BY b.name
"""
VOUCHERS = """
SELECT v.control_number, v.id, v.key_id, v.sealed, v.amount, v.currency, v.expires, v.sub_realm, p.name AS product,
       CASE WHEN v.used_at IS NOT NULL THEN 'used' WHEN v.state <> 'active' THEN v.state
            WHEN voucher_expired(v.expires, c.timezone) THEN 'expired' ELSE 'active' END AS state,
       v.used_at, a.number AS used_by
  FROM billing_voucher v JOIN billing_batch b ON b.id = v.batch_id JOIN billing_customer c ON c.id = b.customer_id
  LEFT JOIN billing_product p ON p.id = v.product_id LEFT JOIN billing_account a ON a.id = v.used_by
 WHERE v.batch_id = %(batch)s AND v.control_number > %(after)s AND v.control_number <= %(last)s
 ORDER BY v.control_number LIMIT %(limit)s
"""
SET_STATE = """
UPDATE billing_voucher SET state = %s
 WHERE batch_id = %s AND control_number BETWEEN %s AND %s AND state = ANY(%s) AND used_at IS NULL
"""
SEALED = """
SELECT id, key_id, sealed FROM billing_voucher WHERE id > %s AND key_id <> %s ORDER BY id LIMIT %s FOR NO KEY UPDATE
"""
RESEAL = """
UPDATE billing_voucher v SET key_id = %s, sealed = u.sealed
  FROM unnest(%s::text[], %s::bytea[]) AS u (id, sealed) WHERE v.id = u.id
"""
PENDING = """
SELECT r.key, a.number AS account, r.store, r.amount, r.currency, r.created_at, r.due_at, r.attempts
  FROM billing_redemption r LEFT JOIN billing_account a ON a.id = r.account_id
 WHERE r.state = 'pending' ORDER BY r.created_at LIMIT %(limit)s
"""
LAST_NUMBER: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Numbers:
    """A range of control numbers, both ends in it."""

    first: int = 1
    last: int = LAST_NUMBER

    def __str__(self) -> str:
        return "all" if self == Numbers() else f"{self.first}-{self.last}"


def batches(name: str = "") -> list[dict[str, Any]]:
    """Batches of vouchers, and how many of each are used, usable and so on."""
    return rows(BATCHES, batch=name)


def vouchers(batch: str, numbers: Numbers, *, limit: int = 1000) -> list[dict[str, Any]]:
    """Vouchers of a batch by control number, with masked PINs."""
    return [_shown(row, None) for row in _rows(_batch(batch), numbers, limit)]


def show(actor: Actor, batch: str, numbers: Numbers, keys: KeyFile, *, limit: int = 1000) -> list[dict[str, Any]]:
    """The same with their PINs, which is noted. Raises VoucherError."""
    found = _batch(batch)
    with SHOW.by(actor, batch) as deed:
        deed.tell(numbers=str(numbers), limit=limit)
        return [_shown(row, keys) for row in _rows(found, numbers, limit)]


def export(
    actor: Actor, batch: str, file: Path, numbers: Numbers, keys: KeyFile, on_progress: Callable[[int, int], None]
) -> int:
    """Write vouchers with their PINs for the printer, as CSV or XLSX that only its owner may read; returns how many.

    Noted before the first line is written. Raises VoucherError, FileExistsError.
    """
    EXPORT.check(actor)
    found = _batch(batch)
    total = found.vouchers.filter(control_number__gte=numbers.first, control_number__lte=numbers.last).count()
    written = 0
    check_fits(file, total)
    with private_table(file, ["id", "pin", "amount", "currency", "expires", "control_number"]) as write:
        with EXPORT.by(actor, batch) as deed:
            deed.tell(numbers=str(numbers), count=total, file=str(file))
        for row in _rows(found, numbers, LAST_NUMBER):
            write(
                [row["id"], _pin(row, keys), f"{row['amount'].normalize():f}", row["currency"], row["expires"] or "",
                 row["control_number"]]
            )  # fmt: skip
            written += 1
            if written % AT_A_TIME == 0:
                on_progress(written, total)
    on_progress(written, total)
    return written


def set_state(actor: Actor, batch: str, numbers: Numbers, move: str) -> int:
    """Block, unblock or activate vouchers that are not used; returns how many that changed. Raises VoucherError."""
    found = _batch(batch)
    states, to = MOVES[move]
    with ACTIONS[move].by(actor, batch) as deed, connection.cursor() as cursor:
        cursor.execute(SET_STATE, [to, found.pk, numbers.first, numbers.last, list(states)])
        changed: int = cursor.rowcount
        deed.changed({"state": " or ".join(states)}, {"state": to})
        deed.tell(numbers=str(numbers), count=changed)
        if not changed:
            deed.nothing()
    return changed


def key_file_for_sealing(keys: KeyFile) -> KeyRing:
    """The ring; a new one if there is none and nothing was sealed yet. Raises VoucherError."""
    try:
        return key_ring(keys)
    except KeyRingError as error:
        raise VoucherError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did."""

    key_id: int
    resealed: int
    was_resumed: bool


def rotate(actor: Actor, keys: KeyFile, on_progress: Callable[[int, int], None], *, drop_old: bool = False) -> Rotation:
    """Seal everything by a new key, in batches; an interrupted rotation is gone on with. Raises VoucherError.

    `drop_old`: keys that seal nothing any more leave the file; copies of the store from before need them.
    """
    ROTATE.check(actor)
    ring = key_file_for_sealing(keys)
    left = _sealed_by_others(ring.newest)
    was_resumed = left > 0
    if not was_resumed:
        ring = ring.with_new_key()
        keys.write(ring)  # before anything is sealed by it
        left = _sealed_by_others(ring.newest)
    with ROTATE.by(actor, f"key {ring.newest}") as deed:
        deed.tell(vouchers=left, resumed=was_resumed)
    done, after = 0, ""
    while True:
        with transaction.atomic():
            count, after = _reseal(ring, after)
        if not count:
            break
        done += count
        on_progress(done, left)
    try:
        done += reseal_passwords(Passwords(keys), ring)
    except KeyRingError as error:
        raise VoucherError(str(error)) from error
    if drop_old:
        keys.write(ring.only(_keys_in_use()))
    return Rotation(ring.newest, done, was_resumed)


def pending(limit: int = 1000) -> list[dict[str, Any]]:
    """Redemptions of external vouchers whose store has not said for certain what it did."""
    return rows(PENDING, limit=limit)


def _batch(name: str) -> Batch:
    found = Batch.objects.filter(name=name, kind="voucher").first()
    if found is None:
        raise VoucherError(f"there is no batch {name} of vouchers")
    return found


def _rows(batch: Batch, numbers: Numbers, limit: int) -> Iterator[dict[str, Any]]:
    """Read in pieces, so that a million need no memory."""
    after = numbers.first - 1
    while limit > 0:
        piece = rows(VOUCHERS, batch=batch.pk, after=after, last=numbers.last, limit=min(limit, AT_A_TIME))
        if not piece:
            return
        yield from piece
        after = piece[-1]["control_number"]
        limit -= len(piece)


def _shown(row: dict[str, Any], keys: KeyFile | None) -> dict[str, Any]:
    pin = HIDDEN if keys is None else _pin(row, keys)
    if keys is None and row["sealed"] is None:
        row["id"] = row["id"][:-4] + "xxxx"  # it is all of the code
    return {"control_number": row["control_number"], "id": row["id"], "pin": pin} | {
        key: value for key, value in row.items() if key not in ("control_number", "id", "key_id", "sealed")
    }


def _pin(row: dict[str, Any], keys: KeyFile) -> str:
    """What is printed: id and password."""
    if row["sealed"] is None:
        return str(row["id"])
    try:
        password = keys.ring_with(row["key_id"]).open(row["key_id"], bytes(row["sealed"]), row["id"])
    except KeyRingError as error:
        raise VoucherError(str(error)) from error
    return f"{row['id']}{password}"


def _reseal(ring: KeyRing, after: str) -> tuple[int, str]:
    with connection.cursor() as cursor:
        cursor.execute(SEALED, [after, ring.newest, AT_A_TIME])
        found = cursor.fetchall()
        if not found:
            return 0, after
        try:
            sealed = [ring.seal(ring.open(key, bytes(data), voucher), voucher) for voucher, key, data in found]
        except KeyRingError as error:
            raise VoucherError(str(error)) from error
        ids = [voucher for voucher, _, _ in found]
        cursor.execute(RESEAL, [ring.newest, ids, sealed])
        return len(ids), ids[-1]


def _sealed_by_others(key: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM billing_voucher WHERE key_id <> %s", [key])
        return int(cursor.fetchone()[0]) + passwords_of_others(key)


def _keys_in_use() -> set[int]:
    """Vouchers' and those of codes that are being redeemed outside."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT key_id FROM billing_voucher WHERE key_id IS NOT NULL"
            " UNION SELECT key_id FROM billing_redemption WHERE key_id IS NOT NULL"
        )
        return {row[0] for row in cursor.fetchall()} | keys_of_passwords()
