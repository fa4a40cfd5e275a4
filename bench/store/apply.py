# SPDX-License-Identifier: Apache-2.0
"""Measure `softswitch apply`: `python -m bench.store.apply [--accounts N] [--pins]`.

Applies a document with so many debit accounts, each with an alias and an opening balance, to an empty store, and then
the same document again, which changes nothing. `--pins`: each has a mailbox with a PIN, whose hash costs 20 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from softswitch.processes.store import EmbeddedStore

WORK = """
import json, sys, time
from billing.store.preparing import migrate, setup
from softswitch.processes.actor import process
setup(sys.argv[1])
migrate()
from billing.document.apply import apply
from django.db import connection
count, with_pins = int(sys.argv[2]), sys.argv[3] == "True"
accounts = [
    {"number": f"7{n:07}", "customer": "Acme", "kind": "debit", "product": "Home", "opening_balance": 5,
     "aliases": [f"44{n:07}"], **({"voicemail": {"pin": f"{90_000 - n:05}17"}} if with_pins else {})}
    for n in range(count)
]
document = {"customers": [{"name": "Acme", "currency": "USD"}], "tariffs": [{"name": "Retail", "currency": "USD"}],
            "products": [{"name": "Home", "tariff": "Retail"}], "accounts": accounts}
for what in ("first", "again"):
    asked = 0
    def counting(execute, sql, params, many, context):
        global asked
        asked += 1
        return execute(sql, params, many, context)
    began = time.perf_counter()
    with connection.execute_wrapper(counting):
        changes = apply(process("bench"), document)
    print(json.dumps({"what": what, "accounts": count, "changes": len(changes), "statements": asked,
                      "seconds": round(time.perf_counter() - began, 2)}), flush=True)
"""


def main() -> None:
    """Run with a server of our own."""
    parser = argparse.ArgumentParser(prog="bench.store.apply", description="Measure applying a document.")
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--pins", action="store_true", help="give each a mailbox with a PIN")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        server = EmbeddedStore(Path(name))
        with server.running():
            words = [sys.executable, "-c", WORK, server.dsn, str(options.accounts), str(options.pins)]
            subprocess.run(words, check=True)
    print(json.dumps({"load": round(os.getloadavg()[0], 1)}))


if __name__ == "__main__":
    main()
