# SPDX-License-Identifier: Apache-2.0
"""What a switch process is told at its start; `softswitch.settings` builds it from config.yaml.

Sections of config.yaml that are the switch's own are declared here: bounds in the metadata of a field, and what it
means in the text below it, from which docs/config.md is drawn (`softswitch.config.fields`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from billing_client.rules.callerid import WITHOUT_NUMBER
from billing_client.rules.dialling import NumberPlan
from billing_client.rules.numbering import Emergency

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from billing_client.rules.callerid import WithoutNumber
    from switch.sip.message.flow import Listen

__all__ = [
    "CallSettings",
    "CallerIdSettings",
    "CreditSettings",
    "FloodLimits",
    "FloodSettings",
    "MessageSettings",
    "RegistrationSettings",
    "RelaySettings",
    "RoutingSettings",
    "SessionTimerSettings",
    "SubscriptionSettings",
    "SwitchSettings",
    "TraceSettings",
]

A_DAY: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationSettings:
    """Limits of a registration (RFC 3261 section 10.3); all times in seconds."""

    min_expires: int = field(default=60, metadata={"least": 1, "most": A_DAY})
    """seconds; a shorter registration is answered 423"""
    default_expires: int = field(default=300, metadata={"least": 1, "most": A_DAY})
    """seconds, where the phone asks for none"""
    max_expires: int = field(default=3600, metadata={"least": 1, "most": A_DAY})
    """seconds; a longer registration is shortened"""
    max_contacts: int = field(default=5, metadata={"least": 1, "most": 100})
    """bindings of one AOR"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionSettings:
    """Limits of a subscription to a message lamp (RFC 6665 section 4.2.1.1); all times in seconds."""

    min_expires: int = field(default=60, metadata={"least": 1, "most": 3600})
    """seconds; a shorter subscription to a message lamp is answered 423"""
    default_expires: int = field(default=3600, metadata={"least": 1, "most": A_DAY})
    """seconds, where the phone asks for none"""
    max_expires: int = field(default=7200, metadata={"least": 1, "most": A_DAY})
    """seconds; a longer subscription is shortened"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTimerSettings:
    """Session timers (RFC 4028): the interval that we ask for and the least that we accept, in seconds."""

    expires: int = field(default=1800, metadata={"least": 90, "most": A_DAY})
    """seconds between session refreshes (RFC 4028)"""
    min_se: int = field(default=90, metadata={"least": 90, "most": A_DAY})
    """seconds; the shortest interval that we take"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FloodLimits:
    """More than `requests` from one address in `per_seconds` bans it for `ban_seconds`; 0 requests: no limit."""

    requests: int = field(default=16, metadata={"least": 0, "most": 1_000_000})
    """more requests from a stranger's address (of IPv6: network) in `per_seconds` are dropped, and over TCP ban it;
    UDP, where anybody can forge an address, bans nobody. Addresses with registered phones, and carriers, are heard
    a thousand times as much; 0: no limit"""
    per_seconds: float = field(default=2.0, metadata={"least": 0.1, "most": 3600})
    """the seconds in which requests are counted"""
    ban_seconds: float = field(default=300.0, metadata={"least": 0, "most": A_DAY})
    """how long a ban lasts, in seconds"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FloodSettings(FloodLimits):
    """Who is not heard: who sends too much, and scanners."""

    drop_user_agents: tuple[str, ...] = ("friendly-scanner", "sipvicious", "sipcli")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSettings:
    """How many messages (RFC 3428) one sender may send, and one account may get, in `per_seconds`."""

    from_one: int = field(default=30, metadata={"least": 1, "most": 100_000, "restart": True})
    """messages (SIP MESSAGE) that one account, or one number behind a carrier, may send in `per_seconds`; within a
    call: that a call carries. More get 480 with Retry-After"""
    to_one: int = field(default=60, metadata={"least": 1, "most": 100_000, "restart": True})
    """messages that one account gets in `per_seconds`"""
    per_seconds: float = field(default=60.0, metadata={"least": 1, "most": 3600, "restart": True})
    """the seconds in which messages are counted"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditSettings:
    """How calls lock funds; all in seconds (see docs/money.md)."""

    slice_seconds: int = field(default=30, metadata={"least": 5, "most": 3600})
    """a running call locks funds for so long at a time; while it rings for the first increment or ten seconds
    ([money.md](money.md#what-a-call-holds))"""
    warn_seconds: int = field(default=60, metadata={"least": 0, "most": 3600})
    """so long before the funds end the paying caller hears two beeps (PCMU or PCMA, through the relay), and again
    (`warn_again_seconds`); a top-up meanwhile makes the call go on. To know it in time, calls lock by so much more
    ahead once the account holds no more than that and a slice. 0: no warning"""
    warn_again_seconds: int = field(default=30, metadata={"least": 0, "most": 3600})
    """so long after a warning the next one; 0: there is one only"""
    disconnect_before_zero_seconds: int = field(default=0, metadata={"least": 0, "most": 3600})
    """ends the call so long before its funds end"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSettings:
    """What is kept of ended calls, so that they can be explained."""

    enabled: bool = True
    """keep the reasons of every decision"""
    ladder: bool = True
    """keep the SIP messages of both legs too; credentials, media keys and typed digits are masked before they are
    stored"""
    keep_days: int = field(default=7, metadata={"least": 1, "most": 3650})
    """older ones are removed"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSettings:
    """How calls run; all times in seconds."""

    ring_seconds: float = field(default=60, metadata={"least": 5, "most": 600})
    """how long an account's phones ring before the call counts as not answered"""
    early_media_seconds: float = field(default=60, metadata={"least": 5, "most": 600})
    """so long a caller hears the callee before the answer (announcements of carriers, own ringing tones), in all of
    a call; then who sounds is given up"""
    max_unpaid_call_seconds: float = field(default=14400, metadata={"least": 60, "most": A_DAY})
    """the longest call that nobody pays for, as between phones of ours; emergency calls are not ended"""
    drain_seconds: float = field(default=30, metadata={"least": 0, "most": A_DAY})
    """how long SIGTERM waits for running calls before it ends them; 0: not at all"""
    emergency_numbers: tuple[str, ...] = field(default=("112", "911"), metadata={"read": "telephone"})
    """always let through, with the caller's identity. A route whose prefix is one of them takes that number only"""
    emergency_mail: tuple[str, ...] = field(default=(), metadata={"read": "sender"})
    """whom an e-mail tells of each emergency call, at once ([numbers.md](numbers.md#emergency-calls)); it goes by
    `voicemail.email`"""
    emergency_services: Mapping[str, str] = field(default_factory=dict)
    """which of them a phone gets that dials a service by name (RFC 5031): `{police: "110"}` for
    `urn:service:sos.police`; others get the first"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerIdSettings:
    """Which number carriers see (see docs/identity.md)."""

    default_number: str = field(default="", metadata={"read": "public number"})
    """what carriers are shown for accounts without a public number of their own, unless the gateway has a
    `default_number`: your main number, 7 to 15 digits. An extension (`101`) never reaches a carrier"""
    without_number: WithoutNumber = field(default="anonymous", metadata={"one_of": WITHOUT_NUMBER})
    """what becomes of such a call where there is no default number either: it is made `anonymous`ly, or `refuse`d
    with 403. Emergency calls are never refused"""
    hide_codes: tuple[str, ...] = field(default=("#31#", "*67"), metadata={"read": "star code"})
    """dialled before a number, they withhold the caller's number for this one call"""
    show_codes: tuple[str, ...] = field(default=("*31#", "*82"), metadata={"read": "star code"})
    """dialled before a number, they show it for this one call, whatever the account or the phone says"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingSettings:
    """What becomes of a call that a carrier does not take (see docs/carriers.md)."""

    failover: tuple[int, ...] = field(
        default=(401, 407, 408, 500, 501, 502, 503, 504, 505, 513), metadata={"read": "failover status"}
    )
    """final answers of a carrier, as SIP statuses, after which the next one is asked; 3xx always. Those that are a word
    of the callee, or a block (486, 600, 603, 607, 608), never"""
    attempts: int = field(default=8, metadata={"least": 1, "most": 100})
    """addresses of carriers that one call is offered to, one after the other; then the last answer counts"""
    setup_seconds: int = field(default=40, metadata={"least": 5, "most": 300})
    """seconds since the call began after which no further carrier is asked"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Calls with applications at the same time."""

    per_account: int = 10
    per_number: int = 10
    """Of a calling number that a carrier brings."""
    per_address: int = 50
    """Of phones behind one address."""
    total: int = 500
    reserved: int = 50
    """Of `total`, for messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySettings:
    """RTP relays spoken to in rtpengine's ng protocol, as (host, port); none: phones exchange media directly."""

    addresses: tuple[tuple[str, int], ...] = ()
    secrets: Mapping[tuple[str, int], bytes] = field(default_factory=dict, repr=False)
    """Of the relays that take marked commands only: ours. rtpengine takes plain ones."""
    query_seconds: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchSettings(CallSettings):
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
    caller_id: CallerIdSettings = field(default_factory=CallerIdSettings)
    routing: RoutingSettings = field(default_factory=RoutingSettings)
    flood: FloodSettings = field(default_factory=FloodSettings)
    messages: MessageSettings = field(default_factory=MessageSettings)
    numbers: NumberPlan = field(default_factory=NumberPlan)
    """How phones dial, where neither their account nor its customer says it."""
    credit: CreditSettings = field(default_factory=CreditSettings)
    relay: RelaySettings = field(default_factory=RelaySettings)
    trace: TraceSettings = field(default_factory=TraceSettings)
    number_price: Decimal = Decimal("1.00")
    """The most that a minute, or the answer, of a call may cost whose payer is known by the calling number alone."""
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
