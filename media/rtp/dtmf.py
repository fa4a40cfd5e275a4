# SPDX-License-Identifier: Apache-2.0
"""Keys on the wire: telephone events (RFC 4733) received and sent. Pure; no clock. Tones are in
`media.sound.inband`."""

from __future__ import annotations

import struct
from collections import deque
from typing import Final

__all__ = ["DIGITS", "EVENT", "EventReceiver", "EventSender"]

DIGITS: Final = "0123456789*#ABCD"
"""By event code (RFC 4733 section 3.2)."""
EVENT: Final = struct.Struct("!BBH")
"""Event; end bit, reserved bit and volume; duration (RFC 4733 section 2.3)."""
END: Final = 0x80
VOLUME: Final = 10
"""dBm0 below zero."""
LONGEST: Final = 0xF000
"""A duration from here on may be continued by a further segment (RFC 4733 section 2.5.1.3)."""
RESTAMPED: Final = 0.040
"""Seconds. Some senders give each packet of an event a new timestamp; a second press comes later than that."""
FORGOTTEN: Final = 10.0
"""Seconds. An older timestamp than that is no straggler: the sender began anew."""


class EventReceiver:
    """Tells each press of a key once, at the first packet of it that comes.

    A press is what has one timestamp (RFC 4733 section 2.2.3): so a lost packet, be it the first or the last one, loses
    nothing, and the three end packets are one press.
    """

    __slots__ = ("_clock_rate", "_duration", "_ended", "_event", "_ssrc", "_timestamp")

    def __init__(self, clock_rate: int = 8000) -> None:
        """`clock_rate` of the event's payload type, Hz."""
        self._clock_rate = clock_rate
        self._ssrc: int | None = None
        self._timestamp = 0
        self._event = 0
        self._duration = 0
        self._ended = True

    def receive(self, ssrc: int, timestamp: int, payload: bytes) -> str:
        """The key that this packet makes known; "" where it is none, or known already."""
        if len(payload) < EVENT.size:
            return ""
        event, flags, duration = EVENT.unpack_from(payload)
        if event >= len(DIGITS):
            return ""  # flash and others
        is_known = ssrc == self._ssrc and self._belongs(event, timestamp, duration)
        if is_known and timestamp != self._timestamp and not self._is_later(timestamp):
            return ""  # a straggler of an earlier press
        if not is_known or timestamp != self._timestamp:
            self._ssrc, self._timestamp, self._event = ssrc, timestamp, event
            self._duration, self._ended = 0, False
        self._duration = max(self._duration, duration)
        self._ended = self._ended or bool(flags & END)
        return "" if is_known else DIGITS[event]

    def _is_later(self, timestamp: int) -> bool:
        return (timestamp - self._timestamp) & 0xFFFFFFFF < 0x80000000

    def _belongs(self, event: int, timestamp: int, duration: int) -> bool:
        """Whether a packet is of the present press, or of one before it."""
        step = (timestamp - self._timestamp) & 0xFFFFFFFF
        if step == 0:
            return True
        if step >= 0x80000000:
            return 0x100000000 - step < FORGOTTEN * self._clock_rate
        if event != self._event or self._ended:
            return False
        is_segment = self._duration >= LONGEST and step <= 0xFFFF
        return is_segment or (step <= RESTAMPED * self._clock_rate and duration > self._duration)


class EventSender:
    """The packets of keys to be sent, one each 20 ms: a press, then a pause.

    All packets of a press carry the timestamp of its beginning; the end is sent three times (RFC 4733 section 2.5.1.4).
    """

    __slots__ = ("_packets", "step")

    PRESS: Final = 5
    """Packets of 20 ms while the key is down; the last one says the end, and comes twice more."""
    PAUSE: Final = 5
    """Packets' time until the next press."""

    def __init__(self, step: int) -> None:
        self.step = step
        """Ticks of the event's clock in a packet."""
        self._packets: deque[tuple[bytes, bool]] = deque()

    def __bool__(self) -> bool:
        """Whether there is something to send."""
        return bool(self._packets)

    def send(self, digits: str) -> None:
        """Queue keys; what is none is left out."""
        for digit in digits.upper():
            event = DIGITS.find(digit)
            if event < 0:
                continue
            durations = [self.step * count for count in range(1, self.PRESS + 1)]
            for count, duration in enumerate(durations):
                flags = VOLUME | END if count == self.PRESS - 1 else VOLUME
                self._packets.append((EVENT.pack(event, flags, duration), count == 0))
            self._packets += [self._packets[-1]] * 2
            self._packets += [(b"", False)] * self.PAUSE

    def packet(self) -> tuple[bytes, bool]:
        """The next payload, b"" for a pause, and whether it is the first of its press (RFC 4733 section 2.5.1.1)."""
        return self._packets.popleft()

    def clear(self) -> None:
        self._packets.clear()
