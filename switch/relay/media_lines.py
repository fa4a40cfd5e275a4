# SPDX-License-Identifier: Apache-2.0
"""The m= lines of a session description in the one form that every media relay reads alike (RFC 8866 section 5.14).

rtpengine parts words by single blanks only, and takes no RTP payload type above 127, not even where a section is
refused and its formats mean nothing (RFC 3264 section 6). So a format that no RTP packet can have is left out; where
nothing is left then, the section is a refused one, as nobody could take it. Everything else passes as it came.
"""

from __future__ import annotations

from typing import Final

__all__ = ["normal_form"]

_LONGEST: Final = 3
"""Digits of a payload type; what has more is left for the relay to refuse."""


def normal_form(sdp: bytes) -> bytes:
    """The description with each m= line in normal form.

    Raises ValueError for a line that could be read in two ways, and where nobody could take any section.
    """
    lines = sdp.split(b"\n")
    before, after = [], []
    for place, line in enumerate(lines):
        if line.startswith(b"m="):
            text = line.rstrip(b"\r")
            words = _words(text[2:])
            before.append(words)
            after.append(_usable(words))
            lines[place] = b"m=" + b" ".join(after[-1]) + line[len(text) :]
    if before != after and any(map(_is_open, before)) and not any(map(_is_open, after)):
        raise ValueError("m= has no payload type that a packet can have")
    return b"\n".join(lines)


def _words(value: bytes) -> list[bytes]:
    """Of an m= line: its kind, port, protocol and formats."""
    if any(octet < 0x20 for octet in value):
        raise ValueError("m= has a control character")
    words = [word for word in value.split(b" ") if word]
    words[1:2] = map(_first, words[1:2])
    return words


def _is_open(words: list[bytes]) -> bool:
    """Whether a section is not refused."""
    return words[1:2] != [b"0"]


def _usable(words: list[bytes]) -> list[bytes]:
    if len(words) < 3:
        return words  # for the relay to refuse
    kind, port, protocol, *formats = words
    is_judged = port == b"0" or all(len(name) <= _LONGEST for name in formats)  # no relay refuses a refused section
    if b"RTP/" in protocol.upper() and is_judged:
        formats = [name for name in formats if _is_payload_type(name)]
        if not formats:
            port, formats = b"0", [b"0"]
    return [kind, port, protocol, *formats]


def _is_payload_type(name: bytes) -> bool:
    """Whether an RTP packet can have it."""
    return name.isdigit() and int(name) < 128


def _first(port: bytes) -> bytes:
    """Of several ports the first one: no phone is known that uses more."""
    number, _, count = port.partition(b"/")
    return number if count.isdigit() and count.strip(b"0") else port
