# SPDX-License-Identifier: Apache-2.0
"""The configuration as typed values: what config.yaml says, defaults filled in, every value checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from softswitch.config.values import Endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ivr.apps.menu.settings import Menu
    from ivr.apps.selfcare.settings import CardSettings

__all__ = [
    "Configuration",
    "Credit",
    "Demo",
    "Flood",
    "Ivr",
    "Log",
    "LoginAttempts",
    "Media",
    "Messages",
    "Metrics",
    "Portal",
    "Registration",
    "Security",
    "SessionTimer",
    "Sip",
    "SmsSettings",
    "Subscription",
    "Tls",
    "Trace",
    "Voicemail",
    "VoucherStoreSettings",
    "Vouchers",
]

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """Limits of registrations, in seconds (RFC 3261 section 10.3)."""

    min_expires: int = 60
    default_expires: int = 300
    max_expires: int = 3600
    max_contacts: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Limits of subscriptions to message lamps, in seconds (RFC 6665 section 4.2.1.1)."""

    min_expires: int = 60
    default_expires: int = 3600
    max_expires: int = 7200


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTimer:
    """Session timers, in seconds (RFC 4028)."""

    expires: int = 1800
    min_se: int = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Certificate and key files, for the transports tls and wss."""

    certificate: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sip:
    """The SIP side of the switch."""

    listen: tuple[Endpoint, ...] = (Endpoint("udp", "0.0.0.0", 5060), Endpoint("tcp", "0.0.0.0", 5060))
    advertise: str | None = None
    tls: Tls = field(default_factory=Tls)
    trusted_proxies: tuple[str, ...] = ()
    registration: Registration = field(default_factory=Registration)
    subscription: Subscription = field(default_factory=Subscription)
    session_timer: SessionTimer = field(default_factory=SessionTimer)
    ring_seconds: int = 60
    early_media_seconds: int = 60
    max_unpaid_call_seconds: int = 14400
    drain_seconds: int = 30
    emergency_numbers: tuple[str, ...] = ("112", "911")
    emergency_services: Mapping[str, str] = field(default_factory=dict)
    """Numbers by service of RFC 5031 (`police`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """More than `requests` in `per_seconds` from one address bans it for `ban_seconds`."""

    requests: int = 16
    per_seconds: float = 2.0
    ban_seconds: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """Messages that one sender may send, and one account may get, in `per_seconds`."""

    from_one: int = 30
    to_one: int = 60
    per_seconds: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginAttempts:
    """Attempts at a PIN: in one call, and until the account's lock."""

    per_call: int = 3
    lock_after: int = 9
    lock_seconds: int = 900
    slow_after: int = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """Protection against strangers."""

    flood: Flood = field(default_factory=Flood)
    drop_user_agents: tuple[str, ...] = ("friendly-scanner", "sipvicious", "sipcli")
    md5_user_agents: tuple[str, ...] = ("baresip",)
    login_attempts: LoginAttempts = field(default_factory=LoginAttempts)
    messages: Messages = field(default_factory=Messages)
    number_max_price: Decimal = Decimal("1.00")
    """The most that a minute, or the answer, of a call may cost whose payer is known by the calling number alone."""
    nonce_secret: str | None = field(default=None, repr=False)
    """Signs digest nonces; None: a file in data_dir that the first start writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """The media server and the RTP relay."""

    server: Endpoint = Endpoint("udp", LOOPBACK, 5080)
    """Where the media server takes the calls that the switch sends it."""
    builtin_relay: bool = True
    relays: tuple[Endpoint, ...] = ()
    """ng addresses of other relays; used when the builtin one is not. Transport "udp": rtpengine, which takes plain
    commands; "softswitch": a relay of ours, which wants them marked."""
    control: Endpoint = Endpoint("udp", LOOPBACK, 2223)
    """Where the builtin relay takes ng commands."""
    secret: str | None = field(default=None, repr=False)
    """Marks what switch, media server and relays of ours tell each other; None: a file in data_dir that the first start
    writes, which serves one machine."""
    listen: str = "0.0.0.0"
    advertise: str | None = None
    listen_ipv6: str | None = None
    advertise_ipv6: str | None = None
    rtp_ports: tuple[int, int] = (20000, 29999)
    timeout_seconds: int = 60
    silent_timeout_seconds: int = 3600
    codecs: tuple[str, ...] = ("PCMU", "PCMA", "G722", "opus")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsSettings:
    """The gateway that short messages go to."""

    adapter: str
    """An entry point of the group `softswitch.sms_gateways`, or `package.module:factory`."""
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    """For the adapter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ivr:
    """What callers talk to."""

    language: str = "en"
    access_numbers: Mapping[str, str] = field(default_factory=lambda: {"*97": "voicemail", "*98": "voicemail"})
    """What callers dial: an application, or "menu:NAME" for an auto attendant. "NUMBER%": one-stage dialling, what is
    dialled after the number goes to the application."""
    cards: Mapping[str, CardSettings] = field(default_factory=dict)
    """Options of access numbers."""
    feature_codes: tuple[str, ...] = (
        *("*70", "*72", "*73", "*78", "*79", "*90", "*91", "*92", "*93", "*94", "*95"),
        *("*21*", "#21#", "*61*", "#61#", "*62*", "#62#", "*67*", "#67#"),
    )
    """Star codes by which callers change how their account answers."""
    announcements: bool = False
    """Phones of ours hear why a call is refused, before it is."""
    menus: Mapping[str, Menu] = field(default_factory=dict)
    max_calls: int = 500
    """Calls that the media server takes at a time."""
    deposit_reserve_percent: int = 10
    """Of them, for messages only."""
    max_calls_per_account: int = 10
    """That are with applications at a time; counted for who began them."""
    max_calls_per_number: int = 10
    """The same for a calling number that a carrier brings."""
    max_calls_per_address: int = 50
    """The same for phones behind one address."""
    max_unpaid_seconds: int = 900
    """How long a call of an application lasts beside the time in which the caller talks to somebody."""
    sms: SmsSettings | None = None
    """None: no short messages are sent."""
    prompts_dir: Path | None = None
    """Recordings of the administrator that go before the prompts that came along: a folder a language."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voicemail:
    """Mailboxes."""

    keys: str = "comedian"
    """Key map: comedian or freeswitch."""
    max_messages: int = 100
    max_from_one_caller: int = 20
    """Messages of one calling number in a mailbox."""
    max_messages_an_hour: int = 30
    max_emails_an_hour: int = 20
    """Of one mailbox; what comes above that is told of later."""
    max_seconds: int = 180
    min_seconds: float = 3.0
    silence_seconds: float = 10.0
    greeting_seconds: int = 60
    skip_seconds: float = 3.0
    force_pin: bool = False
    """Ask an owner who has no PIN for one."""
    force_name: bool = False
    """Ask an owner whose name is not recorded for it."""
    purge_hours: int = 24
    """How long a deleted message can be taken back."""
    email_from: str | None = None
    smtp: Endpoint | None = None
    """None: nobody is told of messages by e-mail."""
    email_user: str = ""
    email_password: str = field(default="", repr=False)
    email_starttls: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VoucherStoreSettings:
    """A store of vouchers outside, by its name."""

    name: str
    adapter: str = "http"
    """`http`, the name of an entry point of `softswitch.voucher_stores`, or `package.module:factory`."""
    url: str | None = None
    token: str = field(default="", repr=False)
    timeout_seconds: float = 5.0
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Whatever else an adapter wants to be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouchers:
    """Vouchers: how they are made, and how they are redeemed."""

    encrypt: bool = True
    """New vouchers have a password, which is sealed in the store."""
    password_length: int = 8
    id_digits: int = 11
    allow_plain: bool = False
    """Vouchers without a password are redeemed too, although new ones have one."""
    keys_file: Path | None = None
    """None: `voucher.keys` in data_dir."""
    external: tuple[VoucherStoreSettings, ...] = ()
    """Stores outside, in the order in which they are asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """How running calls lock funds, in seconds."""

    slice_seconds: int = 30
    warn_seconds: int = 60
    warn_again_seconds: int = 30
    disconnect_before_zero_seconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What is kept of ended calls, so that `softswitch trace` can explain them."""

    enabled: bool = True
    ladder: bool = True
    """The SIP messages too, not only the reasons."""
    keep_days: int = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """The back office."""

    listen: Endpoint = Endpoint("tcp", LOOPBACK, 8080)
    public_url: str = "http://localhost:8080"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Where /metrics and /health are served; None: nowhere."""

    switch: Endpoint | None = Endpoint("tcp", LOOPBACK, 9091)
    ivr: Endpoint | None = Endpoint("tcp", LOOPBACK, 9092)


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What the processes write to standard error, and how."""

    level: str = "info"
    format: str = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """The demo tenant of the first start, and the sample carrier that takes its outside calls."""

    enabled: bool = False
    carriers: tuple[Endpoint, ...] = (Endpoint("udp", LOOPBACK, 5070), Endpoint("udp", LOOPBACK, 5071))


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """All of config.yaml."""

    file: Path
    lines: Mapping[str, int] = field(default_factory=dict, repr=False, compare=False)
    """Line in the file of every value that stands there, by its path such as `sip.listen[0]`."""
    node: str
    domains: tuple[str, ...]
    data_dir: Path
    store_dsn: str | None = field(default=None, repr=False)
    """None: the embedded PostgreSQL in `data_dir`."""
    sip: Sip = field(default_factory=Sip)
    security: Security = field(default_factory=Security)
    media: Media = field(default_factory=Media)
    ivr: Ivr = field(default_factory=Ivr)
    voicemail: Voicemail = field(default_factory=Voicemail)
    vouchers: Vouchers = field(default_factory=Vouchers)
    credit: Credit = field(default_factory=Credit)
    trace: Trace = field(default_factory=Trace)
    portal: Portal = field(default_factory=Portal)
    metrics: Metrics = field(default_factory=Metrics)
    log: Log = field(default_factory=Log)
    demo: Demo = field(default_factory=Demo)
