# SPDX-License-Identifier: Apache-2.0
"""Phones on the loopback and a relay with a virtual clock, spoken to in ng.

Loopback datagrams are in the receiver's queue when `sendto` returns, so nothing here waits: `Desk.flow` serves what was
sent, and a phone that has nothing to read has got nothing.
"""

from __future__ import annotations

import itertools
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address
from random import Random
from typing import TYPE_CHECKING, Any

from media.relay.bencode import Value, decode, encode
from media.relay.calls import Relay
from media.relay.ng import NgServer
from media.rtp.ports import PortPair, PortPool, open_pair
from media.rtp.pump import Pump
from media.rtp.rtp import HEADER
from media.settings import MediaSettings

if TYPE_CHECKING:
    from media.relay.stream import StreamSide
    from media.rtp.lock import Source

__all__ = ["Desk", "Phone", "audio", "port_in"]

SETTINGS = MediaSettings(rtp_host="127.0.0.1", rtp_host_ipv6="::1", rtp_ports=(20000, 20999))
SENDER_REPORT = bytes([0x80, 200, 0, 6]) + bytes(24)


class Desk:
    """A relay without an event loop. Its ports are ephemeral, whatever the range in its settings says."""

    def __init__(self, settings: MediaSettings = SETTINGS) -> None:
        self.now = 1000.0
        self.pump = Pump(settings.gather_seconds, lambda: self.now)
        hosts = {4: settings.rtp_host, 6: settings.rtp_host_ipv6 or "::1"}
        self._open = open_pair(hosts, settings.dscp)
        self.pool = PortPool(settings.rtp_ports, self._ephemeral, settings.port_quarantine_seconds, Random(1))
        addresses = {4: ip_address("127.0.0.1"), 6: ip_address("::1")}
        if settings.rtp_host_ipv6 is None:
            del addresses[6]
        self.relay = Relay(settings, addresses, self.pool, self.pump, lambda: self.now)
        self.server = NgServer(self.relay, lambda: self.now, wall_clock_offset=1_700_000_000.0)
        self._cookies = itertools.count()

    def ask(self, command: str, **keys: Value) -> Mapping[str, Any]:
        """The answer to a command; `_` in keys stands for `-`."""
        cookie = b"cookie-%d" % next(self._cookies)
        message = {"command": command} | {key.replace("_", "-"): value for key, value in keys.items()}
        answer = self.server.handle(cookie + b" " + encode(message))
        assert answer is not None
        echoed, _, body = answer.partition(b" ")
        assert echoed == cookie
        reply = decode(body)
        assert isinstance(reply, Mapping)
        return reply

    def signal(self, command: str, sdp: str, *, from_tag: str = "a", **keys: Any) -> str:
        """The SDP that an offer or answer of call `call` becomes."""
        reply = self.ask(command, **{"call_id": "call", "from_tag": from_tag, "sdp": sdp, **keys})
        assert reply["result"] == "ok", reply
        rewritten = reply["sdp"]
        assert isinstance(rewritten, str)
        return rewritten

    def connect(self, caller: Phone, callee: Phone, **keys: Any) -> None:
        """An audio call between two phones, each told its port of the relay."""
        callee.relay_port = port_in(self.signal("offer", audio(caller), **keys))
        caller.relay_port = port_in(self.signal("answer", audio(callee), to_tag="b", **keys))

    def flow(self, *sent: None) -> None:
        """Serve what the phones sent."""
        while self.pump.round():
            pass

    def advance(self, seconds: float) -> None:
        """Let time pass, second by second, with the relay's sweep in each."""
        for _ in range(int(seconds)):
            self.now += 1.0
            self.relay.sweep()

    def side(self, index: int, stream: int = 0) -> StreamSide:
        found = self.relay.calls["call"].streams[stream]
        assert found is not None
        return found.sides[index]

    def close(self) -> None:
        self.relay.close()
        self.pump.close()

    def _ephemeral(self, port: int, family: int) -> PortPair:
        for _ in range(200):
            kind, host = (socket.AF_INET6, "::1") if family == 6 else (socket.AF_INET, "127.0.0.1")
            with socket.socket(kind, socket.SOCK_DGRAM) as probe:
                probe.bind((host, 0))
                free = probe.getsockname()[1] & ~1
            try:
                return replace(self._open(free, family))
            except OSError:
                continue
        raise AssertionError("no free pair of ports")


