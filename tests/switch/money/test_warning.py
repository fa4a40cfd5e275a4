# SPDX-License-Identifier: Apache-2.0
"""The warning tone: the payer hears it through a real relay before the funds end, and a top-up makes it cease."""

from __future__ import annotations

import asyncio
import re
import socket
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Self

import pytest

from media.relay.player import read_wav
from media.rtp.rtp import HEADER, HEADER_SIZE
from media.sound.g711 import alaw, linear_from_alaw
from media.sound.tone import dominant_frequency, power_at, tone
from switch.money.warning import WARNING_HERTZ, warning_wav
from switch.settings import CreditSettings, RelaySettings, SwitchSettings
from switch.sip.session import Ended
from tests.patience import PATIENCE_SECONDS
from tests.switch.phone import sdp

if TYPE_CHECKING:
    from tests.switch.conftest import World

pytestmark = pytest.mark.asyncio

CALLER_HERTZ, CALLEE_HERTZ = 880, 440
TOPUP = """
INSERT INTO billing_ledgerentry (key, balance_id, amount, kind)
SELECT 'a top-up', balance_id, 1, 'topup' FROM billing_account WHERE number = '105'"""


@pytest.fixture
def settings(settings: SwitchSettings, relay: tuple[str, int]) -> SwitchSettings:
    """The switch's settings, with a relay."""
    return replace(settings, relay=RelaySettings(addresses=(relay,)), credit=CreditSettings(warn_seconds=18))


class Ear:
    """The RTP socket of a phone, which may say something too."""

    def __init__(self) -> None:
        self.target = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.port: int = self.socket.getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def learn(self, body: bytes | None) -> None:
        """Where to send, from what the other side described."""
        found = re.search(rb"m=audio (\d+)", body or b"")
        assert found is not None
        self.target = int(found[1])

    async def say(self, hertz: int) -> None:
        """A tone, for as long as it takes."""
        begin = asyncio.get_running_loop().time()
        for number in count():
            header = HEADER.pack(0x80, 8, number & 0xFFFF, number * 160, hertz)
            sound = header + alaw(tone(hertz, 0.02, first_sample=number * 160))
            self.socket.sendto(sound, ("127.0.0.1", self.target))
            await asyncio.sleep(begin + 0.02 * (number + 1) - asyncio.get_running_loop().time())

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
            await asyncio.sleep(3.0)  # 20 seconds are paid for: the tone comes 18 before they end
            packets = mine.heard()
            (call,) = world.switch.control.calls.values()
            assert "warning: 18 s left" in "; ".join(call.trace)
            assert 28 <= len(packets) <= 30
            sound = linear_from_alaw(b"".join(packet[HEADER_SIZE:] for packet in packets))
            beeps = [sample for start in range(0, len(sound) - 1600, 2400) for sample in sound[start : start + 1600]]
            assert power_at(beeps, WARNING_HERTZ) > 0.8
            assert theirs.heard() == []
            alice.perform(answered.session.bye(alice.now()))
            await paid.expect(Ended)


def tones(packets: list[bytes]) -> list[float | None]:
    """Which tone each packet has; None: silence."""
    sounds = (linear_from_alaw(packet[HEADER_SIZE:]) for packet in packets)
    return [dominant_frequency(sound, (CALLER_HERTZ, CALLEE_HERTZ, WARNING_HERTZ)) for sound in sounds]


async def test_among_voices_the_caller_hears_the_tone_alone_and_then_the_voice_again(world: World) -> None:
    """Case H7: with rtpengine 10.5 beeps and voice came mixed, packet by packet."""
    with Ear() as mine, Ear() as theirs:
        async with world.phone("105") as alice, world.phone("201") as paid:
            await paid.register()
            await alice.call("201", body=sdp(mine.port, codec="8"))
            invite = await paid.ringing()
            theirs.learn(invite.request.sdp)
            paid.perform(invite.accept(paid.now(), body=sdp(theirs.port, codec="8")))
            answered = await alice.connected()
            mine.learn(answered.response.sdp)
            async with asyncio.TaskGroup() as voices:
                both = [voices.create_task(mine.say(CALLER_HERTZ)), voices.create_task(theirs.say(CALLEE_HERTZ))]
                packets: list[bytes] = []
                said: list[bytes] = []
                for _ in range(45):  # 20 seconds are paid for: the tone comes 18 before they end
                    await asyncio.sleep(0.1)
                    packets += mine.heard()
                    said += theirs.heard()
                for voice in both:
                    voice.cancel()
            heard = tones(packets)
            first, last = heard.index(WARNING_HERTZ), len(heard) - heard[::-1].index(WARNING_HERTZ)
            assert heard[:first].count(CALLEE_HERTZ) > 50
            assert heard.count(WARNING_HERTZ) == 20
            # a relay of which nothing is known yet is asked while the tone has begun
            assert heard[first:last].count(CALLEE_HERTZ) < 5
            assert heard[last:].count(CALLEE_HERTZ) > 50
            assert tones(said).count(CALLER_HERTZ) > 150
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
            credit = call.payment.credit
            assert credit is not None
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not credit.exhausted:  # noqa: ASYNC110 (what is left is locked soon after the answer)
                    await asyncio.sleep(0.01)
            assert credit.paid_seconds == 20
            await world.sql.execute(TOPUP)
            await asyncio.sleep(3.0)
            assert mine.heard() == []
            assert (credit.exhausted, credit.paid_seconds) == (False, 60)
            alice.perform(answered.session.bye(alice.now()))
            await paid.expect(Ended)


async def test_the_tone_is_a_wav_file_that_fits_into_a_datagram() -> None:
    assert len(read_wav(warning_wav())) == 2400
    assert len(warning_wav()) < 8000
