# SPDX-License-Identifier: Apache-2.0
"""Live calls on the command line: watched, disconnected, and their payer blocked."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.callers import Callee, Caller, Callers
from tests.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.system import System


async def until(is_true: Callable[[], bool]) -> None:
    """Wait for what nothing announces."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_true():  # noqa: ASYNC110 (nothing announces it)
            await asyncio.sleep(0.05)


@pytest.mark.asyncio
async def test_a_watched_call_is_disconnected_by_the_beginning_of_its_id_and_its_payer_blocked(system: System) -> None:
    host, port = system.proxy.split(":")
    switch = host, int(port)
    payer, paid = system.subscriber(), system.subscriber(paid=True)
    callee = Callee(paid.number, paid.password, switch)
    caller = Caller(payer, switch, paid.number, patient=True)
    async with Callers([caller], [callee]):
        await until(lambda: caller.talks is not None)
        caller.is_done = True
        shown = await asyncio.to_thread(system.run, "calls", "--watch", "--seconds", "4", "--json")
        (call,) = [one for one in json.loads(shown.splitlines()[-1]) if one["caller"] == payer.number]
        assert (call["state"], call["dialled"], call["account"]) == ("answered", paid.number, payer.number)
        assert (call["node"], call["destination"]) == ("e2e", "Paid internal line")
        assert set(call["media"]) == {"caller", "callee"}
        assert float(call["spent"]) > 0
        order = ("disconnect", call["call_id"][:8], "--block", "--reason", "toll fraud")
        told = await asyncio.to_thread(system.run, *order)
        assert f"account {payer.number} is blocked" in told
        await until(lambda: caller.talks is None)
    account = await asyncio.to_thread(system.account, payer.number)
    assert account["refusal"] == "account blocked"
    (record,) = await asyncio.to_thread(system.xdrs, payer.number)
    assert record["ended_by"] == "admin"
