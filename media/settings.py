# SPDX-License-Identifier: Apache-2.0
"""What a media process is told at its start; `softswitch.config` builds it from config.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["EngineSettings", "MediaSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSettings:
    """Everything that one media process needs to know; times in seconds."""

    ng: tuple[str, int] = ("127.0.0.1", 2223)
    """Where ng commands are taken (UDP)."""
    secret: bytes | None = field(default=None, repr=False)
    """Commands without its mark are refused (`media.relay.ng_mark`). None: they need none, which is for benchmarks
    and for a port that nobody else can reach; `softswitch` always gives one."""
    rtp_host: str = "0.0.0.0"
    """The local IPv4 address that RTP sockets are bound to; 0.0.0.0 for all."""
    advertise: str | None = None
    """The IPv4 address written into SDP; none: `rtp_host`, or the default route's address where that is 0.0.0.0."""
    rtp_host_ipv6: str | None = None
    """The same for IPv6 (`::` for all); none: phones that signal IPv6 addresses are refused."""
    advertise_ipv6: str | None = None
    rtp_ports: tuple[int, int] = (20000, 29999)
    """First and last UDP port for media. A two-way call takes four per stream."""
    timeout_seconds: float = 60.0
    """An answered call without a single packet for so long is dropped."""
    silent_timeout_seconds: float = 3600.0
    """The same while the call is on hold or not yet answered."""
    unwatched_seconds: float = 120.0
    """A call of a switch that promised to ask about it (flag `watched`), and has not for so long, is dropped: the
    switch is gone, and nobody charges for the call."""
    port_quarantine_seconds: float = 30.0
    """How long a released port rests, so that a new call cannot inherit the last packets of an old one."""
    settle_seconds: float = 3.0
    """How long the former source still passes after a new address was signalled (see media.rtp.lock)."""
    relearn_seconds: float = 5.0
    """After so long without a packet a locked source may come back from another port of the same host."""
    gather_seconds: float = 0.002
    """How long packets may gather between two rounds of the relay: added delay, traded for work per packet."""
    dscp: int = 46
    """Differentiated services code point of relayed packets; 46 is EF (RFC 4594 section 4.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """What the RTP sessions of the media server need to know (`media.session.engine`); times in seconds."""

    rtp_host: str = "0.0.0.0"
    """As in `MediaSettings`, and so the next three."""
    advertise: str | None = None
    rtp_host_ipv6: str | None = None
    advertise_ipv6: str | None = None
    relay_hosts: tuple[str, ...] = ()
    """IP addresses of media relays, where other than ours: sound may go there before anything came."""
    rtp_ports: tuple[int, int] = (20000, 29999)
    """First and last UDP port. A session takes two."""
    codecs: tuple[str, ...] = ("PCMU", "PCMA", "G722", "opus")
    """In order of preference."""
    timeout_seconds: float = 60.0
    """A phone that is not on hold and sends nothing for so long is gone."""
    report_seconds: float = 5.0
    """How often RTCP reports are sent (RFC 3550 section 6.2)."""
    port_quarantine_seconds: float = 30.0
    settle_seconds: float = 3.0
    relearn_seconds: float = 5.0
    dscp: int = 46
