# SPDX-License-Identifier: Apache-2.0
"""An engine on a virtual clock, and callers on the loopback who speak RTP to its sessions.

Loopback datagrams are in the receiver's queue when `sendto` returns, so nothing here waits: `Studio.pass_time` runs the
ticks, and a caller that has nothing to read has got nothing.
"""

from __future__ import annotations

import re
import socket
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from media.rtp.dtmf import EventSender
from media.rtp.ports import PortPair, PortPool, hosts_of, open_pair
from media.rtp.rtp import HEADER
from media.session.engine import MediaEngine
from media.settings import EngineSettings
from media.sound.codec import CODECS, PCMU, Codec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from media.session.session import MediaSession

__all__ = ["Caller", "Packet", "Studio", "description"]

SETTINGS = EngineSettings(rtp_host="127.0.0.1", rtp_host_ipv6="::1", rtp_ports=(20000, 20999))
STEP = 0.02


class Packet(NamedTuple):
    """What a caller received."""

    at: float
    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


class Studio:
    """An engine without an event loop. Its ports are ephemeral, whatever the range in its settings says."""

    def __init__(self, settings: EngineSettings = SETTINGS) -> None:
        self.now = 1000.0
        self._opener = open_pair(hosts_of(settings), settings.dscp)
        pool = PortPool(settings.rtp_ports, self._ephemeral, settings.port_quarantine_seconds, Random(1))
        self.engine = MediaEngine(
            settings, pool, lambda: self.now, random=Random(7), wall_clock=lambda: self.now + 1_700_000_000
        )
        self.callers: list[Caller] = []

    def caller(self, codec: Codec = PCMU, *, host: str = "127.0.0.1", events: bool = True) -> Caller:
        """A phone of one codec, not yet connected."""
        self.callers.append(Caller(codec, host, events=events))
        return self.callers[-1]

    def session(self, caller: Caller) -> MediaSession:
        """A session that has answered the caller's offer."""
        session = self.engine.open(family=6 if ":" in caller.host else 4)
        caller.learn(session.answer(caller.offer()))
        return session

    def pass_time(self, seconds: float) -> None:
        """Let ticks come, 2 ms apart; callers take what reaches them."""
        for _ in range(round(seconds / 0.002)):
            self.now += 0.002
            self.engine.ticker.run_due()
            for caller in self.callers:
                caller.take(self.now)

    def close(self) -> None:
        self.engine.close()
        for caller in self.callers:
            caller.close()

    def _ephemeral(self, port: int, family: int) -> PortPair:
        """Any pair of free ports in a row, in the place of the one that was asked for."""
        del port
        random = Random()
        for _ in range(500):
            try:
                return self._opener(random.randrange(33000, 60000) & ~1, family)
            except OSError:
                continue
        raise OSError("no free pair of ports")


class Caller:
    """Speaks one codec and keeps what it hears."""

    def __init__(self, codec: Codec, host: str, *, events: bool) -> None:
        self.codec = codec
        self.host = host
        self.ssrc = 0x1234
        self.heard: list[Packet] = []
        self.rtcp: list[bytes] = []
        self.sequence = 65_500
        self.timestamp = 2**32 - 5000
        self._events = events
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.rtp_socket = socket.socket(family, socket.SOCK_DGRAM)
        self.rtcp_socket = socket.socket(family, socket.SOCK_DGRAM)
        for one in (self.rtp_socket, self.rtcp_socket):
            one.bind((host, 0))
            one.setblocking(False)
        self.port: int = self.rtp_socket.getsockname()[1]
        self.target: tuple[str, int] = (host, 0)

    def offer(self, direction: str = "sendrecv", address: str | None = None, version: int = 1) -> bytes:
        return description(self, direction=direction, address=address, version=version)

    def learn(self, sdp: bytes) -> None:
        """Where the session is."""
        found = re.search(rb"m=audio (\d+)", sdp)
        assert found is not None
        self.target = self.host, int(found[1])

    def send(self, payload: bytes, *, payload_type: int | None = None, advance: bool = True) -> None:
        """The next packet of the stream."""
        self.send_raw(self.packet(payload, payload_type=payload_type, advance=advance))

    def packet(self, payload: bytes, *, payload_type: int | None = None, advance: bool = True) -> bytes:
        """The next packet of the stream, not sent."""
        number = self.codec.payload_type if payload_type is None else payload_type
        packet = HEADER.pack(0x80, number, self.sequence, self.timestamp, self.ssrc) + payload
        self.sequence = (self.sequence + 1) & 0xFFFF
        if advance:
            self.timestamp = (self.timestamp + self.codec.step) & 0xFFFFFFFF
        return packet

    def send_raw(self, packet: bytes) -> None:
        self.rtp_socket.sendto(packet, self.target)

    def press(self, digits: str, studio: Studio, lost: Iterable[int] = ()) -> None:
        """Telephone events in real time, without those packets (by their number) that are `lost`."""
        sender = EventSender(160)
        sender.send(digits)
        began, number = self.timestamp, 0
        while sender:
            payload, begins = sender.packet()
            began = self.timestamp if begins else began
            if payload:
                packet = HEADER.pack(0x80, 101, self.sequence, began, self.ssrc) + payload
                self.sequence = (self.sequence + 1) & 0xFFFF
                if number not in lost:
                    self.send_raw(packet)
                number += 1
            self.timestamp = (self.timestamp + self.codec.step) & 0xFFFFFFFF
            studio.pass_time(STEP)

    def say(self, payloads: Sequence[bytes], studio: Studio) -> None:
        """One payload every 20 ms."""
        for payload in payloads:
            self.send(payload)
            studio.pass_time(STEP)

    def take(self, now: float) -> None:
        """Read what has come."""
        while (packet := _read(self.rtp_socket)) is not None:
            _, second, sequence, timestamp, ssrc = HEADER.unpack_from(packet)
            self.heard.append(Packet(now, second & 127, second > 127, sequence, timestamp, ssrc, packet[12:]))
        while (packet := _read(self.rtcp_socket)) is not None:
            self.rtcp.append(packet)

    def sound(self) -> list[bytes]:
        """The payloads heard, telephone events left out."""
        return [packet.payload for packet in self.heard if packet.payload_type == self.codec.payload_type]

    def close(self) -> None:
        self.rtp_socket.close()
        self.rtcp_socket.close()


def _read(readable: socket.socket) -> bytes | None:
    try:
        return readable.recv(4096)
    except BlockingIOError:
        return None


def description(
    caller: Caller,
    *,
    codecs: Sequence[Codec] = (),
    direction: str = "sendrecv",
    address: str | None = None,
    version: int = 1,
) -> bytes:
    """The caller's offer or answer."""
    family = 6 if ":" in caller.host else 4
    spoken = codecs or (caller.codec,)
    events = ["a=rtpmap:101 telephone-event/8000"] if caller._events else []
    formats = [str(codec.payload_type) for codec in spoken] + ["101"] * len(events)
    where = f"IN IP{family} {address or caller.host}"
    lines = [
        *("v=0", f"o=phone 1 {version} {where}", "s=-", f"c={where}", "t=0 0"),
        f"m=audio {caller.port} RTP/AVP {' '.join(formats)}",
        *(f"a=rtpmap:{codec.payload_type} {codec.rtpmap}" for codec in spoken),
        *(f"a=rtcp:{caller.rtcp_socket.getsockname()[1]}", *events, f"a={direction}"),
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()


ALL_CODECS = tuple(CODECS.values())
