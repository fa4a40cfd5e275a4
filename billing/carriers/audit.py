# SPDX-License-Identifier: Apache-2.0
"""A carrier's call records beside ours of its gateway: what only one side has, and durations that differ.

The books can be right to the last decimal and still miss a call that left without one; the carrier's bill does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from billing.carriers.models import Gateway, GatewayRoute
from billing.carriers.records import digits_of
from billing.store.query import rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from billing.carriers.records import CarrierRecord

__all__ = ["NoSuchGatewayError", "OwnRecord", "audit_carrier", "compare"]

SQL: Final = """
SELECT x.call_id, a.number AS account, x.dialled, x.started_at, coalesce(k.answered_at, x.answered_at) AS answered_at,
       coalesce(extract(epoch FROM coalesce(k.ended_at, x.ended_at) - coalesce(k.answered_at, x.answered_at)), 0)
           AS seconds
  FROM billing_xdr x
  JOIN billing_account a ON a.id = x.account_id
  LEFT JOIN billing_correction k ON k.call_id = x.call_id
 WHERE x.gateway_id = %(gateway)s AND x.direction IN ('outgoing', 'forwarded')
   AND x.started_at BETWEEN %(since)s AND %(until)s
 ORDER BY x.started_at"""


class NoSuchGatewayError(Exception):
    """It is not said which gateway is meant, or there is none of that name."""


@dataclass(frozen=True, slots=True)
class OwnRecord:
    """One call, as we have it."""

    call_id: str
    account: str
    numbers: frozenset[str]
    """What the carrier may know the callee by: as dialled, and as its routes make it."""
    started_at: datetime
    answered_at: datetime | None
    seconds: Decimal

    def apart(self, record: CarrierRecord) -> float:
        """Seconds between the beginnings; carriers count from the INVITE or from the answer."""
        moments = [self.started_at, *([self.answered_at] if self.answered_at else [])]
        return min(abs((moment - record.started_at).total_seconds()) for moment in moments)


def compare(
    theirs: Sequence[CarrierRecord], ours: Iterable[OwnRecord], *, tolerance: Decimal, window: float
) -> list[dict[str, Any]]:
    """Every difference; `tolerance` is of durations, `window` of beginnings, both in seconds.

    A call that we have and that was never answered need not be in the carrier's file.
    """
    open_calls: dict[str, list[OwnRecord]] = {}
    for own in ours:
        for number in own.numbers:
            open_calls.setdefault(number, []).append(own)
    taken: set[str] = set()
    found: list[dict[str, Any]] = []
    for record in sorted(theirs, key=lambda one: one.started_at):
        near = [
            (own.apart(record), abs(own.seconds - record.seconds), own.call_id, own)
            for own in open_calls.get(record.number, ())
            if own.call_id not in taken and own.apart(record) <= window
        ]
        if not near:
            found.append(_row("only the carrier has it", record, None))
            continue
        own = min(near)[3]
        taken.add(own.call_id)
        if abs(own.seconds - record.seconds) > tolerance:
            found.append(_row("durations differ", record, own))
    left = {own.call_id: own for calls in open_calls.values() for own in calls if own.call_id not in taken}
    found += [_row("only we have it", None, own) for own in left.values() if own.seconds > 0]
    return sorted(found, key=lambda row: row["started_at"])


def _row(finding: str, record: CarrierRecord | None, own: OwnRecord | None) -> dict[str, Any]:
    return {
        "finding": finding,
        "line": record.line if record else None,
        "number": record.number if record else min(own.numbers, default="") if own else "",
        "started_at": record.started_at if record else own.started_at if own else None,
        "carrier_seconds": record.seconds if record else None,
        "our_seconds": round(own.seconds, 3) if own else None,
        "carrier_amount": record.amount if record else None,
        "caller": record.caller if record else "",
        "account": own.account if own else None,
        "call_id": own.call_id if own else None,
    }


def audit_carrier(
    theirs: Sequence[CarrierRecord], *, gateway: str | None, tolerance: Decimal, window: float
) -> list[dict[str, Any]]:
    """Compare a carrier's records with ours of a gateway in the time that they cover; raises NoSuchGatewayError."""
    chosen = _gateway(gateway)
    if not theirs:
        return []
    edge = timedelta(seconds=window)
    starts = [record.started_at for record in theirs]
    routes = list(GatewayRoute.objects.filter(gateway=chosen))
    found = rows(SQL, gateway=chosen.pk, since=min(starts) - edge, until=max(starts) + edge)
    ours = [
        OwnRecord(
            row["call_id"],
            row["account"],
            frozenset(_numbers(row["dialled"], routes)),
            row["started_at"],
            row["answered_at"],
            row["seconds"],
        )
        for row in found
    ]
    return compare(theirs, ours, tolerance=tolerance, window=window)


def _gateway(name: str | None) -> Gateway:
    known = list(Gateway.objects.order_by("name"))
    chosen = [one for one in known if name in (None, one.name)]
    if len(chosen) != 1:
        names = ", ".join(one.name for one in known) or "none"
        said = "say which gateway's records these are" if name is None else f"there is no gateway {name!r}"
        raise NoSuchGatewayError(f"{said}; gateways: {names}")
    return chosen[0]


def _numbers(dialled: str, routes: Iterable[GatewayRoute]) -> Iterable[str]:
    plain = digits_of(dialled)
    yield plain
    for route in routes:
        if plain.startswith(route.prefix):
            yield digits_of(route.prepend + plain[route.strip :])
