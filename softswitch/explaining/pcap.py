# SPDX-License-Identifier: Apache-2.0
"""A ladder as a capture file for packet analysers: UDP packets made anew from the messages.

The form is that of libpcap, link type RAW: packets begin with their IP header. Messages that went by TCP become UDP
packets too, so that each is one packet.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from switch.trace.ladder import Crossing

__all__ = ["pcap"]

_MAGIC: Final = 0xA1B2C3D4
_LINKTYPE_RAW: Final = 101
_UDP: Final = 17
_SNAP: Final = 262_144


def pcap(crossings: Iterable[Crossing], began_at: datetime) -> bytes:
    """The capture file; `began_at` is the instant from which the messages' seconds count."""
    parts = [struct.pack("<IHHiIII", _MAGIC, 2, 4, 0, 0, _SNAP, _LINKTYPE_RAW)]
    start = began_at.timestamp()
    for crossing in crossings:
        ends = (crossing.flow.local, crossing.flow.remote)
        source, target = ends if crossing.is_sent else ends[::-1]
        packet = _packet(source, target, crossing.data)
        microseconds = round((start + crossing.at) * 1_000_000)
        parts.append(struct.pack("<IIII", *divmod(microseconds, 1_000_000), len(packet), len(packet)))
        parts.append(packet)
    return b"".join(parts)


def _packet(source: tuple[str, int], target: tuple[str, int], data: bytes) -> bytes:
    from_host, to_host = ipaddress.ip_address(source[0]), ipaddress.ip_address(target[0])
    size = 8 + len(data)
    ports = struct.pack("!HHH", source[1], target[1], size)
    if from_host.version == 4:
        pseudo = from_host.packed + to_host.packed + struct.pack("!BBH", 0, _UDP, size)
    else:
        pseudo = from_host.packed + to_host.packed + struct.pack("!IHBB", size, 0, 0, _UDP)
    datagram = ports + struct.pack("!H", _checksum(pseudo + ports + b"\0\0" + data) or 0xFFFF) + data
    if from_host.version == 6:
        return struct.pack("!IHBB", 6 << 28, size, _UDP, 64) + from_host.packed + to_host.packed + datagram
    ends = from_host.packed + to_host.packed
    head = struct.pack("!BBHHHBB", 0x45, 0, 20 + size, 0, 0x4000, 64, _UDP)
    return head + struct.pack("!H", _checksum(head + b"\0\0" + ends)) + ends + datagram


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
