# SPDX-License-Identifier: Apache-2.0
"""SDP (RFC 8866) as a relay needs it: find the media addresses, put others in their place, touch nothing else.

A body is kept as the lines that it came in, ends of lines included. Rewriting replaces addresses and ports within
`c=`, `m=`, `a=rtcp` (RFC 3605) and, where asked, `o=`; ICE attributes (RFC 8839) can be left out. Every other octet
passes as it came, so codecs, crypto and attributes that nobody here has heard of negotiate end to end.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

__all__ = ["Address", "Endpoint", "MediaDescription", "SdpError", "SessionDescription", "parse", "rewrite"]

MAX_LINES = 1000
MAX_MEDIA = 32
ICE_ATTRIBUTES = frozenset(
    (
        *(b"candidate", b"end-of-candidates", b"remote-candidates", b"ice-lite", b"ice-mismatch"),
        *(b"ice-options", b"ice-pacing", b"ice-pwd", b"ice-ufrag"),
    )
)
DIRECTIONS = frozenset({b"sendrecv", b"sendonly", b"recvonly", b"inactive"})
STATIC_CLOCK_RATES = {9: 8000, 10: 44100, 11: 44100, 14: 90000, 25: 90000, 26: 90000, 28: 90000} | dict.fromkeys(
    range(31, 35), 90000
)
"""Payload types of RFC 3551 section 6 whose clock is worth a remark; the other static ones have 8000 Hz."""


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
    clock_rates: dict[int, int]
    """Hz by RTP payload type, from `a=rtpmap`."""

    @property
    def relayed(self) -> bool:
        """Whether packets of this section can pass through a relay: active, and not over TCP."""
        return self.port != 0 and not self.protocol.upper().startswith("TCP")

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
    def payload_types(self) -> frozenset[int]:
        """RTP payload types that this side wants to receive."""
        return frozenset(int(name) for name in self.formats if name.isdecimal() and len(name) <= 3)

    def clock_rate(self, payload_type: int) -> int:
        """The RTP clock of a payload type, in Hz."""
        return self.clock_rates.get(payload_type) or STATIC_CLOCK_RATES.get(payload_type, 8000)


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
    lines = tuple(body.splitlines(keepends=True)) if b"\r" not in body else _split(body)
    if not lines or lines[0].rstrip() != b"v=0":
        raise SdpError("SDP does not begin with v=0")
    if len(lines) > MAX_LINES:
        raise SdpError(f"SDP has more than {MAX_LINES} lines")
    section: list[int] = []
    sections: list[list[bytes]] = [[]]
    for number, line in enumerate(lines, 1):
        text = line.rstrip(b"\r\n")
        if text and (len(text) < 2 or text[1:2] != b"=" or not text[:1].isalpha()):
            raise SdpError(f"SDP line {number} is not of the form <letter>=<value>")
        if text.startswith(b"m="):
            sections.append([])
        section.append(len(sections) - 2)
        sections[-1].append(text)
    if len(sections) - 1 > MAX_MEDIA:
        raise SdpError(f"SDP has more than {MAX_MEDIA} media sections")
    session_address = _connection(sections[0])
    session_direction = _direction(sections[0], "sendrecv")
    media = tuple(_media(texts, session_address, session_direction) for texts in sections[1:])
    return SessionDescription(lines, tuple(section), media)


def _split(body: bytes) -> tuple[bytes, ...]:
    """Lines with their ends, split at LF only: bytes.splitlines would also split at a stray CR."""
    pieces = body.split(b"\n")
    return tuple(piece + b"\n" for piece in pieces[:-1]) + ((pieces[-1],) if pieces[-1] else ())


def _media(texts: list[bytes], session_address: Address | None, session_direction: str) -> MediaDescription:
    kind, port, protocol, formats = _media_line(texts[0])
    address = _connection(texts) or session_address
    if port and address is None and not protocol.upper().startswith("TCP"):
        raise SdpError(f"m={kind} has no c= line, and the session has none")
    rtcp_port, rtcp_address = port + 1, None
    clock_rates: dict[int, int] = {}
    for text in texts:
        if text.startswith(b"a=rtcp:"):
            rtcp_port, rtcp_address = _rtcp(text)
        elif text.startswith(b"a=rtpmap:"):
            clock_rates |= _rtpmap(text)
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
        clock_rates=clock_rates,
    )


def _media_line(text: bytes) -> tuple[str, int, str, tuple[str, ...]]:
    """`m=<media> <port> <proto> <fmt> ...` (RFC 8866 section 5.14)."""
    fields = text[2:].decode("utf-8", "surrogateescape").split()
    if len(fields) < 4:
        raise SdpError("an m= line lacks port, protocol or format")
    if "/" in fields[1]:
        raise SdpError(f"m={fields[0]} asks for several ports ({fields[1]}), which cannot be relayed")
    return fields[0], _port(fields[1].encode("utf-8", "surrogateescape"), "m="), fields[2], tuple(fields[3:])


def _port(digits: bytes, where: str) -> int:
    if not digits.isdigit() or len(digits) > 5 or int(digits) > 65535:
        raise SdpError(f"{where} has no valid port")
    return int(digits)


def _connection(texts: list[bytes]) -> Address | None:
    """The address of the first `c=` line (RFC 8866 section 5.7)."""
    return next((_address(text[2:].split(), "c=") for text in texts if text.startswith(b"c=")), None)


def _address(fields: list[bytes], where: str) -> Address:
    """`IN IP4 192.0.2.1` as an address. Names are refused: resolving them would stop the relay."""
    if len(fields) != 3 or fields[0] != b"IN" or fields[1] not in (b"IP4", b"IP6"):
        raise SdpError(f"{where} is not of the form IN IP4 <address> or IN IP6 <address>")
    try:
        text = fields[2].decode("ascii")
        address = IPv4Address(text) if fields[1] == b"IP4" else IPv6Address(text)
    except ValueError:
        raise SdpError(f"{where} has no valid unicast address of its family") from None
    if address.is_multicast:
        raise SdpError(f"{where} names a multicast group, which cannot be relayed")
    return address


def _rtcp(text: bytes) -> tuple[int, Address | None]:
    """`a=rtcp:53020` or `a=rtcp:53020 IN IP4 126.16.64.4` (RFC 3605)."""
    port, *rest = text[len(b"a=rtcp:") :].split() or [b""]
    return _port(port, "a=rtcp"), _address(rest, "a=rtcp") if rest else None


def _rtpmap(text: bytes) -> dict[int, int]:
    """The clock rate of `a=rtpmap:96 opus/48000/2`; an entry that makes no sense is left to the phones."""
    payload_type, _, encoding = text[len(b"a=rtpmap:") :].partition(b" ")
    rate = encoding.partition(b"/")[2].partition(b"/")[0].strip()
    if not (payload_type.isdigit() and rate.isdigit() and len(rate) <= 6 and len(payload_type) <= 3 and int(rate)):
        return {}
    return {int(payload_type): int(rate)}


def _direction(texts: list[bytes], default: str) -> str:
    return next((text[2:].decode() for text in texts if text.startswith(b"a=") and text[2:] in DIRECTIONS), default)


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
        if _address(text[2:].split(), "c=").is_unspecified:
            return line
        return b"c=" + _written(endpoint.address) + end
    if text.startswith(b"m="):
        kind, space, rest = text.partition(b" ")
        port, more = _split_field(rest)
        return kind + space + (b"%d" % endpoint.rtp_port if int(port) else port) + more + end
    if text.startswith(b"a=rtcp:"):
        address = b" " + _written(endpoint.address) if b" " in text else b""
        return b"a=rtcp:%d" % endpoint.rtcp_port + address + end
    if replace_origin and text.startswith(b"o="):
        # o=<username> <sess-id> <sess-version> <nettype> <addrtype> <unicast-address> (RFC 8866 section 5.2)
        fields = text.split(b" ")
        if len(fields) == 6:
            return b" ".join(fields[:3]) + b" " + _written(endpoint.address) + end
    return line


def _split_field(rest: bytes) -> tuple[bytes, bytes]:
    """The first field (which may follow more than one space) and what comes after it."""
    field = rest.split(None, 1)[0]
    start = rest.index(field)
    return field, rest[start + len(field) :]


def _written(address: Address) -> bytes:
    return f"IN IP{address.version} {address}".encode()
