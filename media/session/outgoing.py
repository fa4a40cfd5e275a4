# SPDX-License-Identifier: Apache-2.0
"""What one session sends: prompts, keys, silence between them; a packet every 20 ms. Pure: no socket, no clock."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from media.rtp.dtmf import DIGITS, EventSender
from media.rtp.rtp import HEADER
from media.sound.codec import PCMU, Codec
from media.sound.inband import tone_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from random import Random

    from media.sound.sound import Encoding, Sound

__all__ = ["Outgoing"]

MARKER: Final = 0x80
PAUSE_PACKETS: Final = 5
"""Between two keys that are sent as tones."""
MOST_FED: Final = 10
"""Packets of a bridged phone that may wait: 200 ms. More is left out."""


class Outgoing:
    """Our RTP source (RFC 3550 section 5.1). Its clock goes on by a packet's time with each packet asked for."""

    __slots__ = (
        "_codec",
        "_encoding",
        "_event_timestamp",
        "_events",
        "_fed",
        "_frames",
        "_index",
        "_is_fed",
        "_live",
        "_marker",
        "_queue",
        "_silence",
        "_sound",
        "_step",
        "_tones",
        "event_type",
        "octets",
        "on_hold",
        "packets",
        "payload_type",
        "played",
        "sequence",
        "ssrc",
        "timestamp",
    )

    def __init__(self, random: Random) -> None:
        self.ssrc = random.getrandbits(32)
        self.sequence = random.getrandbits(15)
        """Of the packet that went out last."""
        self.timestamp = random.getrandbits(32)
        """Of the present 20 ms."""
        self.packets = 0
        self.octets = 0
        """Of payload."""
        self.payload_type = 0
        self.event_type: int | None = None
        self.on_hold = False
        """Nothing may be sent."""
        self.played = False
        """The queue of sounds has been played to its end; whoever looks at it sets it back."""
        self._codec = PCMU
        self._step = PCMU.step
        self._silence = PCMU.silence
        self._live: Callable[[bytes], bytes] | None = None
        self._marker = MARKER
        self._queue: deque[Sound] = deque()
        self._sound: Sound | None = None
        self._encoding: Encoding | None = None
        self._frames: list[bytes] = []
        self._index = 0
        self._events = EventSender(PCMU.step)
        self._event_timestamp = 0
        self._tones: deque[bytes] = deque()
        self._fed: deque[bytes] = deque()
        self._is_fed = False

    @property
    def is_playing(self) -> bool:
        return self._encoding is not None or bool(self._queue)

    @property
    def is_busy(self) -> bool:
        """Whether it has something to say by itself."""
        return self.is_playing or bool(self._events) or bool(self._tones)

    def agree(self, codec: Codec, payload_type: int, event_type: int | None, event_clock_rate: int) -> None:
        """Speak so from the next packet on. A sound that is being played goes on where it is."""
        if codec is not self._codec:
            self._codec, self._step, self._silence = codec, codec.step, codec.silence
            self._live = codec.live() if codec.live is not None else None
            self._marker = MARKER
            self._tones.clear()
            self._fed.clear()
            if self._sound is not None:
                self._encoding = self._sound.encoding(codec)
                self._frames = self._encoding.frames
        self.payload_type = payload_type
        self.event_type = event_type
        self._events.step = event_clock_rate // 50

    def play(self, sounds: Iterable[Sound]) -> None:
        """Play these after what is queued already."""
        self._queue.extend(sounds)
        self.played = not self.is_playing

    def stop_playing(self) -> None:
        """Forget what is played and queued."""
        self._queue.clear()
        self._sound = self._encoding = None
        self._frames = []
        self._index = 0
        self.played = False

    def send_digits(self, digits: str) -> None:
        """Send keys, one after the other, as telephone events or, to a phone that knows none, as tones.

        Sounds wait meanwhile.
        """
        if self.event_type is not None:
            self._events.send(digits)
            return
        for digit in digits.upper():
            if digit in DIGITS:
                self._tones.extend(tone_of(digit).frames(self._codec))
                self._tones.extend([self._silence] * PAUSE_PACKETS)

    def skip(self, ticks: int) -> None:
        """Time for so many packets passed without any."""
        self.timestamp = (self.timestamp + ticks * self._step) & 0xFFFFFFFF
        self._marker = MARKER

    def pass_over(self) -> None:
        """20 ms without a packet, as the phone is on hold. What is played goes on unheard."""
        self.timestamp = (self.timestamp + self._step) & 0xFFFFFFFF
        self._marker = MARKER
        if self._tones:
            self._tones.popleft()
        elif self._events:
            self._events.packet()
        elif self._index < len(self._frames):
            self._index += 1
        else:
            self._next_payload()

    def next_packet(self) -> bytes:
        """The packet of the next 20 ms; b"" where another phone is to be heard and nothing of it has come."""
        timestamp = self.timestamp = (self.timestamp + self._step) & 0xFFFFFFFF
        index = self._index
        if self._events or self._tones:
            return self._key_packet()
        if index < len(self._frames):
            payload = self._frames[index]
            self._index = index + 1
        else:
            payload = self._next_payload()
            if not payload:
                self._marker = MARKER
                return b""
        if self._live is not None:
            payload = self._live(payload)
        self.sequence = sequence = (self.sequence + 1) & 0xFFFF
        self.packets += 1
        self.octets += len(payload)
        if self._marker:
            self._marker = 0
            return HEADER.pack(0x80, self.payload_type | MARKER, sequence, timestamp, self.ssrc) + payload
        return HEADER.pack(0x80, self.payload_type, sequence, timestamp, self.ssrc) + payload

    def _next_payload(self) -> bytes:
        """Encode more of the present sound, or begin the next one; silence where there is none."""
        while True:
            encoding = self._encoding
            if encoding is not None:
                while self._index >= len(encoding.frames) and encoding.more():
                    pass
                if self._index < len(encoding.frames):
                    self._index += 1
                    return encoding.frames[self._index - 1]
                self._sound = self._encoding = None
                self.played = not self._queue
            self._frames, self._index = [], 0
            if not self._queue:
                break
            self._sound = self._queue.popleft()
            self._encoding = self._sound.encoding(self._codec)
            self._frames = self._encoding.frames
        if not self._is_fed:
            return self._silence
        return self._fed.popleft() if self._fed else b""

    def _key_packet(self) -> bytes:
        """The next packet of a key; silence between two."""
        second, timestamp, frame, event = self.payload_type, self.timestamp, self._silence, b""
        if self._tones:
            frame = self._tones.popleft()
        else:
            event, begins = self._events.packet()
            if begins:
                self._event_timestamp = timestamp
            if event:
                second = (self.event_type or 0) | (MARKER if begins else 0)
                timestamp = self._event_timestamp
        payload = event or (frame if self._live is None else self._live(frame))
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.packets += 1
        self.octets += len(payload)
        return HEADER.pack(0x80, second, self.sequence, timestamp, self.ssrc) + payload

    # For a phone that is bridged with this one

    def be_fed(self, fed: bool) -> None:
        """Whether another phone is to be heard: then there is no silence of our own."""
        self._is_fed = fed
        self._fed.clear()

    def feed(self, frames: Iterable[bytes]) -> None:
        """Sound of another phone in frames for this one; to be sent one by one at the next ticks."""
        self._fed.extend(frames)
        while len(self._fed) > MOST_FED:
            self._fed.popleft()

    def relayed(self, second: int, sequence: int, timestamp: int, payload: bytes) -> bytes:
        """A packet of another phone as one of ours; `second` is its marker and payload type."""
        if (sequence - self.sequence) & 0xFFFF < 0x8000:
            self.sequence = sequence
        self.packets += 1
        self.octets += len(payload)
        return HEADER.pack(0x80, second, sequence, timestamp, self.ssrc) + payload
