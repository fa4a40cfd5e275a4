# SPDX-License-Identifier: Apache-2.0
"""The sound of a phone in tests: PCMU on a real UDP socket, a packet every 20 ms."""

from __future__ import annotations

import asyncio
import re
from typing import Self

from media.rtp.rtp import HEADER
from media.sound.g711 import ULAW_SAMPLES, ulaw
from media.sound.tone import dominant_frequency, tone
from tests.patience import PATIENCE_SECONDS

__all__ = ["RtpPhone", "port_of"]

EVENT_TYPE = 101
HEARABLE = (300, 425, 440, 500, 600, 700, 800, 900, 1000)


def port_of(description: bytes) -> int:
    """The audio port of a session description."""
    found = re.search(rb"m=audio (\d+)", description)
    assert found is not None, description
    return int(found[1])


class RtpPhone(asyncio.DatagramProtocol):
    """Sends a tone or silence, hears samples, presses keys."""

    def __init__(self) -> None:
        self.heard: list[int] = []
        """Samples of 8 kHz."""
        self.events: list[int] = []
        """Telephone events that ended."""
        self.target: tuple[str, int] | None = None
        self._hertz = 0
        self._sequence = 100
        self._timestamp = 160_000
        self._sender: asyncio.Task[None] | None = None
        self._pressing: list[str] = []
        self._speech = b""
        self.loses: frozenset[int] = frozenset()
        """Which packets of what `speak` says are lost on the way, by their number."""
        self._spoken = 0

    async def __aenter__(self) -> Self:
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
        self._transport.close()

    @property
    def sdp(self) -> bytes:
        """An offer, or an answer."""
        port = self._transport.get_extra_info("sockname")[1]
        return (
            f"v=0\r\no=- 7 7 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP 0 {EVENT_TYPE}\r\na=rtpmap:{EVENT_TYPE} telephone-event/8000\r\n"
        ).encode()

    def talk_to(self, description: bytes) -> None:
        """Begin to send where this description says."""
        self.target = ("127.0.0.1", port_of(description))
        if self._sender is None:
            self._sender = asyncio.create_task(self._send())

    def say(self, hertz: int) -> None:
        """Say a tone from now on; 0: silence."""
        self._hertz = hertz

    def speak(self, codes: bytes) -> None:
        """Say something once, given as PCMU; then go on with the tone."""
        self._speech, self._spoken = codes, 0

    @property
    def is_speaking(self) -> bool:
        """Whether something is left to be said."""
        return bool(self._speech)

    def press(self, keys: str) -> None:
        """Press keys (RFC 4733), one after the other."""
        self._pressing += keys

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A packet."""
        if data[1] & 0x7F == 0:
            self.heard += [ULAW_SAMPLES[code] for code in data[12:]]
        elif data[1] & 0x7F == EVENT_TYPE and data[13] & 0x80 and (not self.events or data[1] & 0x80 == 0):
            self.events.append(data[12])

    def hears(self, *, last_seconds: float = 0.3) -> float | None:
        """The tone that was heard lately."""
        samples = self.heard[-int(8000 * last_seconds) :]
        return dominant_frequency(samples, HEARABLE) if any(samples) else None

    async def until_hears(self, hertz: int, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait for a tone."""
        async with asyncio.timeout(seconds):
            while self.hears(last_seconds=0.1) != hertz:  # noqa: ASYNC110 (sound has no event)
                await asyncio.sleep(0.02)

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        at = loop.time()
        while True:
            if self._pressing:
                at = await self._press(self._pressing.pop(0), at)
            self._say()
            at = await self._next(at)

    def _say(self) -> None:
        if not self._speech:
            self._packet(0, ulaw(tone(self._hertz, 0.02, first_sample=self._timestamp)))
            return
        payload, self._speech = self._speech[:160], self._speech[160:]
        if self._spoken in self.loses:
            self._sequence += 1
        else:
            self._packet(0, payload)
        self._spoken += 1

    async def _next(self, at: float) -> float:
        self._timestamp += 160
        at += 0.02
        await asyncio.sleep(max(at - asyncio.get_running_loop().time(), 0))
        return at

    async def _press(self, key: str, at: float) -> float:
        event, begun = "0123456789*#ABCD".index(key), self._timestamp
        for number in range(5):
            end = 0x80 if number >= 3 else 0
            payload = bytes([event, end | 10]) + (160 * (number + 1)).to_bytes(2, "big")
            self._packet(EVENT_TYPE, payload, timestamp=begun)
            at = await self._next(at)
        return at

    def _packet(self, payload_type: int, payload: bytes, timestamp: int | None = None) -> None:
        assert self.target is not None
        self._sequence += 1
        header = HEADER.pack(
            0x80, payload_type, self._sequence, (self._timestamp if timestamp is None else timestamp) & 0xFFFFFFFF, 77
        )
        self._transport.sendto(header + payload, self.target)
