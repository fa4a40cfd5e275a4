# SPDX-License-Identifier: Apache-2.0
"""Bencode, in which the ng protocol of relays is written (BEP 3)."""

from __future__ import annotations

__all__ = ["BencodeError", "bdecode", "bencode"]


class BencodeError(ValueError):
    """The bytes are no single value."""


def bencode(value: object) -> bytes:
    """Encode integers, text, bytes, lists and dictionaries with text keys."""
    match value:
        case bool():
            raise TypeError("bencode has no booleans")
        case int():
            return b"i%de" % value
        case bytes():
            return b"%d:%s" % (len(value), value)
        case str():
            return bencode(value.encode())
        case list() | tuple():
            return b"l" + b"".join(map(bencode, value)) + b"e"
        case dict():
            return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"
        case _:
            raise TypeError(f"cannot bencode {type(value).__name__}")


def bdecode(data: bytes) -> object:
    """Decode one value: int, bytes, list, or dict with text keys; raises BencodeError on anything else."""
    try:
        value, end = _decode(data, 0, 0)
    except (ValueError, IndexError) as error:
        raise BencodeError("malformed") from error
    if end != len(data):
        raise BencodeError("malformed")
    return value


def _decode(data: bytes, at: int, depth: int) -> tuple[object, int]:
    if depth > 32:
        raise ValueError("too deep")
    kind = data[at : at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1 : end]), end + 1
    if kind in (b"l", b"d"):
        items: list[object] = []
        at += 1
        while data[at : at + 1] != b"e":
            item, at = _decode(data, at, depth + 1)
            items.append(item)
        if kind == b"l":
            return items, at + 1
        names = [name.decode("utf-8", "replace") for name in items[::2] if isinstance(name, bytes)]
        return dict(zip(names, items[1::2], strict=True)), at + 1
    colon = data.index(b":", at)
    length = int(data[at:colon])
    end = colon + 1 + length
    if length < 0 or end > len(data):
        raise ValueError("short")
    return data[colon + 1 : end], end
