# SPDX-License-Identifier: Apache-2.0
"""The measured process: an engine with sessions that all do the same. Started by `bench.media`.

    server CALLS DOES CODEC FIRST_PORT SOCKETS

Prints the sessions' ports, a line each, then "ready"; ends at SIGTERM, and prints what was skipped.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import time

import numpy as np
import uvloop

from media.session.engine import MediaEngine
from media.session.recording import Recorder
from media.settings import EngineSettings
from media.sound.codec import CODECS, Codec
from media.sound.sound import Sound

MINUTE = 60


def prompt() -> Sound:
    """A minute of something like speech: noise in syllables."""
    rate = 16000
    noise = np.random.default_rng(1).normal(0, 3000, MINUTE * rate)
    envelope = np.abs(np.sin(2 * np.pi * 2 * np.arange(len(noise)) / rate))
    return Sound.from_samples((noise * envelope).astype(np.int16), rate)


def offer(port: int, codec: Codec, *, events: bool) -> bytes:
    event = ("101", "a=rtpmap:101 telephone-event/8000\r\n") if events else ("", "")
    return (
        "v=0\r\no=bench 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP {codec.payload_type} {event[0]}\r\n"
        f"a=rtpmap:{codec.payload_type} {codec.rtpmap}\r\n{event[1]}"
    ).encode()


async def main(calls: int, does: str, codec: Codec, first_port: int, sockets: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    settings = EngineSettings(rtp_host="127.0.0.1", rtp_ports=(20000, 29999), timeout_seconds=3600)
    engine = MediaEngine.of(settings, time.monotonic)
    sound = prompt()
    sound.frames(codec)
    written = 0

    def keep(chunk: bytes) -> None:
        nonlocal written
        written += len(chunk)

    engine.start(loop)
    for call in range(calls):
        session = engine.open()
        session.answer(offer(first_port + 2 * (call % sockets), codec, events=does != "tones"))
        print(session.pair.port)
        if does in ("play", "both"):
            session.play([sound] * 10)
        if does in ("record", "both"):
            session.record(Recorder(keep, silence_seconds=0, most_seconds=3600))
        if call % 20 == 0:
            await asyncio.sleep(0)
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    await stop.wait()
    print(engine.ticker.skipped, written, flush=True)
    engine.close()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], CODECS[sys.argv[3].lower()], int(sys.argv[4]), int(sys.argv[5])))
