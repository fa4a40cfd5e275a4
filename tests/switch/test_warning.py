# SPDX-License-Identifier: Apache-2.0
"""The warning tone: the payer hears it through a real relay before the funds end, and a top-up makes it cease."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Self

import pytest
import pytest_asyncio

from media.relay.player import read_wav
from media.rtp.rtp import HEADER_SIZE
from media.sound.g711 import linear_from_alaw
from media.sound.tone import power_at
from switch.calls.warning import WARNING_HERTZ, warning_wav
from switch.settings import CreditSettings, RelaySettings, SwitchSettings
from switch.sip.session import Ended
from tests.relays import builtin
from tests.switch.phone import sdp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.switch.conftest import World

pytestmark = pytest.mark.asyncio

TOPUP = """
INSERT INTO billing_ledgerentry (key, balance_id, amount, kind)
SELECT 'a top-up', balance_id, 1, 'topup' FROM billing_account WHERE number = '105'"""


@pytest_asyncio.fixture
async def relay() -> AsyncIterator[tuple[str, int]]:
    """The media process's relay; yields where it takes commands."""
    async with builtin() as ng:
        yield ng


@pytest.fixture
def settings(settings: SwitchSettings, relay: tuple[str, int]) -> SwitchSettings:
    """The switch's settings, with a relay."""
    return replace(settings, relay=RelaySettings(addresses=(relay,)), credit=CreditSettings(warn_seconds=15))


class Ear:
    """The RTP socket of a phone."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.port: int = self.socket.getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def heard(self) -> list[bytes]:
        """The packets that came since the last time."""
        packets = []
        while True:
            try:
                packets.append(self.socket.recv(2048))
            except BlockingIOError:
                return packets


async def test_the_caller_hears_the_tone_and_the_callee_does_not(world: World) -> None:
    with Ear() as mine, Ear() as theirs:
        async with world.phone("105") as alice, world.phone("201") as paid:
            await paid.register()
            await alice.call("201", body=sdp(mine.port, codec="8"))
            await paid.answer(sdp(theirs.port, codec="8"))
            answered = await alice.connected()
            await asyncio.sleep(6.0)  # 20 seconds are paid for: the tone comes 15 before they end
            packets = mine.heard()
            (call,) = world.switch.control.calls.values()
            assert "warning: 15 s left" in "; ".join(call.trace)
            assert 28 <= len(packets) <= 30
            sound = linear_from_alaw(b"".join(packet[HEADER_SIZE:] for packet in packets))
            beeps = [sample for start in range(0, len(sound) - 1600, 2400) for sample in sound[start : start + 1600]]
            assert power_at(beeps, WARNING_HERTZ) > 0.8
            assert theirs.heard() == []
            alice.perform(answered.session.bye(alice.now()))
            await paid.expect(Ended)


async def test_after_a_top_up_there_is_no_tone_and_the_call_goes_on(world: World) -> None:
    with Ear() as mine:
        async with world.phone("105") as alice, world.phone("201") as paid:
            await paid.register()
            await alice.call("201", body=sdp(mine.port, codec="8"))
            await paid.answer(sdp(codec="8"))
            answered = await alice.connected()
            (call,) = world.switch.control.calls.values()
            credit = call.credit
            assert credit is not None
            async with asyncio.timeout(1):
                while not credit.exhausted:  # noqa: ASYNC110 (what is left is locked soon after the answer)
                    await asyncio.sleep(0.01)
            assert credit.paid_seconds == 20
            await world.sql.execute(TOPUP)
            await asyncio.sleep(6.0)
            assert mine.heard() == []
            assert (credit.exhausted, credit.paid_seconds) == (False, 60)
            alice.perform(answered.session.bye(alice.now()))
            await paid.expect(Ended)


async def test_the_tone_is_a_wav_file_that_fits_into_a_datagram() -> None:
    assert len(read_wav(warning_wav())) == 2400
    assert len(warning_wav()) < 8000
