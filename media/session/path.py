# SPDX-License-Identifier: Apache-2.0
"""The pair of sockets of one session, and whom it talks to through them (symmetric RTP, RFC 4961).

Where packets come from is learnt with the caution of `media.rtp.lock`. Once the phone is heard from its signalled
address
the RTP socket is connected: the kernel drops foreign packets and knows the route (docs/adr/0005-relay-hot-path.md).
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Final

from media.rtp.localaddress import ANCILLARY_SIZE, dissolve, local_address, report_local_address
from media.rtp.lock import Source, SourceLock, Sources
from media.rtp.rtp import is_rtcp, is_rtp, payload_type, sequence_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from media.rtp.ports import PortPair
    from media.rtp.pump import Pump

__all__ = ["BUFFER", "VIEW", "Path"]

BUFFER: Final = bytearray(4096)
"""Shared by all sessions: a packet is dealt with before the next one is read."""
VIEW: Final = memoryview(BUFFER)
BURST: Final = 512
"""The most packets that an unconnected socket reads in one round; more than its queue holds."""


class Path:
    """Receives packets of the right source, and sends."""

    __slots__ = (
        "_admits",
        "_connected",
        "_connects",
        "_local",
        "_on_rtcp",
        "_on_rtp",
        "_pump",
        "_rtcp_heard",
        "_rtcp_seen_at",
        "_trusted",
        "errors",
        "pair",
        "send",
        "sources",
    )

    def __init__(
        self,
        pair: PortPair,
        pump: Pump,
        settle_seconds: float,
        on_rtp: Callable[[int], None],
        on_rtcp: Callable[[int], None],
        trusted: frozenset[str] = frozenset(),
    ) -> None:
        """`on_rtp` and `on_rtcp` are told that BUFFER has a packet of so many octets; to `trusted` hosts sound may go
        that have sent nothing."""
        self.pair = pair
        self.sources = Sources(settle_seconds)
        self.errors = 0
        """Packets that were dropped: foreign, malformed, or not to be sent."""
        self.send: Callable[[bytes], object] = self._send_to_target
        """Send an RTP packet to the phone; may raise OSError."""
        self._pump = pump
        self._on_rtp = on_rtp
        self._on_rtcp = on_rtcp
        self._admits: frozenset[int] = frozenset()
        self._connected = False
        self._connects = True
        self._local = b""
        self._trusted = trusted
        self._rtcp_heard = False
        self._rtcp_seen_at = 0.0
        pump.watch(pair.rtp, self._receive_any)
        pump.watch(pair.rtcp, self._receive_rtcp)

    @property
    def lock(self) -> SourceLock:
        """Where RTP comes from."""
        return self.sources.rtp

    def signal(
        self, remote: Source | None, rtcp: Source | None, payload_types: frozenset[int], signaller: str | None
    ) -> None:
        """The phone named its address; its source is learnt from packets of these payload types only.

        `signaller`: the host that its signalling comes from; none: the address is taken for its own.
        """
        self._admits = payload_types
        own = frozenset({remote[0]}) if signaller is None and remote is not None else frozenset[str]()
        hosts = frozenset[str]() if signaller is None else frozenset({signaller})
        if self.sources.signal(remote, rtcp, hosts, self._trusted | own):
            self._disconnect()
        elif self.lock.final and self._connects and not self._connected:
            self._connect()
            self._receive_any()  # what others sent before the kernel began to filter

    def answer(self) -> None:
        """The call is answered."""
        self.sources.answer(answered=True)

    def tend(self, now: float, silent_seconds: float, relearn_seconds: float) -> None:
        """Now and then: let another source in after silence."""
        if silent_seconds >= relearn_seconds and self.lock.open_after_silence():
            self._disconnect()
        if self._rtcp_heard:
            self._rtcp_heard, self._rtcp_seen_at = False, now
        elif now - self._rtcp_seen_at >= relearn_seconds:
            self.sources.rtcp.open_after_silence()

    def send_rtcp(self, packet: bytes) -> None:
        """Send to where the phone wants RTCP, if that is known."""
        target = self.sources.rtcp_destination(self._pump.now)
        if target is not None:
            with contextlib.suppress(OSError):
                self.pair.rtcp.sendto(packet, target)

    def close(self) -> None:
        """Watch the sockets no longer. The caller gives the pair back.

        Nothing leads back to the session, nor from here to here: both go with their last use.
        """
        self._pump.forget(self.pair.rtp)
        self._pump.forget(self.pair.rtcp)
        self.send = self._on_rtp = self._on_rtcp = _nobody

    def _send_to_target(self, packet: bytes) -> None:
        target = self.sources.destination(self._pump.now)
        if target is not None:
            self.pair.rtp.sendto(packet, target)

    def _receive_any(self) -> None:
        """Serve the RTP socket while its source is not final: learn it, drop what is foreign."""
        for _ in range(BURST):
            try:
                size, ancillary, _, sender = self.pair.rtp.recvmsg_into([BUFFER], ANCILLARY_SIZE)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error for an earlier packet
                self.errors += 1
                continue
            if ancillary:
                self._local = local_address(ancillary)
            if self._is_admitted(size, sender[:2]):
                self._on_rtp(size)
            else:
                self.errors += 1

    def _is_admitted(self, size: int, sender: Source) -> bool:
        lock = self.lock
        if not is_rtp(BUFFER, size):
            return False
        if sender != lock.source and payload_type(BUFFER) not in self._admits:
            return False
        if not lock.admit(sender, int.from_bytes(BUFFER[8:12], "big"), sequence_number(BUFFER), self._pump.now):
            return False
        if lock.final and self._connects and not self._connected:
            self._connect()
        return True

    def _receive_rtcp(self) -> None:
        """Serve the RTCP socket."""
        for _ in range(BURST):
            try:
                size, sender = self.pair.rtcp.recvfrom_into(BUFFER)
            except BlockingIOError:
                return
            except OSError:
                self.errors += 1
                continue
            if is_rtcp(BUFFER, size) and self.sources.admit_rtcp(sender[:2], self._pump.now):
                self._rtcp_heard = True
                self._on_rtcp(size)
            else:
                self.errors += 1

    def _connect(self) -> None:
        assert self.lock.source is not None
        rtp = self.pair.rtp
        try:
            rtp.connect(self.lock.source)
        except OSError:
            self._connects = False  # no route just now
            return
        # A socket bound to all addresses takes the one of the route. Where the phone sends to another one its packets
        # would no longer arrive.
        if self._local and self._local != socket.inet_pton(rtp.family, rtp.getsockname()[0]):
            self._connects = False
            dissolve(rtp)
            return
        report_local_address(rtp, enabled=False)
        self._connected = True
        self.send = rtp.send
        self._pump.replace(rtp, self._locked_receiver())

    def _disconnect(self) -> None:
        self._connects = True
        if self._connected:
            self._connected = False
            self.send = self._send_to_target
            dissolve(self.pair.rtp)
            report_local_address(self.pair.rtp, enabled=True)
            self._pump.replace(self.pair.rtp, self._receive_any)

    def _locked_receiver(self) -> Callable[[], None]:
        """Reads one packet of a connected socket; lives on local variables, as it runs for every packet."""
        receive_into = self.pair.rtp.recv_into
        on_rtp = self._on_rtp

        def receive() -> None:
            try:
                size = receive_into(BUFFER)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error for an earlier packet
                self.errors += 1
                return
            if size >= 12 and BUFFER[0] & 0xC0 == 0x80:
                on_rtp(size)
            else:
                self.errors += 1

        return receive


def _nobody(_: object) -> None:
    """Nothing goes out of a path that is closed, and nobody is told what comes."""
