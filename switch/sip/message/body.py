# SPDX-License-Identifier: Apache-2.0
"""What is in a body: the session description wherever it is, and what came beside it (RFC 5621, RFC 2046). Pure.

A body is one thing or a multipart of several, which may be multiparts again. Three kinds of parts are understood: the
session description, where somebody is (RFC 6442), and multiparts themselves. Every other part (ISUP, resource lists,
pictures, CPIM) ends here, on purpose: nobody of ours acts on it. Who marks such a part with `handling=required` is
refused, and so is a body of which nothing is understood, unless it is marked `handling=optional` (RFC 3204 section 6).

Every function takes time linear in the body, and no body makes one raise: what is malformed has a `refusal`.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from binascii import a2b_qp
from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2s
from typing import TYPE_CHECKING, Final

from switch.sip.message.grammar import TOKEN, is_token, unquote
from switch.sip.message.wire import canonical_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["DESCRIPTION", "Content", "Part", "Refusal", "joined", "media_type", "read_content"]

DESCRIPTION: Final = "application/sdp"
LOCATION: Final = "application/pidf+xml"

MAX_PARTS: Final = 32
"""In all of a body, multiparts counted."""
MAX_DEPTH: Final = 4
"""Of multiparts within multiparts."""
MAX_PART_HEADER_LINES: Final = 32
MAX_BOUNDARY_CHARACTERS: Final = 200  # RFC 2046 5.1.1 says 70

_NO_SESSION: Final = frozenset({"early-session"})
"""Dispositions with which a description is not that of the session (RFC 3959)."""
_CROSSING: Final = frozenset({"Content-Disposition", "Content-ID", "Content-Transfer-Encoding", "Content-Type"})
"""Header lines of a part that goes on to the other side."""
_PARAM: Final = re.compile(rf';[ \t]*({TOKEN})[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^;]*)', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a body as it came."""

    headers: tuple[tuple[str, str], ...]
    """Canonical names."""
    body: bytes

    def get(self, name: str) -> str | None:
        """The first value of a header, or None."""
        return next((value for key, value in self.headers if key == name), None)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request with such a body is refused."""

    status: int
    """415 what is not understood, 413 too many parts, 400 what is malformed."""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Content:
    """What a body holds for us."""

    description: bytes | None = None
    """The session description; the first of several."""
    locations: tuple[Part, ...] = ()
    """Where somebody is who calls."""
    refusal: Refusal | None = None


_NOTHING: Final = Content()
_UNKNOWN_TYPE: Final = Refusal(415, (("Accept", DESCRIPTION),))
_UNKNOWN_ENCODING: Final = Refusal(415, (("Accept-Encoding", "identity"),))


class _Missed(IntEnum):
    """How much it matters that something is not understood."""

    NOTHING = 0
    OPTIONAL = 1
    UNSAID = 2
    """RFC 3261 20.11: without a word it is required; beside something that is understood we let it go."""
    REQUIRED = 3


@dataclass(frozen=True, slots=True)
class _Found:
    """What a part comes to."""

    descriptions: tuple[bytes, ...] = ()
    locations: tuple[Part, ...] = ()
    missed: _Missed = _Missed.NOTHING
    why: Refusal = _UNKNOWN_TYPE

    @property
    def is_understood(self) -> bool:
        return bool(self.descriptions or self.locations)


class _MalformedError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def media_type(content_type: str | None) -> str:
    """The media type of a Content-Type in lower case, without parameters and white space; empty without one."""
    return "".join((content_type or "").partition(";")[0].split()).lower()


def read_content(get: Callable[[str], str | None], body: bytes) -> Content:
    """What a body holds; `get` gives the header lines that describe it, by their canonical names."""
    if not body:
        return _NOTHING
    content_type = get("Content-Type")
    if content_type == DESCRIPTION and get("Content-Disposition") is None and get("Content-Encoding") is None:
        return Content(_decoded(body, get("Content-Transfer-Encoding")))
    names = ("Content-Type", "Content-Disposition", "Content-Encoding", "Content-ID", "Content-Transfer-Encoding")
    headers = tuple((name, value) for name in names if (value := get(name)) is not None)
    try:
        found = _Reading().read(Part(headers, body), 0)
    except _MalformedError as error:
        is_optional = _handling(get("Content-Disposition")) == "optional"
        return _NOTHING if is_optional else Content(refusal=Refusal(error.status))
    refusal = found.why if found.missed >= _Missed.UNSAID else None
    return Content(next(iter(found.descriptions), None), found.locations, refusal)


class _Reading:
    """One body that is read; counts its parts."""

    def __init__(self) -> None:
        self._left = MAX_PARTS

    def read(self, part: Part, depth: int) -> _Found:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            raise _MalformedError(413)
        kind = media_type(part.get("Content-Type"))
        if not kind.startswith("multipart/"):
            return _leaf(part, kind)
        parts = _parts(part)
        if kind == "multipart/signed":
            parts = parts[:1]  # RFC 1847: the other one is the signature
        founds = [self.read(each, depth + 1) for each in parts]
        found = _best(founds) if kind == "multipart/alternative" else _together(founds)
        return _Found(found.descriptions, found.locations, _matters(part, found), found.why)


def _matters(part: Part, found: _Found) -> _Missed:
    """What a multipart says of itself is said of what is in it."""
    if found.missed is not _Missed.NOTHING and _handling(part.get("Content-Disposition")) == "optional":
        return _Missed.OPTIONAL
    return found.missed


def _together(founds: Sequence[_Found]) -> _Found:
    """Parts that belong together (multipart/mixed, related, and whatever else there is: RFC 2046 section 5.1.7)."""
    worst = max(founds, key=lambda found: found.missed)
    is_understood = any(found.is_understood for found in founds)
    missed = worst.missed
    if missed is _Missed.UNSAID and is_understood:
        missed = _Missed.OPTIONAL
    descriptions = tuple(each for found in founds for each in found.descriptions)
    locations = tuple(each for found in founds for each in found.locations)
    return _Found(descriptions, locations, missed, worst.why)


def _best(founds: Sequence[_Found]) -> _Found:
    """The last of several that say the same (section 5.1.4) of which all is understood that must be."""
    usable = [found for found in founds if found.is_understood and found.missed < _Missed.REQUIRED]
    return usable[-1] if usable else founds[-1]


def _leaf(part: Part, kind: str) -> _Found:
    disposition, body = part.get("Content-Disposition"), None
    is_encoded = media_type(part.get("Content-Encoding")) not in ("", "identity")
    is_description = kind == DESCRIPTION and media_type(disposition) not in _NO_SESSION
    if (is_description or kind == LOCATION) and not is_encoded:
        body = _decoded(part.body, part.get("Content-Transfer-Encoding"))
    if body is not None:
        return _Found((body,)) if is_description else _Found(locations=(part,))
    missed = {"optional": _Missed.OPTIONAL, "required": _Missed.REQUIRED}.get(_handling(disposition), _Missed.UNSAID)
    return _Found(missed=missed, why=_UNKNOWN_ENCODING if is_encoded and is_description else _UNKNOWN_TYPE)


def _decoded(body: bytes, encoding: str | None) -> bytes | None:
    """What was encoded for transfer (RFC 2045 section 6); None for what is not understood."""
    kind = (encoding or "binary").strip().lower()
    if kind in ("binary", "8bit", "7bit", "identity"):
        return body
    if kind == "quoted-printable":
        return a2b_qp(body)
    if kind != "base64":
        return None
    try:
        return b64decode(body) or None
    except Base64Error:
        return None


def _handling(disposition: str | None) -> str:
    """What is to be done if this is not understood: `required`, `optional`, or nothing is said."""
    return (_parameter(disposition, "handling") or "").lower()


def _parameter(value: str | None, name: str) -> str | None:
    """A parameter of a header line, however oddly the others are written."""
    if value is None or ";" not in value:
        return None
    found = (match[2] for match in _PARAM.finditer(value) if match[1].lower() == name)
    first = next(found, None)
    return None if first is None else unquote(first.strip(" \t"))


# multiparts ------------------------------------------------------------------------------------------------------
def _parts(part: Part) -> list[Part]:
    """The parts of a multipart, the root of related ones first."""
    content_type = part.get("Content-Type")
    boundary = _parameter(content_type, "boundary") or ""
    if not 0 < len(boundary) <= MAX_BOUNDARY_CHARACTERS:
        raise _MalformedError(400)
    parts = [_part(piece) for piece in _cut(part.body, boundary.encode("utf-8", "surrogateescape"))]
    if not parts:
        raise _MalformedError(400)
    start = _parameter(content_type, "start")
    if start is not None and media_type(content_type) == "multipart/related":
        parts.sort(key=lambda each: (each.get("Content-ID") or "").strip() != start)
    return parts


def _cut(body: bytes, boundary: bytes) -> list[bytes]:
    """What stands between the delimiters; a line ends with CR LF or LF, the last delimiter may be missing."""
    mark = b"--" + boundary
    pieces: list[bytes] = []
    start, at = -1, body.find(mark)
    while at >= 0:
        end = body.find(b"\n", at)
        end = len(body) if end < 0 else end
        rest = body[at + len(mark) : end].rstrip(b" \t\r")
        if (at == 0 or body[at - 1 : at] == b"\n") and rest in (b"", b"--"):
            if start >= 0:
                pieces.append(_without_line_end(body[start:at]))
            if rest:
                return pieces
            start = end + 1
            if len(pieces) > MAX_PARTS:
                raise _MalformedError(413)
        at = body.find(mark, max(end, at + 1))
    if start >= 0 and body[start:].strip():
        pieces.append(body[start:])
    return pieces


def _without_line_end(piece: bytes) -> bytes:
    """RFC 2046 5.1.1: the line end before a delimiter belongs to that."""
    return piece[:-2] if piece.endswith(b"\r\n") else piece.removesuffix(b"\n")


def _part(piece: bytes) -> Part:
    """Header lines, an empty line, and the rest; what is no header line is left out."""
    headers: list[tuple[str, str]] = []
    position = 0
    while position < len(piece) and len(headers) <= MAX_PART_HEADER_LINES:
        end = piece.find(b"\n", position)
        end = len(piece) if end < 0 else end
        line = piece[position:end].removesuffix(b"\r").decode("utf-8", "surrogateescape")
        position = end + 1
        if not line.strip():
            break
        name, colon, value = line.partition(":")
        if line[0] in " \t" and headers:
            headers[-1] = (headers[-1][0], f"{headers[-1][1]} {line.strip()}".strip())
        elif colon and is_token(name.rstrip()):
            headers.append((canonical_name(name.rstrip()), value.strip()))
    return Part(tuple(headers), piece[position:])


def joined(description: bytes, others: Sequence[Part]) -> tuple[str, bytes]:
    """A body of a session description and other parts: its Content-Type, and itself."""
    parts = [*([Part((("Content-Type", DESCRIPTION),), description)] if description else []), *others]
    digest = blake2s(digest_size=12)
    for part in parts:
        digest.update(part.body)
    boundary = digest.hexdigest()
    lines = []
    for part in parts:
        crossing = [line for line in part.headers if line[0] in _CROSSING and "\r" not in line[1]]
        head = "".join(f"{name}: {value}\r\n" for name, value in crossing)
        lines.append(f"--{boundary}\r\n{head}\r\n".encode("utf-8", "surrogateescape") + part.body)
    return f"multipart/mixed;boundary={boundary}", b"\r\n".join([*lines, f"--{boundary}--\r\n".encode()])
