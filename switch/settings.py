# SPDX-License-Identifier: Apache-2.0
"""What a switch process is told at its start; `softswitch.config` builds it from config.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from billing_client.rules.numbering import Emergency
from switch.access.occupancy import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "CreditSettings",
    "FloodSettings",
    "Listen",
    "MessageSettings",
    "RegistrationSettings",
    "RelaySettings",
    "SessionTimerSettings",
    "SubscriptionSettings",
    "SwitchSettings",
    "TraceSettings",
]


@dataclass(frozen=True, slots=True)
class Listen:
    """A local address: `transport` is "udp" or "tcp", `host` a literal IP address."""

    transport: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport}:{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationSettings:
    """Limits of a registration (RFC 3261 section 10.3); all times in seconds."""

    min_expires: int = 60
    default_expires: int = 300
    max_expires: int = 3600
    max_contacts: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionSettings:
    """Limits of a subscription to a message lamp (RFC 6665 section 4.2.1.1); all times in seconds."""

    min_expires: int = 60
    default_expires: int = 3600
    max_expires: int = 7200


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTimerSettings:
    """Session timers (RFC 4028): the interval that we ask for and the least that we accept, in seconds."""

    expires: int = 1800
    min_se: int = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class FloodSettings:
    """More than `requests` from one address in `per_seconds` bans it for `ban_seconds`; 0 requests: no limit."""

    requests: int = 16
    per_seconds: float = 2.0
    ban_seconds: float = 300.0
    drop_user_agents: tuple[str, ...] = ("friendly-scanner", "sipvicious", "sipcli")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSettings:
    """How many messages (RFC 3428) one sender may send, and one account may get, in `per_seconds`."""

    from_one: int = 30
    to_one: int = 60
    per_seconds: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditSettings:
    """How calls lock funds; all in seconds (see docs/money.md)."""

    slice_seconds: int = 30
    warn_seconds: int = 60
    warn_again_seconds: int = 30
    disconnect_before_zero_seconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySettings:
    """RTP relays spoken to in rtpengine's ng protocol, as (host, port); none: phones exchange media directly."""

    addresses: tuple[tuple[str, int], ...] = ()
    secrets: Mapping[tuple[str, int], bytes] = field(default_factory=dict, repr=False)
    """Of the relays that take marked commands only: ours. rtpengine takes plain ones."""
    query_seconds: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSettings:
    """What is kept of ended calls, so that they can be explained."""

    enabled: bool = True
    ladder: bool = True
    """The SIP messages too, not only the reasons."""
    keep_days: int = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchSettings:
    """Everything that one switch process needs to know."""

    node: str
    domains: tuple[str, ...]
    """AOR hosts that we serve; the first is the digest realm."""
    listen: tuple[Listen, ...]
    store_dsn: str
    nonce_secret: bytes
    """Signs digest nonces; the same on every node, so that any node accepts a challenge of another."""
    md5_user_agents: tuple[str, ...] = ("baresip",)
    """Beginnings of User-Agent of phones that are challenged with MD5 alone: SHA-256 beside it confuses them."""
    advertise: str | None = None
    """Address put into Via and Contact when we sit behind 1:1 NAT."""
    own_addresses: tuple[str, ...] = ()
    """Of this machine, beside loopback: what is bound to any address is at each of them."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and names of proxies in front of us, whose Path and Record-Route are believed."""
    registration: RegistrationSettings = field(default_factory=RegistrationSettings)
    subscription: SubscriptionSettings = field(default_factory=SubscriptionSettings)
    mailbox_numbers: tuple[str, ...] = ("*97", "*98")
    """Dialled for one's own mailbox: whoever subscribes to one of these means his own lamp."""
    session_timer: SessionTimerSettings = field(default_factory=SessionTimerSettings)
    flood: FloodSettings = field(default_factory=FloodSettings)
    messages: MessageSettings = field(default_factory=MessageSettings)
    credit: CreditSettings = field(default_factory=CreditSettings)
    relay: RelaySettings = field(default_factory=RelaySettings)
    trace: TraceSettings = field(default_factory=TraceSettings)
    ring_seconds: float = 60.0
    """How long an account's phones ring before the call counts as not answered."""
    early_media_seconds: float = 60.0
    """So much of a callee's sound a caller hears before the answer, in all of a call."""
    max_unpaid_call_seconds: float = 14400.0
    """How long a call may last that nobody pays for; emergency calls are not ended."""
    number_price: Decimal = Decimal("1.00")
    """The most that a minute, or the answer, of a call may cost whose payer is known by the calling number alone."""
    emergency_numbers: tuple[str, ...] = ("112", "911")
    emergency_services: Mapping[str, str] = field(default_factory=dict)
    """Which of them is dialled for a service of RFC 5031, such as `police`; others get the first."""
    media_server: tuple[str, int] | None = None
    """SIP address (UDP) of the media server; None: there is none."""
    media_secret: bytes = field(default=b"", repr=False)
    """Marks the INVITEs between the media server and us in both directions, and commands to relays of ours: by nothing
    else are they trusted (`switch.sip.mark`)."""
    application_limits: Limits = field(default_factory=Limits)
    """How many calls with applications there may be, for whom."""
    access_numbers: Mapping[str, str] = field(default_factory=dict)
    """What callers dial for an application of the media server, and that application; `menu:NAME` is a menu."""
    feature_codes: tuple[str, ...] = ()
    """Star codes, such as *72; what is dialled after one is its argument."""
    announcements: bool = False
    """Phones of ours hear from the media server, in early media, why a call is refused."""
    http: Listen | None = None
    """Where metrics and the health check are served (transport "tcp")."""
    drain_seconds: float = 30.0
    """How long SIGTERM waits for running calls."""
    questions: Path | None = None
    """The unix socket where questions about calls that are not made are answered; None: nowhere."""
    keys_file: Path | None = None
    """The keys that open passwords of accounts and gateways; None: none is sealed."""
    journal_dir: Path | None = None
    """Where finished calls wait while the store is away, and a killed switch finds the calls that it lost; None: in
    memory only."""

    @property
    def emergency(self) -> Emergency:
        """The numbers that are always let through."""
        return Emergency(self.emergency_numbers, self.emergency_services)
