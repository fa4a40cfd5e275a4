# SPDX-License-Identifier: Apache-2.0
"""The engine on a real event loop and the real clock, for a moment."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import pytest
import uvloop

from media.session.engine import MediaEngine
from media.session.recording import Recorder
from media.settings import EngineSettings
from media.sound.codec import PCMU
from tests.media.callers import Caller
from tests.media.test_session import tone
from tests.patience import PATIENCE_SECONDS
from tests.ports import media_ports


async def a_call() -> tuple[list[str], list[float], int]:
    """A caller hears a prompt of 0.3 s, says something and presses a key: keys, when packets came, octets recorded."""
    engine = MediaEngine.of(EngineSettings(rtp_host="127.0.0.1", rtp_ports=media_ports("engine")), time.monotonic)
    engine.start(asyncio.get_running_loop())
    session = engine.open()
    caller = Caller(PCMU, "127.0.0.1", events=True)
    caller.learn(session.answer(caller.offer()))
    digits: list[str] = []
    chunks: list[bytes] = []
    played = asyncio.Event()
    pressed = asyncio.Event()

    def press(digit: str) -> None:
        digits.append(digit)
        pressed.set()

    session.on_digit, session.on_played = press, played.set
    session.record(Recorder(chunks.append))
    session.play([tone(440, 0.3)])
    for payload in tone(1000, 0.4).payloads(PCMU):
        caller.send(payload)
        await asyncio.sleep(0.02)
        caller.take(time.monotonic())
    caller.send(b"\x05\x0a\x00\xa0", payload_type=101)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await played.wait()
        await pressed.wait()
    session.close()
    engine.close()
    caller.close()
    return digits, [packet.at for packet in caller.heard], sum(map(len, chunks))


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_call_lives_on_the_real_clock(run: type) -> None:
    digits, at, octets = run(a_call())
    assert digits == ["5"]
    assert len(at) >= 15
    assert sorted(after - before for before, after in pairwise(at))[len(at) // 2] == pytest.approx(0.02, abs=0.01)
    assert octets == pytest.approx(2 * 3200, rel=0.2)


def test_an_unknown_codec_is_refused() -> None:
    with pytest.raises(ValueError, match="no such codec: G729"):
        MediaEngine.of(EngineSettings(rtp_host="127.0.0.1", codecs=("PCMU", "G729")), time.monotonic)
    with pytest.raises(ValueError, match="no codecs"):
        MediaEngine.of(EngineSettings(rtp_host="127.0.0.1", codecs=()), time.monotonic)