class Phone:
    """A UDP socket that sends numbered RTP packets to the relay."""

    def __init__(self, host: str = "127.0.0.1", *, payload_type: int = 8, ssrc: int = 0x1234) -> None:
        self.host = host
        self.payload_type = payload_type
        self.ssrc = ssrc
        self.sequence = 100
        self.relay_port = 0
        self.relay_host = "::1" if ":" in host else "127.0.0.1"
        self._rtp = self._bound(0)
        self._rtcp = self._bound(0)

    @property
    def address(self) -> Source:
        host, port = self._rtp.getsockname()[:2]
        return host, port

    @property
    def rtcp_port(self) -> int:
        return int(self._rtcp.getsockname()[1])

    def send(self, count: int = 1, **fields: int) -> None:
        for _ in range(count):
            self.sequence += 1
            self.send_raw(self.packet(**fields))

    def packet(self, *, payload_type: int | None = None) -> bytes:
        kind = self.payload_type if payload_type is None else payload_type
        header = HEADER.pack(0x80, kind, self.sequence & 0xFFFF, self.sequence * 160 & 0xFFFFFFFF, self.ssrc)
        return header + self.host.encode()

    def send_raw(self, octets: bytes) -> None:
        self._rtp.sendto(octets, (self.relay_host, self.relay_port))

    def send_rtcp(self, octets: bytes = SENDER_REPORT) -> None:
        self._rtcp.sendto(octets, (self.relay_host, self.relay_port + 1))

    def heard(self) -> list[bytes]:
        """The RTP packets that came since the last look."""
        return self._read(self._rtp)

    def heard_rtcp(self) -> list[bytes]:
        return self._read(self._rtcp)

    def heard_hosts(self) -> list[str]:
        """Who sent the packets that came: the host that each phone writes behind its RTP header."""
        return [octets[HEADER.size :].decode() for octets in self.heard()]

    def move(self) -> None:
        """Go on from another port."""
        self._rtp.close()
        self._rtp = self._bound(0)

    def close(self) -> None:
        self._rtp.close()
        self._rtcp.close()

    def _read(self, readable: socket.socket) -> list[bytes]:
        packets = []
        while True:
            try:
                packets.append(readable.recv(2048))
            except BlockingIOError:
                return packets
            except ConnectionRefusedError:
                continue

    def _bound(self, port: int) -> socket.socket:
        bound = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET, socket.SOCK_DGRAM)
        bound.setblocking(False)
        bound.bind((self.host, port))
        return bound


def audio(
    phone: Phone,
    *extra: str,
    signalled: str | None = None,
    media: str = "audio",
    protocol: str = "RTP/AVP",
    formats: str = "8",
) -> str:
    """The SDP of a phone; `signalled` is the address that it believes to have."""
    host, port = phone.address
    family = 6 if ":" in host else 4
    lines: Sequence[str] = (
        "v=0",
        f"o=- 1 1 IN IP{family} {host}",
        "s=-",
        f"c=IN IP{family} {signalled or host}",
        "t=0 0",
        f"m={media} {port} {protocol} {formats}",
        f"a=rtcp:{phone.rtcp_port}",
        *extra,
    )
    return "\r\n".join(lines) + "\r\n"


def port_in(sdp: str) -> int:
    found = re.search(r"^m=\w+ (\d+) ", sdp, re.MULTILINE)
    assert found is not None, sdp
    return int(found[1])
