# SPDX-License-Identifier: Apache-2.0
"""SDP (RFC 8866) as a relay needs it: find the media addresses, put others in their place, touch nothing else.

A body is kept as the lines that it came in, ends of lines included. Rewriting replaces addresses and ports within
`c=`, `m=`, `a=rtcp` (RFC 3605) and, where asked, `o=`; ICE attributes (RFC 8839) can be left out. Every other octet
passes as it came, so codecs, crypto and attributes that nobody here has heard of negotiate end to end.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Address", "Endpoint", "MediaDescription", "SdpError", "SessionDescription", "parse", "rewrite"]

MAX_LINES = 1000
MAX_LINE_OCTETS = 4096
MAX_MEDIA = 32
MAX_PAYLOAD_TYPE_DIGITS = 3
ICE_ATTRIBUTES = frozenset(
    (
        *(b"candidate", b"end-of-candidates", b"remote-candidates", b"ice-lite", b"ice-mismatch"),
        *(b"ice-options", b"ice-pacing", b"ice-pwd", b"ice-ufrag"),
    )
)
DIRECTIONS = frozenset({b"sendrecv", b"sendonly", b"recvonly", b"inactive"})
STATIC_FORMATS = {
    0: ("PCMU", 8000), 3: ("GSM", 8000), 4: ("G723", 8000), 5: ("DVI4", 8000), 6: ("DVI4", 16000), 7: ("LPC", 8000),
    8: ("PCMA", 8000), 9: ("G722", 8000), 10: ("L16", 44100), 11: ("L16", 44100), 12: ("QCELP", 8000), 13: ("CN", 8000),
    14: ("MPA", 90000), 15: ("G728", 8000), 16: ("DVI4", 11025), 17: ("DVI4", 22050), 18: ("G729", 8000),
    25: ("CelB", 90000), 26: ("JPEG", 90000), 28: ("nv", 90000), 31: ("H261", 90000), 32: ("MPV", 90000),
    33: ("MP2T", 90000), 34: ("H263", 90000),
}  # fmt: skip
"""Encoding name and clock rate of the payload types that need no `a=rtpmap` (RFC 3551 section 6)."""


class SdpError(ValueError):
    """The body is no SDP that can be relayed; the text says which line and why."""


Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address and the pair of ports that take the place of what a section signalled."""

    address: Address
    rtp_port: int
    rtcp_port: int


