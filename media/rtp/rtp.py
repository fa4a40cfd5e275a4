# SPDX-License-Identifier: Apache-2.0
"""RTP and RTCP headers (RFC 3550 sections 5.1 and 6.1), and what a receiver can tell of a stream."""

from __future__ import annotations

import struct
from typing import TypeAlias

__all__ = ["HEADER", "HEADER_SIZE", "Reception", "is_dtls", "is_rtcp", "is_rtp", "payload_type", "sequence_number"]

HEADER = struct.Struct("!BBHII")
"""Version and flags, marker and payload type, sequence number, timestamp, SSRC."""
HEADER_SIZE = HEADER.size
RTCP_SIZE = 8

MAX_DROPOUT = 3000
"""A greater step of the sequence number is a restart of the sender, not loss (RFC 3550 appendix A.1)."""

Octets: TypeAlias = "bytes | bytearray | memoryview"


def is_rtp(packet: Octets, size: int) -> bool:
    """Whether the first `size` octets can be an RTP packet: version 2, and no RTCP type (RFC 5761 section 4)."""
    return size >= HEADER_SIZE and packet[0] >> 6 == 2 and not 192 <= packet[1] <= 223


def is_rtcp(packet: Octets, size: int) -> bool:
    """Whether the first `size` octets can be an RTCP packet."""
    return size >= RTCP_SIZE and packet[0] >> 6 == 2 and 192 <= packet[1] <= 223


def is_dtls(packet: Octets, size: int) -> bool:
    """Whether the first `size` octets can be a DTLS record (RFC 7983 section 7)."""
    return size > 0 and 20 <= packet[0] <= 63


def payload_type(packet: Octets) -> int:
    return packet[1] & 0x7F


def sequence_number(packet: Octets) -> int:
    return packet[2] << 8 | packet[3]


class Reception:
    """Loss and jitter of one stream, from a sample of its packets and the count of all.

    Loss needs no look at every packet: between two samples the sequence number tells how many were sent, and the
    count how many came. Jitter follows RFC 3550 appendix A.8 over the sampled packets.
    """

    __slots__ = (
        "_first",
        "_highest",
        "_lost_before",
        "_received_at_base",
        "_span",
        "_transit",
        "jitter_seconds",
        "lost",
        "ssrc",
    )

    def __init__(self) -> None:
        self.ssrc: int | None = None
        self.lost = 0
        """Packets that never came; negative where duplicates outnumber the lost (RFC 3550 section 6.4.1)."""
        self.jitter_seconds = 0.0
        self._lost_before = 0
        self._received_at_base = 0
        self._first = 0
        self._highest = 0
        self._span = 0
        self._transit: float | None = None

    @property
    def highest(self) -> int:
        """The highest sequence number, extended by its cycles (RFC 3550 section 6.4.1)."""
        return self._first + self._span

    def sample(self, packet: Octets, received: int, arrived_at: float, clock_rate: int) -> None:
        """Take note of a packet of version 2; `received` counts all packets of the stream, this one included."""
        _, _, sequence, timestamp, ssrc = HEADER.unpack_from(packet)
        step = (sequence - self._highest) & 0xFFFF
        if ssrc != self.ssrc or MAX_DROPOUT < step < 0x10000 - MAX_DROPOUT:
            self._begin(ssrc, sequence, received)
        elif step < 0x8000:
            self._highest = sequence
            self._span += step
            self.lost = self._lost_before + self._span - (received - self._received_at_base)
        else:
            return  # overtaken by its successors
        transit = (arrived_at - timestamp / clock_rate) % (2**32 / clock_rate)
        if self._transit is not None:
            change = abs(transit - self._transit)
            if change < 1.0:  # else the timestamp began anew, or wrapped
                self.jitter_seconds += (change - self.jitter_seconds) / 16
        self._transit = transit

    def _begin(self, ssrc: int, sequence: int, received: int) -> None:
        self.ssrc = ssrc
        self._lost_before = self.lost
        self._received_at_base = received
        self._first = self._highest = sequence
        self._span = 0
        self._transit = None
