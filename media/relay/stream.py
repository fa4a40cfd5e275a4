# SPDX-License-Identifier: Apache-2.0
"""One media stream between two phones: two sides, each a pair of sockets that face one phone.

The hot path is in `media.relay.handlers`: once both sides are heard from their signalled addresses, both sockets are
connected, so that the kernel filters foreign packets and knows the route, and a packet costs one `recv_into` and one
`send` (`relay_locked`). A source from which somebody better known may take over is looked at with every packet
(`relay_checked`). Everything else (learning, hold, early media, RTCP, shared RTP and RTCP) takes the slower way of
`StreamSide.receive`. How it was measured stands in docs/adr/0005-relay-hot-path.md.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from media.relay.handlers import (
    ANY_FIRST_OCTET,
    BUFFER,
    RTP_FIRST_OCTETS,
    SAMPLE_MASK,
    SLICES,
    relay_checked,
    relay_locked,
)
from media.rtp.bounds import RTCP_BOUND, bound_of
from media.rtp.counters import Counters
from media.rtp.localaddress import ANCILLARY_SIZE, dissolve, local_address, report_local_address
from media.rtp.lock import Source, SourceLock, Sources
from media.rtp.rtp import HEADER_SIZE, Reception, is_dtls, is_rtcp, is_rtp, payload_type, sequence_number

if TYPE_CHECKING:
    from media.relay.player import Outlet, Player
    from media.rtp.ports import PortPair
    from media.rtp.pump import Handler, Pump
    from media.sdp import MediaDescription

__all__ = ["Stream", "StreamSide"]

BURST = 512
"""The most packets that a learning socket reads in one round: more than its queue holds by default, so that nothing
foreign is left in the queue of a socket that was just connected."""
EVENTS = "telephone-event"


class StreamSide:
    """The pair of sockets that face one phone, and what is known of that phone."""

    def __init__(self, pair: PortPair, pump: Pump, settle_seconds: float) -> None:
        self.pair = pair
        self.sources = Sources(settle_seconds)
        self.rtp = Counters()
        self.rtcp = Counters()
        self.reception = Reception()
        self.media: MediaDescription | None = None
        """What this phone signalled last; none until it did."""
        self.held = False
        self._pump = pump
        self._connected = False
        self._connects = True
        """Whether the source may be connected; not where the kernel would then expect another local address."""
        self._local = b""
        """The local address, packed, that the phone last sent to."""
        self._muted = False
        self._clock_rate = 8000
        self._bound = bound_of(None, None)
        self._throttled = False
        """Whether what comes is dropped until the next look, as more came than the formats need."""
        self._other: StreamSide = self
        self.outlet: Outlet | None = None
        """Our own source towards this phone, once something was played to it."""
        self.player: Player | None = None
        """What is being played to this phone."""
        self.silenced = False
        """Whether this phone hears nothing of the other one: only what is played."""
        self._blocked = False
        """Whether the sound of this phone is kept from the other one."""
        self._keys_blocked = False
        """The same for its telephone events."""

    @property
    def lock(self) -> SourceLock:
        """Where this phone's RTP comes from."""
        return self.sources.rtp

    @property
    def other(self) -> StreamSide:
        """The side that faces the other phone."""
        return self._other

    def join(self, other: StreamSide) -> None:
        """Relay what comes here to `other`."""
        self._other = other
        self._pump.watch(self.pair.rtp, self.receive)
        self._pump.watch(self.pair.rtcp, self.receive_rtcp)

    def signal(
        self, media: MediaDescription, signalled_host: str | None, sip_host: str | None, *, is_offer: bool = False
    ) -> None:
        """The phone named its address in an offer or answer; `signalled_host` overrides the one in the SDP."""
        self.media = media
        self.held = media.held
        self._muted = media.address is None or media.address.is_unspecified
        host = signalled_host or str(media.address)
        rtcp_host = signalled_host or str(media.rtcp_address or media.address)
        rtp, rtcp = (None, None) if self._muted else ((host, media.port), (rtcp_host, media.rtcp_port))
        hosts = frozenset[str]() if sip_host is None else frozenset({sip_host})
        if self.sources.signal(rtp, rtcp, hosts, confirmed=not is_offer):
            self._disconnect()
        elif self.lock.final and self._connects and not self._connected:
            self._connect()
            self.receive()  # what others sent before the kernel began to filter
        self._clock_rate = media.clock_rate(min(media.payload_types, default=0))
        for side in (self, self._other):
            side._bound = bound_of(side._other.media, side.media)
            side.allow()
        self._rewire()

    def answer(self, *, answered: bool) -> None:
        """The final answer came, or the call is not answered after all."""
        self.sources.answer(answered=answered)
        self._rewire()

    def block(self, *, sound: bool | None = None, keys: bool | None = None) -> None:
        """Keep the sound of this phone, or its telephone events, from the other one, or no more; none: as before."""
        self._blocked = self._blocked if sound is None else sound
        self._keys_blocked = self._keys_blocked if keys is None else keys
        self.wire()

    def allow(self) -> None:
        """Once a second: so much may come again."""
        self.rtp.allow(self._bound)
        self.rtcp.allow(RTCP_BOUND)
        if self._throttled:
            self._throttled = False
            self.wire()

    def wire(self) -> None:
        """Choose the way for packets that come here: a fast one wherever nothing needs a closer look."""
        other = self._other
        needs_look = other._muted or other.silenced or self._blocked or self._keys_blocked or self._shares_rtcp()
        handler: Handler = self.receive
        if self._throttled:
            handler = self._drop
        elif not (needs_look or self.lock.silent or None in (self.lock.source, other.lock.source)):
            handler = self._fast_handler()
        self._pump.replace(self.pair.rtp, handler)

    def tend(self, now: float, relearn_seconds: float) -> float | None:
        """Once a second: open the locks after silence. Returns when a packet came last."""
        heard_at, rtcp_at = self.rtp.look(now), self.rtcp.look(now)
        self.allow()
        if heard_at is not None and now - heard_at >= relearn_seconds and self.lock.open_after_silence():
            self._disconnect()
        if rtcp_at is not None and now - rtcp_at >= relearn_seconds:
            self.sources.rtcp.open_after_silence()
        return max((at for at in (heard_at, rtcp_at) if at is not None), default=None)

    def close(self) -> None:
        """Watch the sockets no longer. The caller gives the pair back, and closes the other side too.

        The two sides no longer know each other, so both go with their last use.
        """
        self._pump.forget(self.pair.rtp)
        self._pump.forget(self.pair.rtcp)
        del self._other

    # Packets

    def receive(self) -> None:
        """Serve the RTP socket in all states: learn the source, drop what is foreign, relay the rest."""
        for _ in range(BURST):
            try:
                size, ancillary, _, sender = self.pair.rtp.recvmsg_into([BUFFER], ANCILLARY_SIZE)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error for an earlier packet
                self.rtp.errors += 1
                continue
            if ancillary:
                self._local = local_address(ancillary)
            self._take(size, sender[:2])

    def _take(self, size: int, sender: Source) -> None:
        """Deal with a packet in BUFFER, the slow way."""
        if not self._throttled and self._admits(size, sender) and self._pass_on(size):
            self._count(size)
        else:
            self.rtp.errors += 1

    def _drop(self) -> None:
        """Serve the RTP socket while more comes than the formats need."""
        for _ in range(BURST):
            try:
                self.pair.rtp.recv_into(BUFFER)
            except BlockingIOError:
                return
            except OSError:
                pass
            self.rtp.errors += 1

    def receive_rtcp(self) -> None:
        """Serve the RTCP socket."""
        for _ in range(BURST):
            try:
                size, sender = self.pair.rtcp.recvfrom_into(BUFFER)
            except BlockingIOError:
                return
            except OSError:
                self.rtcp.errors += 1
                continue
            admitted = (
                is_rtcp(BUFFER, size)
                and not self.rtcp.exhausted
                and self.sources.admit_rtcp(sender[:2], self._pump.now)
            )
            if admitted and (self._blocked or self._other.send_rtcp(size)):
                self.rtcp.packets += 1
                self.rtcp.octets += size
            else:
                self.rtcp.errors += 1

    def _pass_on(self, size: int) -> bool:
        """Hand a packet of this phone in BUFFER to the other one. Returns whether it counts as heard."""
        if self._is_kept_back(size):
            return True
        return self._other.send(size)

    def _is_kept_back(self, size: int) -> bool:
        if not (self._blocked or self._keys_blocked):
            return False
        media = self.media
        if media is None or not media.is_rtp or not is_rtp(BUFFER, size):
            return self._blocked and not is_dtls(BUFFER, size)  # keys must be agreed on before anything is heard
        encoding = media.encoding(payload_type(BUFFER)) or (
            None if self._other.media is None else self._other.media.encoding(payload_type(BUFFER))
        )
        is_key = encoding is not None and encoding[0].lower() == EVENTS
        return self._keys_blocked if is_key else self._blocked

    def send(self, size: int) -> bool:
        """Send the first octets of BUFFER to this phone. Returns whether they went out or were kept back on purpose."""
        if self.silenced:
            return True
        if self._muted or self.lock.target is None:
            return False
        target = self.sources.destination(self._pump.now)
        if target is None:
            return True  # who sends is alive, though nobody hears it
        try:
            self.pair.rtp.sendto(SLICES[size], target)
        except OSError:
            return False
        return True

    def send_rtcp(self, size: int) -> bool:
        """The same for RTCP."""
        target = None if self._muted else self.sources.rtcp_destination(self._pump.now)
        if target is None:
            return False
        try:
            self.pair.rtcp.sendto(SLICES[size], target)
        except OSError:
            return False
        return True

    def play(self, player: Player, *, alone: bool) -> None:
        """Play to this phone from now on; `alone`: it hears nothing of the other one meanwhile."""
        self.player = player
        self.silenced = alone
        self._other.wire()

    def stop_playing(self) -> None:
        """The phone hears the other one again."""
        self.player = None
        self.silenced = False
        self._other.wire()

    def play_due(self, now: float) -> float | None:
        """Send what is due of the piece. Returns when to come again; None: it is over."""
        if self.player is None:
            return None
        target = None if self._muted else self.sources.destination(now)
        for packet in self.player.due(now):
            if target is not None:
                try:
                    self.pair.rtp.sendto(packet, target)
                except OSError:
                    continue
        return self.player.next_at

    def _admits(self, size: int, sender: Source) -> bool:
        """Whether a packet in BUFFER is of this stream and from its phone; may lock the source."""
        media, lock = self.media, self.lock
        if media is None:
            return False  # nothing was signalled, so there is nothing to tell a phone from an attacker by
        if not media.is_rtp:
            learns, stream, sequence = size > 1, 0, BUFFER[0] << 8 | BUFFER[1]  # UDPTL: T.38 section 9.1.2
        elif is_rtp(BUFFER, size):
            learns = sender == lock.source or self._expects(payload_type(BUFFER))
            stream, sequence = int.from_bytes(SLICES[HEADER_SIZE][8:], "big"), sequence_number(BUFFER)
        else:
            # RTCP on a shared port and DTLS handshakes pass, but only RTP is learnt from; STUN is dropped.
            passes = is_rtcp(BUFFER, size) or (media.keyed_by_dtls and is_dtls(BUFFER, size))
            return passes and sender == lock.target
        before = lock.source, lock.silent
        if not learns or not lock.admit(sender, stream, sequence, self._pump.now):
            return False
        if lock.final and self._connects and not self._connected:
            self._connect()
        elif (lock.source, lock.silent) != before:
            self._rewire()
        return True

    def _expects(self, number: int) -> bool:
        """Whether either phone signalled the payload type. Until the answer came that is the offerer alone."""
        return any(side.media is not None and number in side.media.payload_types for side in (self, self._other))

    def _count(self, size: int) -> None:
        if self.media is not None and self.media.is_rtp and not is_rtp(BUFFER, size):
            return
        self.rtp.packets += 1
        self.rtp.octets += size
        if not self.rtp.packets & SAMPLE_MASK:
            self._sample()

    def _sample(self) -> None:
        """Every 16th packet: loss, jitter, and the bound, which so costs the other fifteen nothing."""
        if self.rtp.exhausted:
            self._throttled = True
            self.wire()
        if self.media is not None and self.media.is_rtp:
            self.reception.sample(BUFFER, self.rtp.packets, self._pump.now, self._clock_rate)

    def _shares_rtcp(self) -> bool:
        return self.media is not None and self.media.is_rtp and (self.media.shares_rtcp or self.media.keyed_by_dtls)

    def _connect(self) -> None:
        """From now on the kernel drops packets of other sources, and sending needs no look-up of the route."""
        assert self.lock.source is not None
        rtp = self.pair.rtp
        try:
            rtp.connect(self.lock.source)
        except OSError:
            self._connects = False  # no route just now: the slow way checks every source by itself
            return
        # A socket bound to all addresses takes the one of the route when it is connected. Where the phone sends to
        # another one (several addresses, or a phone on this machine) its packets would no longer arrive.
        if self._local and self._local != socket.inet_pton(rtp.family, rtp.getsockname()[0]):
            self._connects = False
            dissolve(rtp)
            return
        report_local_address(rtp, enabled=False)
        self._connected = True
        self._rewire()

    def _disconnect(self) -> None:
        self._connects = True
        if self._connected:
            self._connected = False
            dissolve(self.pair.rtp)
            report_local_address(self.pair.rtp, enabled=True)
        self._rewire()

    def _rewire(self) -> None:
        """The source changed: for what comes here, and for what goes there."""
        self.wire()
        self._other.wire()

    def _fast_handler(self) -> Handler:
        is_rtp = self.media is not None and self.media.is_rtp
        least, accepted = (HEADER_SIZE, RTP_FIRST_OCTETS) if is_rtp else (1, ANY_FIRST_OCTET)
        if self._connected and self._other._connected:
            return relay_locked(self.pair.rtp, self._other.pair.rtp, self.rtp, least, accepted, self._sample)
        expected, destination = self.lock.source, self._other.lock.source
        assert expected is not None
        assert destination is not None
        ways = self.pair.rtp, self._other.pair.rtp, None if self._other._connected else destination
        return relay_checked(
            *ways, self.rtp, least, accepted, self._sample, expected=expected, take_other=self._take_first
        )

    def _take_first(self, size: int, sender: Source) -> None:
        """A packet in BUFFER of another source than the one that is heard: it may be who takes over."""
        self._take(size, sender)
        if self._connected:
            self.receive()  # what others sent before the kernel began to filter


class Stream:
    """Two sides of one `m=` section; side 0 faces the party that made the first offer."""

    __slots__ = ("index", "sides")

    def __init__(self, index: int, sides: tuple[StreamSide, StreamSide]) -> None:
        self.index = index
        self.sides = sides
        sides[0].join(sides[1])
        sides[1].join(sides[0])

    @property
    def held(self) -> bool:
        return self.sides[0].held or self.sides[1].held
