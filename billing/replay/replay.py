# SPDX-License-Identifier: Apache-2.0
"""What recorded calls would have cost by other tariffs: the arithmetic of live calls on the records of past ones.

Each call is rated at the time when it began, by the tariff that its account's product has now (or by the document's
own products), if the document gives that tariff's rates. Rated by the rates that it was charged by, every call costs
what it did cost.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from django.db import connection, transaction

from billing.document.apply import ApplyError
from billing.document.contents import read_document
from billing.replay.rerating import Rerated, talked_seconds
from billing_client.rules.books import Rate, RateBook
from billing_client.rules.rating import billed_seconds, cost

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from billing.document.contents import Document, RateSpec

__all__ = ["Tariffs", "replay", "rerate"]

AT_A_TIME: Final = 2000
RECORDS: Final = """
SELECT x.call_id, a.number AS account, x.caller, x.dialled, coalesce(o.number, x.dialled) AS rated, x.started_at,
       x.currency, p.name AS product,
       t.name AS tariff, x.first_increment, x.next_increment,
       coalesce(k.billed_seconds, x.billed_seconds) AS billed_seconds, x.amount + coalesce(k.amount, 0) AS amount,
       coalesce(extract(epoch FROM coalesce(k.ended_at, x.ended_at) - coalesce(k.answered_at, x.answered_at)), 0)
           AS talked
  FROM billing_xdr x
  JOIN billing_account a ON a.id = x.account_id
  LEFT JOIN billing_product p ON p.id = a.product_id
  LEFT JOIN billing_tariff t ON t.id = p.tariff_id
  LEFT JOIN billing_alias n ON n.name = x.dialled AND x.direction IN ('internal', 'forwarded')
  LEFT JOIN billing_account o ON o.id = n.account_id
  LEFT JOIN billing_correction k ON k.call_id = x.call_id
 WHERE x.started_at >= %(since)s AND (%(until)s::timestamptz IS NULL OR x.started_at < %(until)s)
   AND x.rate_id IS NOT NULL
 ORDER BY x.started_at, x.call_id"""


class Tariffs:
    """Tariffs of a document, to rate by; raises ApplyError where the document is wrong."""

    def __init__(self, document: Mapping[str, Any], base: Path | None = None) -> None:
        problems: list[str] = []
        read = read_document(document, problems, base)
        tariffs = [tariff for tariff in read.tariffs if tariff.rates is not None]
        if not tariffs and not problems:
            problems.append("tariffs: none with rates: there is nothing to rate by")
        if problems:
            raise ApplyError(problems)
        self._number = {tariff.key: number for number, tariff in enumerate(tariffs)}
        self._currency = {tariff.key: tariff.columns.get("currency") for tariff in tariffs}
        self._products = _products(read)
        self._book = RateBook.of({self._number[tariff.key]: map(_rate, tariff.rates or ()) for tariff in tariffs})

    def name_for(self, product: str | None, tariff: str | None) -> str | None:
        """Which of the tariffs a product is rated by; None: none of these."""
        name = self._products.get(product or "", tariff)
        return name if name in self._number else None

    def currency(self, name: str) -> str | None:
        """The currency of a tariff, where the document says it."""
        return self._currency[name]

    def rate_for(self, name: str, number: str, at: datetime) -> Rate | None:
        """The rate of a call."""
        return self._book.rate_for(self._number[name], number, at)


def replay(tariffs: Tariffs, since: datetime, until: datetime | None = None) -> Iterator[Rerated | None]:
    """Rate the records of a time again, oldest first; None stands for one that these tariffs do not concern."""
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(RECORDS, {"since": since, "until": until})
        names = [column[0] for column in cursor.description]
        while batch := cursor.fetchmany(AT_A_TIME):
            for row in batch:
                yield rerate(tariffs, dict(zip(names, row, strict=True)))


def rerate(tariffs: Tariffs, record: Mapping[str, Any]) -> Rerated | None:
    """Rate one record again; None: these tariffs do not concern it."""
    tariff = tariffs.name_for(record["product"], record["tariff"])
    if tariff is None:
        return None
    rate = tariffs.rate_for(tariff, record["rated"], record["started_at"])
    refused = "no rate" if rate is None else f"{rate.destination or rate.prefix} is blocked" if rate.blocked else ""
    talked = Decimal(0) if rate is None or refused else talked_seconds(record)
    return Rerated(
        call_id=record["call_id"],
        account=record["account"],
        caller=record["caller"],
        dialled=record["dialled"],
        started_at=record["started_at"],
        tariff=tariff,
        currency=tariffs.currency(tariff) or record["currency"],
        before_seconds=record["billed_seconds"],
        before=record["amount"],
        after_seconds=0 if rate is None else billed_seconds(rate, talked),
        after=Decimal(0) if rate is None else cost(rate, talked),
        prefix=None if rate is None else rate.prefix,
        refused=refused,
    )


def _products(document: Document) -> dict[str, str]:
    return {product.key: product.columns["tariff"] for product in document.products if product.columns.get("tariff")}


def _rate(spec: RateSpec) -> Rate:
    return Rate(
        rate_id=0,
        prefix=spec.prefix,
        destination=spec.destination,
        country=spec.country,
        connect_fee=spec.connect_fee,
        first_increment=spec.first_increment,
        next_increment=spec.next_increment,
        first_price=spec.first_price,
        next_price=spec.next_price,
        effective_from=spec.effective_from,
        effective_to=spec.effective_to,
        blocked=spec.blocked,
    )
