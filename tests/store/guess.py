# SPDX-License-Identifier: Apache-2.0
"""Wrong PINs as a process of its own tries them: `python -m tests.store.guess DSN NODE ANI COUNT`; prints verdicts."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter

from billing_client.selfcare import StoreSelfCare
from billing_client.vouchers.words import GuessSource


async def _main(dsn: str, node: str, ani: str, count: int) -> None:
    door = await StoreSelfCare.connect(dsn, node=node, connections=4, lock_after=3, lock_seconds=100)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    source = GuessSource(ani, "18005550100", is_vouched=True)
    answers = await asyncio.gather(*(door.log_in(f"{node}{number:07}", source) for number in range(count)))
    print(json.dumps(Counter(answer.verdict for answer in answers)), flush=True)
    await door.close()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
