# SPDX-License-Identifier: Apache-2.0
"""The recharge application over the real store: callers are on a virtual clock, the store's doors on a real one.

As a program, `python -m tests.store.recharging DSN KEYS NODE ACCOUNT CODE...` is a media server that takes one call
after another, each with one code, and says when it is ready; it is there to be killed.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from billing_client.secrets.keyring import KeyFile
from billing_client.selfcare import StoreSelfCare
from billing_client.vouchers.redeeming import StoreVouchers
from ivr.apps.selfcare.desk import Desk
from ivr.apps.selfcare.recharge import recharge
from ivr.scripted.scripted import ScriptedCaller

if TYPE_CHECKING:
    from ivr.server.runner import Application

__all__ = ["ASK", "OnRealTime", "caller", "counter"]

ASK = "recharge-enter-code"


class OnRealTime:
    """A door whose work is done on the loop where it was opened; the virtual clock of whoever asks stands still
    meanwhile, and then shows `seconds` more, half of them before."""

    def __init__(self, door: Any, loop: asyncio.AbstractEventLoop, seconds: float = 0.0) -> None:
        self._door = door
        self._loop = loop
        self._seconds = seconds

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._door, name)

        async def ask(*arguments: Any, **named: Any) -> Any:
            await asyncio.sleep(self._seconds / 2)
            asked = asyncio.run_coroutine_threadsafe(method(*arguments, **named), self._loop)
            answer = await asyncio.get_running_loop().run_in_executor(None, asked.result)
            await asyncio.sleep(self._seconds / 2)
            return answer

        return ask


def counter(selfcare: StoreSelfCare, vouchers: StoreVouchers, *, seconds: float = 0.0) -> Application:
    """The application where these doors are; the store takes so many seconds to redeem. Call it on their loop."""
    loop = asyncio.get_running_loop()
    redeeming: Any = OnRealTime(vouchers, loop, seconds)
    asking: Any = OnRealTime(selfcare, loop)
    return partial(recharge, desk=Desk(selfcare=asking, vouchers=redeeming))


def caller(call_id: str, account: str = "101", language: str = "en") -> ScriptedCaller:
    """Calls from the account's own phone."""
    found = ScriptedCaller(
        account, account=account, target=account, call_id=call_id, language=language, prompt_seconds=1.0
    )
    return found.dials("*99", app="recharge")


async def _main(dsn: str, keys: str, node: str, account: str, codes: list[str]) -> None:
    vouchers = await StoreVouchers.connect(dsn, KeyFile(Path(keys)), node=node, timeout_seconds=20, lock_after=10**6)
    selfcare = await StoreSelfCare.connect(dsn, node=node)
    app = counter(selfcare, vouchers)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for code in codes:
        script = caller(f"{node}-{code}", account).hears(ASK).presses(code + "#").hears(...).waits(9)
        await asyncio.to_thread(script.run, app)
    await vouchers.close()
    await selfcare.close()


if __name__ == "__main__":
    _dsn, _keys, _node, _account, *_codes = sys.argv[1:]
    asyncio.run(_main(_dsn, _keys, _node, _account, _codes))
