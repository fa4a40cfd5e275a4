# SPDX-License-Identifier: Apache-2.0
"""Calls of the sample carrier go with their last use."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from softswitch import carrier as sample
from softswitch.carrier.plan import Behaviour
from softswitch.settings import CarrierSettings
from tests.growth import Growth
from tests.patience import PATIENCE_SECONDS
from tests.quick import QuickPhone

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.asyncio

CALLS = 200
AT_A_TIME = 20


@pytest.mark.parametrize(
    "how",
    [Behaviour(answer_after_seconds=0.02), Behaviour(answer_after_seconds=0.02, hang_up_after_seconds=0.05)],
    ids=["the caller hangs up", "the carrier hangs up"],
)
async def test_a_call_of_the_carrier_leaves_nothing(monkeypatch: pytest.MonkeyPatch, how: Behaviour) -> None:
    """By tens of thousands of calls it grew by 2 KB each."""
    behaviour: Callable[[str, int], Behaviour] = lambda _number, _gateway: how  # noqa: E731 (a typed stand-in)
    monkeypatch.setattr(sample, "behaviour", behaviour)
    monkeypatch.setattr(sample, "RING_AFTER_SECONDS", 0.01)
    carrier = sample.Carrier(CarrierSettings(listen=(("127.0.0.1", 0),)))
    await carrier.start()
    try:
        _, host, port = carrier.transport.bound[0]
        async with QuickPhone((host, port)) as phone:
            growth = Growth()
            with growth.uncollected():
                await calls(carrier, phone, AT_A_TIME, how)
                growth.begin()
                await calls(carrier, phone, CALLS, how)
                assert growth.by_kind(CALLS) == {}
    finally:
        await carrier.close()


async def calls(carrier: sample.Carrier, phone: QuickPhone, number: int, how: Behaviour) -> None:
    """So many calls, until their transactions have ended."""
    most = None if how.hang_up_after_seconds is not None else 0.02
    uri = f"sip:+442079460000@{phone.target[0]}:{phone.target[1]}"
    for _ in range(0, number, AT_A_TIME):
        await asyncio.gather(*(phone.call(uri, most_seconds=most) for _ in range(AT_A_TIME)))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while carrier.calls:  # noqa: ASYNC110 (nothing announces it)
            await asyncio.sleep(0.02)
    for minutes in range(1, 4):
        carrier.core.perform(carrier.core.agent.handle_timer(carrier.core.now() + 60 * minutes))
    await asyncio.sleep(0.05)
