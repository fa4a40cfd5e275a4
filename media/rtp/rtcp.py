# SPDX-License-Identifier: Apache-2.0
"""RTCP (RFC 3550 section 6): sender and receiver reports, and the farewell."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from media.rtp.rtp import Octets

__all__ = ["ReceptionBlock", "Reports", "bye", "ntp_middle", "read", "report", "source_description"]

SENDER_REPORT, RECEIVER_REPORT, SOURCE_DESCRIPTION, BYE = 200, 201, 202, 203
HEADER: Final = struct.Struct("!BBHI")
SENDER: Final = struct.Struct("!QIII")
BLOCK: Final = struct.Struct("!IIIIII")
NTP_EPOCH: Final = 2_208_988_800
"""Seconds from 1900 to 1970."""
CNAME: Final = 1


@dataclass(frozen=True, slots=True)
class ReceptionBlock:
    """What a receiver says about one source (section 6.4.1)."""

    ssrc: int
    fraction_lost: float
    """Of the packets since the last report, 0 to 1."""
    lost: int
    highest: int
    """Extended highest sequence number received."""
    jitter: int
    """By the RTP clock."""
    last_report: int = 0
    """Middle of the NTP time of the last sender report received."""
    delay: float = 0.0
    """Seconds from then on."""


@dataclass(frozen=True, slots=True)
class Reports:
    """What matters of a compound packet."""

    sender_ntp: int | None = None
    """Middle of the NTP time of a sender report."""
    sender_ssrc: int = 0
    blocks: tuple[ReceptionBlock, ...] = ()
    is_bye: bool = False


def ntp(at: float) -> int:
    """An instant in epoch seconds as a 64-bit NTP timestamp."""
    return int((at + NTP_EPOCH) * 2**32) & 0xFFFFFFFFFFFFFFFF


def ntp_middle(at: float) -> int:
    """Its middle 32 bits, units of 1/65536 s."""
    return ntp(at) >> 16 & 0xFFFFFFFF


def report(
    ssrc: int, sent: tuple[float, int, int, int] | None, blocks: tuple[ReceptionBlock, ...], cname: str
) -> bytes:
    """A compound packet. `sent`: epoch seconds, RTP timestamp of the same instant, packets and octets sent so far."""
    body = b""
    if sent is not None:
        at, timestamp, packets, octets = sent
        body = SENDER.pack(ntp(at), timestamp & 0xFFFFFFFF, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF)
    body += b"".join(map(_block, blocks))
    kind = RECEIVER_REPORT if sent is None else SENDER_REPORT
    return _packet(len(blocks), kind, ssrc, body) + source_description(ssrc, cname)


def _block(block: ReceptionBlock) -> bytes:
    lost = max(-0x800000, min(block.lost, 0x7FFFFF)) & 0xFFFFFF
    fraction = min(int(block.fraction_lost * 256), 255)
    delay = min(int(block.delay * 65536), 0xFFFFFFFF)
    return BLOCK.pack(
        block.ssrc, fraction << 24 | lost, block.highest & 0xFFFFFFFF, block.jitter, block.last_report, delay
    )


def source_description(ssrc: int, cname: str) -> bytes:
    """SDES with the canonical name only (section 6.5)."""
    name = cname.encode()[:255]
    item = bytes([CNAME, len(name)]) + name + b"\0"
    return _packet(1, SOURCE_DESCRIPTION, ssrc, item + bytes(-len(item) % 4))


def bye(ssrc: int) -> bytes:
    """Section 6.6; to be appended to a report."""
    return _packet(1, BYE, ssrc, b"")


def _packet(count: int, kind: int, ssrc: int, body: bytes) -> bytes:
    return HEADER.pack(0x80 | count, kind, 1 + len(body) // 4, ssrc) + body


def read(compound: Octets, size: int) -> Reports:
    """What the first `size` octets report; what is malformed is left out."""
    sender_ntp, sender_ssrc, is_bye = None, 0, False
    blocks: list[ReceptionBlock] = []
    at = 0
    while at + HEADER.size <= size:
        first, kind, words, ssrc = HEADER.unpack_from(compound, at)
        end = at + 4 * (words + 1)
        if first >> 6 != 2 or end > size:
            break
        position = at + HEADER.size
        if kind == SENDER_REPORT and end - position >= SENDER.size:
            sender_ntp, sender_ssrc = SENDER.unpack_from(compound, position)[0] >> 16 & 0xFFFFFFFF, ssrc
            position += SENDER.size
        if kind in (SENDER_REPORT, RECEIVER_REPORT):
            for _ in range(min(first & 31, (end - position) // BLOCK.size)):
                blocks.append(_read_block(compound, position))
                position += BLOCK.size
        is_bye = is_bye or kind == BYE
        at = end
    return Reports(sender_ntp, sender_ssrc, tuple(blocks), is_bye)


def _read_block(compound: Octets, position: int) -> ReceptionBlock:
    ssrc, loss, highest, jitter, last_report, delay = BLOCK.unpack_from(compound, position)
    lost = loss & 0xFFFFFF
    return ReceptionBlock(
        ssrc,
        fraction_lost=(loss >> 24) / 256,
        lost=lost - 0x1000000 if lost & 0x800000 else lost,
        highest=highest,
        jitter=jitter,
        last_report=last_report,
        delay=delay / 65536,
    )
