# SPDX-License-Identifier: Apache-2.0
"""Bencoding (BEP 3) of ng messages: integers, byte strings, lists and dictionaries.

`decode` takes what Kamailio and rtpengine's tools send, so dictionary keys may come in any order; everything else is
strict, and size and depth are limited. Text that is not UTF-8 survives through surrogate escapes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

__all__ = ["BencodeError", "Value", "decode", "encode"]

Value: TypeAlias = "int | str | bytes | Sequence[Value] | Mapping[str, Value]"

MAX_DEPTH = 16
MAX_ITEMS = 4096
MAX_INTEGER_DIGITS = 20


class BencodeError(ValueError):
    """The octets are not one bencoded value within the limits; the text says where."""


def encode(value: Value) -> bytes:
    """Serialise, dictionary keys sorted. Raises TypeError for a value that has no bencoding."""
    parts: list[bytes] = []
    _encode(value, parts)
    return b"".join(parts)


def _encode(value: Value, parts: list[bytes]) -> None:
    if isinstance(value, int):
        parts.append(b"i%de" % value)
    elif isinstance(value, str | bytes):
        octets = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
        parts.append(b"%d:%s" % (len(octets), octets))
    elif isinstance(value, Mapping):
        parts.append(b"d")
        for key in sorted(value):
            _encode(key, parts)
            _encode(value[key], parts)
        parts.append(b"e")
    elif isinstance(value, Sequence):
        parts.append(b"l")
        for item in value:
            _encode(item, parts)
        parts.append(b"e")
    else:
        raise TypeError(f"{type(value).__name__} has no bencoding")


def decode(octets: bytes) -> Value:
    """The one value that `octets` holds; strings come as `str`. Raises BencodeError."""
    decoder = _Decoder(octets)
    value = decoder.value(0)
    if decoder.position != len(octets):
        raise BencodeError(f"{len(octets) - decoder.position} octets after the value")
    return value


class _Decoder:
    """A cursor over the octets of one message."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.position = 0
        self.items = 0

    def value(self, depth: int) -> Value:
        self.items += 1
        if depth > MAX_DEPTH or self.items > MAX_ITEMS:
            raise BencodeError("nested too deeply" if depth > MAX_DEPTH else "too many values")
        kind = self.octets[self.position : self.position + 1]
        if kind == b"i":
            self.position += 1
            return self.number(b"e")
        if kind == b"l":
            return self.list(depth)
        if kind == b"d":
            return self.dictionary(depth)
        return self.string()

    def number(self, end: bytes) -> int:
        stop = self.octets.find(end, self.position, self.position + MAX_INTEGER_DIGITS + 2)
        digits = self.octets[self.position : max(stop, self.position)]
        magnitude = digits.removeprefix(b"-")
        # One spelling for each number: no empty one, no leading zero, no minus zero (BEP 3).
        if not magnitude.isdigit() or (magnitude[:1] == b"0" and digits != b"0"):
            raise BencodeError(f"no integer at octet {self.position}")
        self.position = stop + 1
        return int(digits)

    def string(self) -> str:
        start = self.position
        size = self.number(b":")
        octets = self.octets[self.position : self.position + size] if size >= 0 else b""
        if size < 0 or len(octets) != size:
            raise BencodeError(f"the string at octet {start} is cut short")
        self.position += size
        return octets.decode("utf-8", "surrogateescape")

    def list(self, depth: int) -> Sequence[Value]:
        values: list[Value] = []
        self.position += 1
        while not self.ended():
            values.append(self.value(depth + 1))
        return values

    def dictionary(self, depth: int) -> Mapping[str, Value]:
        values: dict[str, Value] = {}
        self.position += 1
        while not self.ended():
            start = self.position
            key = self.string()
            if key in values:
                raise BencodeError(f"the key at octet {start} comes twice")
            values[key] = self.value(depth + 1)
        return values

    def ended(self) -> bool:
        if self.octets[self.position : self.position + 1] != b"e":
            return False
        self.position += 1
        return True