@dataclass(frozen=True, slots=True)
class MediaDescription:
    """One `m=` section."""

    kind: str
    port: int
    """0: the stream is refused or ended (RFC 3264 section 6)."""
    protocol: str
    formats: tuple[str, ...]
    address: Address | None
    """From `c=` of the section or of the session; none where neither has one."""
    rtcp_port: int
    rtcp_address: Address | None
    """From `a=rtcp`; without it the port after the RTP port, at `address`."""
    shares_rtcp: bool
    """Whether `a=rtcp-mux` is there (RFC 5761)."""
    direction: str
    rtpmaps: dict[int, tuple[str, int]]
    """Encoding name and clock rate (Hz) by RTP payload type, from `a=rtpmap`."""

    @property
    def relayed(self) -> bool:
        """Whether packets of this section can pass through a relay: active, and not over TCP."""
        return self.port != 0 and not _is_tcp(self.protocol)

    @property
    def is_rtp(self) -> bool:
        """Whether the packets are RTP; T.38 over UDPTL, for one, is not."""
        return "RTP/" in self.protocol.upper()

    @property
    def keyed_by_dtls(self) -> bool:
        """Whether DTLS handshakes pass between the packets (RFC 5763)."""
        return "UDP/TLS" in self.protocol.upper()

    @property
    def held(self) -> bool:
        """Whether this side put the stream on hold: by direction, or by the address 0.0.0.0 of RFC 2543."""
        return self.direction != "sendrecv" or self.address is None or self.address.is_unspecified

    @property
    def payload_types(self) -> tuple[int, ...]:
        """RTP payload types that this side wants to receive, in its order."""
        return tuple(int(name) for name in self.formats if _is_payload_type(name))

    def encoding(self, payload_type: int) -> tuple[str, int] | None:
        """Encoding name and clock rate (Hz) of a payload type; none where nothing explains it."""
        return self.rtpmaps.get(payload_type) or STATIC_FORMATS.get(payload_type)

    @property
    def encodings(self) -> tuple[tuple[int, str, int], ...]:
        """Payload type, encoding name and clock rate of each format that something explains, in its order."""
        found = ((number, self.encoding(number)) for number in self.payload_types)
        return tuple((number, *encoding) for number, encoding in found if encoding is not None)

    def clock_rate(self, payload_type: int) -> int:
        """The RTP clock of a payload type, in Hz."""
        encoding = self.encoding(payload_type)
        return 8000 if encoding is None else encoding[1]


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A parsed body: the lines as they came, and what they say about media addresses."""

    lines: tuple[bytes, ...]
    """Each with its end of line."""
    section: tuple[int, ...]
    """For each line the index of its media section, -1 for the session."""
    media: tuple[MediaDescription, ...]


def parse(body: bytes) -> SessionDescription:
    """Read a body. Raises SdpError for anything that could not be rewritten safely."""
    lines = _split(body)
    if not lines or lines[0].rstrip() != b"v=0":
        raise SdpError("SDP does not begin with v=0")
    section: list[int] = []
    sections: list[list[bytes]] = [[]]
    for number, line in enumerate(lines, 1):
        text = _text(line, number)
        if text.startswith(b"m="):
            sections.append([])
        section.append(len(sections) - 2)
        sections[-1].append(text)
    if len(sections) - 1 > MAX_MEDIA:
        raise SdpError(f"SDP has more than {MAX_MEDIA} media sections")
    session_direction = _direction(sections[0], "sendrecv")
    media = tuple(_media(texts, sections[0], session_direction) for texts in sections[1:])
    return SessionDescription(lines, tuple(section), media)


def _split(body: bytes) -> tuple[bytes, ...]:
    """Lines with their ends, split at LF only: the one way in which a body becomes lines."""
    pieces = body.split(b"\n", MAX_LINES)
    if len(pieces) > MAX_LINES and pieces[-1]:
        raise SdpError(f"SDP has more than {MAX_LINES} lines")
    return tuple(piece + b"\n" for piece in pieces[:-1]) + ((pieces[-1],) if pieces[-1] else ())


def _text(line: bytes, number: int) -> bytes:
    """A line without its end; what others might read as two lines is refused."""
    text = line.rstrip(b"\r\n")
    if len(text) > MAX_LINE_OCTETS:
        raise SdpError(f"SDP line {number} is longer than {MAX_LINE_OCTETS} octets")
    if b"\r" in text or b"\0" in text:
        raise SdpError(f"SDP line {number} has a control character")
    if text and (len(text) < 2 or text[1:2] != b"=" or not text[:1].isalpha()):
        raise SdpError(f"SDP line {number} is not of the form <letter>=<value>")
    return text


def _fields(value: bytes, where: str) -> list[bytes]:
    """The words of a line: the one way in which a line becomes fields (RFC 8866 section 5: a single blank parts them).

    More blanks than one are put up with; other white space, which others do not part words by, is refused.
    """
    fields = [field for field in value.split(b" ") if field]
    if any(octet < 0x20 for octet in value):
        raise SdpError(f"{where} has a control character")
    return fields


def _media(texts: list[bytes], session: list[bytes], session_direction: str) -> MediaDescription:
    kind, port, protocol, formats = _media_line(texts[0])
    address: Address | None = None
    rtcp_port, rtcp_address = port + 1, None
    if port and not _is_tcp(protocol):
        address = _connection(texts) or _connection(session)
        if address is None:
            raise SdpError(f"m={kind} has no c= line, and the session has none")
        for text in texts:
            if text.startswith(b"a=rtcp:"):
                with contextlib.suppress(SdpError):  # one that says nothing is none
                    rtcp_port, rtcp_address = _rtcp(text)
    return MediaDescription(
        kind=kind,
        port=port,
        protocol=protocol,
        formats=formats,
        address=address,
        rtcp_port=rtcp_port,
        rtcp_address=rtcp_address,
        shares_rtcp=b"a=rtcp-mux" in texts,
        direction=_direction(texts, session_direction),
        rtpmaps=dict(_rtpmaps(texts)),
    )


def _media_line(text: bytes) -> tuple[str, int, str, tuple[str, ...]]:
    """`m=<media> <port>[/<number of ports>] <proto> <fmt> ...` (RFC 8866 section 5.14).

    Of several ports the first one is taken: no phone is known that uses more. A section of port 0 needs no formats.
    """
    fields = _fields(text[2:], "m=")
    if len(fields) < 3 or (len(fields) == 3 and fields[1] != b"0"):
        raise SdpError("an m= line lacks port, protocol or format")
    kind, _, protocol, *formats = (field.decode("utf-8", "surrogateescape") for field in fields)
    port, slash, count = fields[1].partition(b"/")
    if slash and not _port(count, "the number of ports in m="):
        raise SdpError("m= asks for no ports")
    if "RTP/" in protocol.upper():
        for name in formats:
            if len(name) > MAX_PAYLOAD_TYPE_DIGITS and name.isdecimal():
                raise SdpError("m= has a payload type of too many digits")
    return kind, _port(port, "m="), protocol, tuple(formats)


def _is_payload_type(name: str) -> bool:
    return name.isascii() and name.isdecimal() and len(name) <= MAX_PAYLOAD_TYPE_DIGITS and int(name) < 128


def _is_tcp(protocol: str) -> bool:
    return protocol.upper().startswith("TCP")


def _port(digits: bytes, where: str) -> int:
    if not digits.isdigit() or len(digits) > 5 or int(digits) > 65535:
        raise SdpError(f"{where} has no valid port")
    return int(digits)


def _connection(texts: list[bytes]) -> Address | None:
    """The address of the first `c=` line (RFC 8866 section 5.7)."""
    return next((_address(_fields(text[2:], "c="), "c=") for text in texts if text.startswith(b"c=")), None)


def _address(fields: list[bytes], where: str) -> Address:
    """`IN IP4 192.0.2.1` as an address. Names are refused: resolving them would stop the relay."""
    if len(fields) != 3 or fields[0] != b"IN" or fields[1] not in (b"IP4", b"IP6"):
        raise SdpError(f"{where} is not of the form IN IP4 <address> or IN IP6 <address>")
    try:
        text = fields[2].decode("ascii")
        if "%" in text:
            raise ValueError("a zone means something on the other machine only")
        address = IPv4Address(text) if fields[1] == b"IP4" else IPv6Address(text)
    except ValueError:
        raise SdpError(f"{where} has no valid unicast address of its family") from None
    if address.is_multicast:
        raise SdpError(f"{where} names a multicast group, which cannot be relayed")
    return address


def _rtcp(text: bytes) -> tuple[int, Address | None]:
    """`a=rtcp:53020` or `a=rtcp:53020 IN IP4 126.16.64.4` (RFC 3605)."""
    port, *rest = _fields(text[len(b"a=rtcp:") :], "a=rtcp") or [b""]
    return _port(port, "a=rtcp"), _address(rest, "a=rtcp") if rest else None


def _rtpmaps(texts: list[bytes]) -> Iterator[tuple[int, tuple[str, int]]]:
    """What `a=rtpmap:96 opus/48000/2` says; an entry that makes no sense is left to the phones."""
    for text in texts:
        if not text.startswith(b"a=rtpmap:"):
            continue
        number, _, encoding = text[len(b"a=rtpmap:") :].decode("utf-8", "replace").strip().partition(" ")
        name, _, rate = encoding.strip().partition("/")
        rate = rate.partition("/")[0].strip()
        if _is_payload_type(number) and rate.isascii() and rate.isdecimal() and len(rate) <= 6 and int(rate):
            yield int(number), (name.strip(), int(rate))


def _direction(texts: list[bytes], default: str) -> str:
    found = (text[2:].rstrip() for text in texts if text.startswith(b"a="))
    return next((name.decode() for name in found if name in DIRECTIONS), default)


def rewrite(
    session: SessionDescription,
    endpoints: list[Endpoint | None],
    *,
    replace_origin: bool = False,
    remove_ice: bool = False,
) -> bytes:
    """The body with `endpoints[i]` as the address of media section i; none leaves the section as it is.

    An address of 0.0.0.0 (hold in the manner of RFC 2543) stays, and so does port 0.
    """
    anywhere = next((endpoint for endpoint in endpoints if endpoint is not None), None)
    lines: list[bytes] = []
    for line, index in zip(session.lines, session.section, strict=True):
        # The session's c= stands for all sections without one of their own; all ours have the same address.
        endpoint = endpoints[index] if index >= 0 else anywhere
        if remove_ice and line[2:].rstrip().partition(b":")[0] in ICE_ATTRIBUTES and line.startswith(b"a="):
            continue
        if endpoint is not None:
            line = _rewrite_line(line, endpoint, replace_origin)
        lines.append(line)
    return b"".join(lines)


def _rewrite_line(line: bytes, endpoint: Endpoint, replace_origin: bool) -> bytes:
    text = line.rstrip(b"\r\n")
    end = line[len(text) :]
    if text.startswith(b"c="):
        return line if _is_nowhere(text[2:]) else b"c=" + _written(endpoint.address) + end
    if text.startswith(b"m="):
        kind, port, *_ = _fields(text[2:], "m=")
        at = text.index(port, 2 + text[2:].index(kind) + len(kind))
        return text[:at] + b"%d" % endpoint.rtp_port + text[at + len(port) :] + end
    if text.startswith(b"a=rtcp:"):
        address = b" " + _written(endpoint.address) if b" " in text else b""
        return b"a=rtcp:%d" % endpoint.rtcp_port + address + end
    if replace_origin and text.startswith(b"o="):
        # o=<username> <sess-id> <sess-version> <nettype> <addrtype> <unicast-address> (RFC 8866 section 5.2)
        fields = text.split(b" ")
        if len(fields) == 6:
            return b" ".join(fields[:3]) + b" " + _written(endpoint.address) + end
    return line


def _is_nowhere(value: bytes) -> bool:
    """Whether a connection address is 0.0.0.0 or ::, hold in the manner of RFC 2543."""
    try:
        return _address(_fields(value, "c="), "c=").is_unspecified
    except SdpError:
        return False  # of the session, where no section needs it


def _written(address: Address) -> bytes:
    return f"IN IP{address.version} {address}".encode()
