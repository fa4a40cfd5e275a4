# SPDX-License-Identifier: Apache-2.0
"""Redemptions as a process of its own makes them: `python -m tests.store.redeem DSN KEYS NODE ACCOUNT COUNT CODE...`.

Every code is redeemed COUNT times, each time under another key, all at once; prints the outcomes.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path

from billing_client.secrets.keyring import KeyFile
from billing_client.vouchers.redeeming import StoreVouchers
from billing_client.vouchers.words import GuessSource
from tests.store.vouchers import outcome


async def _main(dsn: str, keys: str, node: str, account: str, count: int, codes: list[str]) -> None:
    door = await StoreVouchers.connect(
        dsn, KeyFile(Path(keys)), node=node, connections=8, timeout_seconds=60, lock_after=1_000_000
    )
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    answers = await asyncio.gather(
        *(
            door.redeem(code, account, f"{node}-{code}-{number}", GuessSource(node))
            for number in range(count)
            for code in codes
        )
    )
    print(json.dumps(Counter(map(outcome, answers))), flush=True)
    await door.close()


if __name__ == "__main__":
    _dsn, _keys, _node, _account, _count, *_codes = sys.argv[1:]
    asyncio.run(_main(_dsn, _keys, _node, _account, int(_count), _codes))
