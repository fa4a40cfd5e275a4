# SPDX-License-Identifier: Apache-2.0
"""Who guesses codes of vouchers and PINs, and the end of their locks (docs/vouchers.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import connection

from billing.audit_log.action import Action
from billing.store.query import Row, rows
from billing_client.rules.pins import DEFAULT_SLOW_AFTER

if TYPE_CHECKING:
    from billing.audit_log.actor import Actor

__all__ = ["guessing", "unlock"]

UNLOCK: Final = Action("guessing.unlock", "guesser")

ANONYMOUS: Final = "anonymous"
FEW: Final = 3
"""Fewer wrong ones are mistyped."""

# The rows of vouchers and of PINs, which differ in what was counted: since when, or between two locks.
GUESSES = """
SELECT what, kind, coalesce(nullif(name, ''), CASE kind WHEN 'ani' THEN %(anonymous)s ELSE '' END) AS name, failures,
       since, at AS last_at, delay_seconds, CASE WHEN locked_until > now() THEN locked_until END AS locked_until
  FROM (SELECT CASE WHEN g.subject LIKE 'pin %%' THEN 'PIN' ELSE 'voucher' END AS what,
               split_part(s.plain, ' ', 1) AS kind, substr(s.plain, strpos(s.plain || ' ', ' ') + 1) AS name,
               g.failures, g.since, g.at,
               CASE WHEN g.subject LIKE 'pin access %%' THEN turn_seconds(g.failures, %(slow_after)s)
                    WHEN g.subject LIKE 'prefix %%' THEN 0
                    ELSE guess_delay(g.failures, g.weight) END AS delay_seconds, g.locked_until
          FROM billing_voucherguess g, LATERAL (SELECT regexp_replace(g.subject, '^pin ', '') AS plain) s
         WHERE NOT guess_forgotten(g)
        UNION ALL
        SELECT 'PIN', split_part(s.plain, ' ', 1), substr(s.plain, strpos(s.plain, ' ') + 1),
               f.failures + f.locks * %(lock_after)s, NULL, f.at,
               pin_delay(ARRAY[f.subject], %(lock_after)s, 0), f.locked_until
          FROM billing_pinfailure f, LATERAL (SELECT substr(pin_name(f.subject), 5) AS plain) s
         WHERE f.subject NOT LIKE 'mailbox card %%'
           AND greatest(f.at, f.locked_until)
               > now() - CASE WHEN f.subject LIKE 'mailbox %%' THEN interval '1 day' ELSE interval '1 hour' END
       ) AS counted
 WHERE failures >= %(least)s
 ORDER BY locked_until IS NULL, failures DESC, last_at DESC LIMIT %(limit)s"""


def guessing(
    *, lock_after: int, slow_after: int = DEFAULT_SLOW_AFTER, everything: bool = False, limit: int = 1000
) -> list[Row]:
    """What wrong codes and PINs were counted for, locks first; `everything`: one or two wrong ones too."""
    return rows(
        GUESSES,
        lock_after=lock_after,
        slow_after=slow_after,
        least=1 if everything else FEW,
        anonymous=ANONYMOUS,
        limit=limit,
    )


def unlock(actor: Actor, kind: str, name: str) -> bool:
    """Forget the wrong codes and PINs that were counted for "ani" (a number that a gateway vouches for), "phone" (one
    of ours), "account" (by whichever way), "access" (the access number), "prefix" (the beginning of codes) or "all";
    whether there were any."""
    name = "" if name == ANONYMOUS else name
    plain = kind if kind == "all" else f"{kind} {name}"
    pin = {"ani": f"source number {name}", "phone": f"source phone {name}", "account": f"mailbox {name}"}.get(kind, "")
    with UNLOCK.by(actor, plain) as deed, connection.cursor() as cursor:
        cursor.execute("DELETE FROM billing_voucherguess WHERE subject IN (%s, %s)", [plain, f"pin {plain}"])
        count = cursor.rowcount
        cursor.execute("DELETE FROM billing_voucherguess WHERE subject = %s", [f"{plain} by number"])
        count += cursor.rowcount
        cursor.execute(
            "DELETE FROM billing_pinfailure WHERE subject = %s OR starts_with(subject, %s)", [pin, f"{pin} by "]
        )
        count += cursor.rowcount
        deed.changed({"counted for": count}, {"counted for": 0})
        if not count:
            deed.nothing()
    return bool(count)
