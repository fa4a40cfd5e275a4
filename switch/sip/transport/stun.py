# SPDX-License-Identifier: Apache-2.0
"""The answer to STUN Binding requests that phones send to the SIP port to keep a NAT open (RFC 5626 4.4.2, RFC 8489).

A SIP message never begins with a zero byte, a STUN request always does (RFC 5626 section 8).
"""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import Final
from zlib import crc32

__all__ = ["answer_binding", "is_stun"]

_HEADER: Final = struct.Struct("!HHI12s")
_ATTRIBUTE: Final = struct.Struct("!HH")
_MAGIC_COOKIE: Final = 0x2112A442
_BINDING_REQUEST: Final = 0x0001
_BINDING_SUCCESS: Final = 0x0101
_BINDING_ERROR: Final = 0x0111
_ERROR_CODE: Final = 0x0009
_UNKNOWN_ATTRIBUTES: Final = 0x000A
_XOR_MAPPED_ADDRESS: Final = 0x0020
_FINGERPRINT: Final = 0x8028
_FINGERPRINT_XOR: Final = 0x5354554E
# 14.1 to 14.5: what a request may carry that a Binding without authentication need not look at
_IGNORED: Final = frozenset((0x0006, 0x0008, 0x0014, 0x0015, 0x001C, 0x001D, 0x001E))
_MAX_BYTES: Final = 548
"""RFC 8489 6.1: a longer message is none of those that fit everywhere, and nobody pings with one."""


def is_stun(datagram: bytes) -> bool:
    """Whether a datagram on the SIP port is STUN (RFC 8489 section 6.3)."""
    return (
        len(datagram) >= _HEADER.size
        and datagram[0] < 4
        and datagram[4:8] == _MAGIC_COOKIE.to_bytes(4, "big")
        and len(datagram) == _HEADER.size + int.from_bytes(datagram[2:4], "big")
        and len(datagram) % 4 == 0
    )


def answer_binding(datagram: bytes, source: tuple[str, int]) -> bytes | None:
    """The Binding response for a datagram from `source` (literal IP address and port); None for anything else."""
    if not is_stun(datagram) or len(datagram) > _MAX_BYTES:
        return None
    kind, _, _, transaction = _HEADER.unpack_from(datagram)
    attributes = _attribute_types(datagram)
    if kind != _BINDING_REQUEST or attributes is None:
        return None
    unknown = [each for each in attributes if each < 0x8000 and each not in _IGNORED]
    if unknown:
        # 6.3.1
        body = _attribute(_ERROR_CODE, b"\0\0\4\24Unknown Attribute") + _attribute(
            _UNKNOWN_ATTRIBUTES, struct.pack(f"!{len(unknown)}H", *unknown)
        )
        return _message(_BINDING_ERROR, transaction, body, fingerprint=_FINGERPRINT in attributes)
    body = _attribute(_XOR_MAPPED_ADDRESS, _xor_address(source, transaction))
    return _message(_BINDING_SUCCESS, transaction, body, fingerprint=_FINGERPRINT in attributes)


def _attribute_types(datagram: bytes) -> list[int] | None:
    """The types in order; None when the attributes do not fill the message exactly."""
    types: list[int] = []
    position = _HEADER.size
    while position < len(datagram):
        kind, length = _ATTRIBUTE.unpack_from(datagram, position)
        types.append(kind)
        position += _ATTRIBUTE.size + (length + 3) // 4 * 4
    return types if position == len(datagram) else None


def _xor_address(source: tuple[str, int], transaction: bytes) -> bytes:
    """RFC 8489 section 14.2."""
    address = ip_address(source[0].partition("%")[0])
    mask = _MAGIC_COOKIE.to_bytes(4, "big") + transaction
    family = 1 if address.version == 4 else 2
    packed = bytes(byte ^ key for byte, key in zip(address.packed, mask, strict=False))
    return struct.pack("!BBH", 0, family, source[1] ^ (_MAGIC_COOKIE >> 16)) + packed


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(kind, len(value)) + value + bytes(-len(value) % 4)


def _message(kind: int, transaction: bytes, body: bytes, *, fingerprint: bool) -> bytes:
    size = len(body) + (8 if fingerprint else 0)
    message = _HEADER.pack(kind, size, _MAGIC_COOKIE, transaction) + body
    if not fingerprint:
        return message
    return message + _attribute(_FINGERPRINT, (crc32(message) ^ _FINGERPRINT_XOR).to_bytes(4, "big"))
