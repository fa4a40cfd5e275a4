# SPDX-License-Identifier: Apache-2.0
"""What it takes to choose among many carriers: `python -m bench.micro.choice [--rates N --carriers N]`."""

from __future__ import annotations

import argparse
import random
import statistics
import time
from datetime import UTC, datetime
from decimal import Decimal
from resource import RUSAGE_SELF, getrusage

from billing_client.rules.books import Gateway, RateBook, Route, TariffTable, Terms
from switch.routing.carriers.choice import chosen
from switch.trace.trace import Trace

SALE = 0
NOW = datetime(2026, 12, 1, tzinfo=UTC)
SEED = 7
NUMBERS = 500


def table(prefixes: list[str], draw: random.Random) -> TariffTable:
    """The costs of one carrier."""
    found = TariffTable("USD")
    for index, prefix in enumerate(prefixes):
        price = Decimal(draw.randrange(1, 3000)) / 10_000
        found.append(index, prefix, Terms("", "", Decimal(0), 1, 1, price, price, NOW, None, False))
    return found


def main() -> None:
    """Print memory, and the time of a choice: made anew, and among numbers that begin as one before."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", type=int, default=2_000_000)
    parser.add_argument("--carriers", type=int, default=50)
    asked = parser.parse_args()
    draw = random.Random(SEED)
    before = getrusage(RUSAGE_SELF).ru_maxrss
    drawn: set[str] = set()
    while len(drawn) < asked.rates // asked.carriers:
        drawn.add(str(draw.randrange(1, 10 ** draw.randrange(3, 8))))
    prefixes = sorted(drawn, key=lambda prefix: (len(prefix), prefix))
    tables = {carrier: table(prefixes, draw) for carrier in range(1, asked.carriers + 1)}
    tables[SALE] = table([""], draw)
    tables[SALE].routing, tables[SALE].least_margin = "cost", Decimal(-1)
    rates = RateBook(tables)
    sale = tables[SALE].rate_for("420", NOW)
    assert sale is not None
    print(f"{len(rates):,} rates: {(getrusage(RUSAGE_SELF).ru_maxrss - before) / 1024:.0f} MB")
    routes = [
        Route(Gateway(carrier, f"carrier {carrier}", "192.0.2.1", None, "udp", cost_tariff_id=carrier), "", carrier)
        for carrier in range(1, asked.carriers + 1)
    ]
    numbers = [str(draw.randrange(10**10, 10**12)) for _ in range(NUMBERS)]
    for what in ("anew", "kept"):
        took = []
        for number in numbers:
            began = time.perf_counter()
            chosen(routes, sale, SALE, rates, number, NOW, Trace())
            took.append(time.perf_counter() - began)
        print(f"{what}: median {statistics.median(took) * 1e6:.1f} us, worst {max(took) * 1e6:.1f} us")


if __name__ == "__main__":
    main()
