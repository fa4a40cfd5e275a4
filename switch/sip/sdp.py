# SPDX-License-Identifier: Apache-2.0
"""A view of session descriptions to decide by (RFC 8866, RFC 3264); bodies themselves travel untouched."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address
from itertools import pairwise
from typing import Final

from switch.sip.errors import ParseError

__all__ = ["Codec", "Media", "Origin", "SessionDescription", "codecs", "is_hold", "parse"]

MAX_MEDIA: Final = 64
_DIRECTIONS: Final = ("sendrecv", "sendonly", "recvonly", "inactive")
# RFC 3551 table 4 and 5: the payload types that mean something without rtpmap
_STATIC: Final = {
    0: ("PCMU", 8000), 3: ("GSM", 8000), 4: ("G723", 8000), 5: ("DVI4", 8000), 6: ("DVI4", 16000), 7: ("LPC", 8000),
    8: ("PCMA", 8000), 9: ("G722", 8000), 10: ("L16", 44100), 11: ("L16", 44100), 12: ("QCELP", 8000), 13: ("CN", 8000),
    14: ("MPA", 90000), 15: ("G728", 8000), 18: ("G729", 8000), 26: ("JPEG", 90000), 31: ("H261", 90000),
    32: ("MPV", 90000), 34: ("H263", 90000),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Origin:
    """The o= line (RFC 8866 section 5.2)."""

    username: str
    session_id: int
    version: int
    address: str


@dataclass(frozen=True, slots=True)
class Media:
    """One m= section (section 5.14)."""

    kind: str
    """audio, video, image, application, ..."""
    port: int
    """0: refused or switched off (RFC 3264 section 8.2)."""
    proto: str
    formats: tuple[str, ...]
    direction: str
    """sendrecv, sendonly, recvonly or inactive: its own, else the session's, else sendrecv."""
    connection: str | None
    """The address of its own c= line, else of the session's."""
    attributes: tuple[tuple[str, str], ...] = ()
    """(name, value) of its own a= lines."""


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A whole description."""

    origin: Origin
    connection: str | None
    direction: str
    medias: tuple[Media, ...]
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Codec:
    """What a format of an RTP stream stands for."""

    payload_type: int
    name: str
    """As registered; compare without case."""
    clock_rate: int
    channels: int = 1
    parameters: str = ""
    """The value of a=fmtp."""


def is_hold(description: SessionDescription) -> bool:
    """Whether the sender of it wants to hear nothing on any audio stream (RFC 3264 8.4, RFC 2543 B.5)."""
    streams = [media for media in description.medias if media.kind == "audio" and media.port]
    return bool(streams) and all(
        media.direction in ("sendonly", "inactive") or _is_unspecified(media.connection) for media in streams
    )


def codecs(media: Media) -> tuple[Codec, ...]:
    """The codecs of an RTP stream in the order of preference; formats that nothing explains are left out."""
    maps = _by_payload_type(media, "rtpmap")
    parameters = _by_payload_type(media, "fmtp")
    found = []
    for text in media.formats:
        payload_type = int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else 128
        if payload_type > 127:
            continue
        codec = _mapped(payload_type, maps[payload_type]) if payload_type in maps else _static(payload_type)
        if codec is not None:
            found.append(replace(codec, parameters=parameters.get(payload_type, "")))
    return tuple(found)


def parse(body: bytes) -> SessionDescription:
    """Parse a description.

    Raises ParseError: 400 for what is no session description, 488 for one that cannot be used.
    """
    lines = _lines(body)
    if not lines or lines[0] != ("v", "0"):
        raise ParseError("SDP: no version 0", 488 if lines and lines[0][0] == "v" else 400)
    starts = [index for index, (kind, _) in enumerate(lines) if kind == "m"]
    if len(starts) > MAX_MEDIA:
        raise ParseError("SDP: too many media", 488)
    session = lines[: starts[0]] if starts else lines
    origins = [value for kind, value in session if kind == "o"]
    if len(origins) != 1:
        raise ParseError("SDP: no single origin")
    connection = _connection(session)
    attributes = _attributes(session)
    direction = _direction(attributes, "sendrecv")
    medias = tuple(_media(lines[start:end], connection, direction) for start, end in pairwise([*starts, len(lines)]))
    return SessionDescription(_origin(origins[0]), connection, direction, medias, attributes)


def _lines(body: bytes) -> list[tuple[str, str]]:
    """RFC 8866 section 5: `type=value`; a bare LF ends a line too."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = body.decode("latin-1")
    lines: list[tuple[str, str]] = []
    for line in text.split("\n"):
        line = line.removesuffix("\r")
        if not line:
            continue
        if len(line) < 2 or line[1] != "=" or not line[0].isalpha() or "\0" in line or "\r" in line:
            raise ParseError("SDP: malformed line")
        lines.append((line[0], line[2:]))
    return lines


def _origin(value: str) -> Origin:
    words = value.split()
    if len(words) != 6 or words[3] != "IN":
        raise ParseError("SDP: malformed origin")
    return Origin(words[0], _number(words[1], 20), _number(words[2], 20), words[5])


def _connection(lines: list[tuple[str, str]]) -> str | None:
    for kind, value in lines:
        if kind == "c":
            words = value.split()
            if len(words) != 3 or words[0] != "IN" or words[1] not in ("IP4", "IP6"):
                raise ParseError("SDP: malformed connection")
            return words[2].partition("/")[0]
    return None


def _media(lines: list[tuple[str, str]], connection: str | None, direction: str) -> Media:
    words = lines[0][1].split()
    if len(words) < 4:
        raise ParseError("SDP: malformed media")
    kind, port, proto, *formats = words
    attributes = _attributes(lines)
    media = Media(
        kind.lower(),
        _number(port.partition("/")[0], 5),
        proto,
        tuple(formats),
        _direction(attributes, direction),
        _connection(lines) or connection,
        attributes,
    )
    if media.port > 65_535:
        raise ParseError("SDP: malformed media")
    if media.port and media.connection is None:
        raise ParseError("SDP: no connection address", 488)
    return media


def _attributes(lines: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    pairs = (value.partition(":") for kind, value in lines if kind == "a")
    return tuple((name, value) for name, _, value in pairs)


def _direction(attributes: tuple[tuple[str, str], ...], default: str) -> str:
    return next((name for name, _ in attributes if name in _DIRECTIONS), default)


def _number(text: str, digits: int) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > digits:
        raise ParseError("SDP: malformed number")
    return int(text)


def _by_payload_type(media: Media, attribute: str) -> dict[int, str]:
    found: dict[int, str] = {}
    for name, value in media.attributes:
        if name == attribute:
            number, _, rest = value.partition(" ")
            if number.isascii() and number.isdigit() and len(number) <= 3:
                found.setdefault(int(number), rest.strip())
    return found


def _mapped(payload_type: int, text: str) -> Codec | None:
    """RFC 8866 section 6.6: `name/clock rate/channels`."""
    name, *numbers = text.split("/")
    if not name or not 1 <= len(numbers) <= 2 or not all(each.isascii() and each.isdigit() for each in numbers):
        return None
    if max(map(len, numbers)) > 9:
        return None
    return Codec(payload_type, name, int(numbers[0]), int(numbers[1]) if len(numbers) == 2 else 1)


def _static(payload_type: int) -> Codec | None:
    known = _STATIC.get(payload_type)
    return None if known is None else Codec(payload_type, *known, channels=2 if payload_type == 10 else 1)


def _is_unspecified(address: str | None) -> bool:
    try:
        return address is not None and ip_address(address).is_unspecified
    except ValueError:
        return False
