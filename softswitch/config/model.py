# SPDX-License-Identifier: Apache-2.0
"""The configuration as typed values: what config.yaml says, defaults filled in, every value checked.

Each key is a field, read by `softswitch.config.fields`; what it means stands in the text below it, from which
docs/config.md is drawn. Sections that one process uses as they are, are declared with its settings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from billing_client.rules.dialling import NumberPlan
from billing_client.vouchers.words import LONGEST_ID
from ivr.apps.voicemail.settings import VoicemailSettings
from ivr.settings import LoginSettings
from softswitch.config.values import Endpoint
from switch.settings import (
    A_DAY,
    CallerIdSettings,
    CallSettings,
    CreditSettings,
    FloodLimits,
    MessageSettings,
    RegistrationSettings,
    RoutingSettings,
    SessionTimerSettings,
    SubscriptionSettings,
    TraceSettings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ivr.apps.menu.settings import Menu
    from ivr.apps.selfcare.settings import CardSettings

__all__ = [
    "Configuration",
    "Demo",
    "Email",
    "Ivr",
    "Log",
    "Media",
    "MediaServer",
    "Metrics",
    "Portal",
    "Security",
    "Sip",
    "SmsSettings",
    "Store",
    "Tls",
    "Voicemail",
    "VoucherStoreSettings",
    "Vouchers",
]

LOOPBACK = "127.0.0.1"
CODECS = ("PCMU", "PCMA", "G722", "opus")
LEAST_ID_DIGITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The billing store."""

    dsn: str | None = field(default=None, repr=False, metadata={"read": "dsn", "restart": True, "shown": "`embedded`"})
    """`embedded`: a PostgreSQL 18 in `data_dir`, reached through a unix socket that only its user and root can use,
    started by `up`. Or any PostgreSQL ≥ 15:
    `postgresql://user:password@db1,db2/softswitch?target_session_attrs=read-write`"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Certificate and key files, for the transports tls and wss."""

    certificate: str | None = field(default=None, metadata={"read": "text"})
    """PEM file, kept for TLS that is still to come; `doctor` tells when it ends"""
    key: str | None = field(default=None, metadata={"read": "text"})
    """its private key, PEM"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sip(CallSettings):
    """The SIP side of the switch."""

    listen: tuple[Endpoint, ...] = field(
        default=(Endpoint("udp", "0.0.0.0", 5060), Endpoint("tcp", "0.0.0.0", 5060)),
        metadata={"read": "sip endpoint", "restart": True},
    )
    """`transport:address:port`; udp or tcp. An IPv6 address stands in brackets and the entry in quotes:
    `"udp:[::]:5060"`"""
    advertise: str | None = field(default=None, metadata={"read": "public address"})
    """the public address, when behind 1:1 NAT"""
    trusted_proxies: tuple[str, ...] = field(default=(), metadata={"read": "host"})
    """addresses and host names of proxies in front of us (Kamailio, OpenSIPS), such as `[10.0.0.5,
    edge.example.com]`: their Path and Record-Route are believed, each entry of them must be in this list. A
    REGISTER with Path from anybody else is refused with 403, and the log names the address that is missing here"""
    tls: Tls = field(default_factory=Tls)
    registration: RegistrationSettings = field(default_factory=RegistrationSettings)
    subscription: SubscriptionSettings = field(default_factory=SubscriptionSettings)
    session_timer: SessionTimerSettings = field(default_factory=SessionTimerSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """Protection against strangers."""

    flood: FloodLimits = field(default_factory=FloodLimits)
    drop_user_agents: tuple[str, ...] = ("friendly-scanner", "sipvicious", "sipcli")
    """requests of these are dropped without an answer"""
    md5_user_agents: tuple[str, ...] = field(default=("baresip",), metadata={"restart": True})
    """phones whose User-Agent begins so are challenged with MD5 alone: they give up when they see SHA-256 beside it"""
    login_attempts: LoginSettings = field(default_factory=LoginSettings)
    messages: MessageSettings = field(default_factory=MessageSettings)
    number_max_price: Decimal = field(default=Decimal("1.00"), metadata={"read": "money"})
    """the most that a minute, or the answer, of a call may cost whose payer is known by the calling number alone;
    dearer ones ask the PIN"""
    nonce_secret: str | None = field(default=None, repr=False, metadata={"read": "secret", "shown": "a file"})
    """signs digest nonces; at least 16 characters, the same on every node of one store. By default
    `data_dir/nonce.secret`, which the first start writes (readable by its owner only)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaServer:
    """The media server's SIP side."""

    listen: Endpoint = field(
        default=Endpoint("udp", LOOPBACK, 5080), metadata={"read": "udp endpoint", "restart": True}
    )
    """SIP address of the media server; INVITEs of the switch's addresses, with the mark of `media.secret`, only are
    taken"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """The media server and the RTP relay."""

    relay: tuple[Endpoint, ...] | None = field(default=None, metadata={"restart": True, "shown": "`builtin`"})
    """`builtin`; `off`: phones exchange media directly; or ng addresses: `[udp:10.0.0.5:2223]` of rtpengine, which
    takes plain commands; `[softswitch:10.0.0.6:2223]` of a relay of ours (`softswitch media`) on another machine,
    which wants `media.secret`"""
    control: Endpoint = field(
        default=Endpoint("udp", LOOPBACK, 2223), metadata={"read": "udp endpoint", "restart": True}
    )
    """where the builtin relay takes commands (rtpengine's ng protocol). Commands without the mark of `media.secret`
    change nothing"""
    secret: str | None = field(
        default=None, repr=False, metadata={"read": "secret", "restart": True, "shown": "a file"}
    )
    """what switch, media server and relays of ours mark their words to each other with (it never travels itself);
    at least 16 characters, the same on every machine that has a part of them, whose clocks may differ by less than
    a minute. By default `data_dir/media.secret`, which the first start writes (readable by its owner only), and
    which serves one machine"""
    listen: str = field(default="0.0.0.0", metadata={"read": "ipv4", "restart": True})
    """IPv4 address of the RTP ports"""
    advertise: str | None = field(default=None, metadata={"read": "public ipv4"})
    """public IPv4 address of the RTP ports, when behind 1:1 NAT"""
    listen_ipv6: str | None = field(default=None, metadata={"read": "ipv6", "restart": True})
    """IPv6 address of the RTP ports; without, phones that signal IPv6 media are refused"""
    advertise_ipv6: str | None = field(default=None, metadata={"read": "public ipv6"})
    """as `media.advertise`, for IPv6"""
    rtp_ports: tuple[int, int] = field(
        default=(20000, 29999), metadata={"read": "port range", "restart": True, "shown": "`20000-29999`"}
    )
    """a two-way call takes four"""
    timeout_seconds: int = field(default=60, metadata={"least": 5, "most": A_DAY})
    """an answered call without any packet for so long is ended (and one with packets, once its switch has not asked
    about it for two minutes)"""
    silent_timeout_seconds: int = field(default=3600, metadata={"least": 5, "most": A_DAY})
    """the same on hold"""
    server: MediaServer = field(default_factory=MediaServer)
    codecs: tuple[str, ...] = field(default=CODECS, metadata={"one_of": CODECS, "restart": True})
    """codecs of the media server, in order of preference; the relay passes any codec"""

    @property
    def is_builtin(self) -> bool:
        """Whether the relay is ours, on this machine."""
        return self.relay is None


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsSettings:
    """The gateway that short messages go to."""

    adapter: str = field(metadata={"restart": True, "shown": "none"})
    """the gateway of short messages ([ivr.md](ivr.md#receipts)): an entry point of the group `softswitch.sms_gateways`,
    or `package.module:factory`"""
    options: Mapping[str, str] = field(default_factory=dict, repr=False, metadata={"restart": True})
    """what the adapter is told"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ivr:
    """What callers talk to."""

    language: str = field(default="en", metadata={"read": "name"})
    """of the prompts, for callers and mailboxes that have none of their own: whoever calls hears the language of
    his account (announcements of refusals, star codes, menus, mailboxes of others), who is none of ours that of the
    account that he calls; who is asked to press a key for a forwarded call hears that of the account that
    forwards"""
    access_numbers: Mapping[str, str] = field(default_factory=lambda: {"*97": "voicemail", "*98": "voicemail"})
    """what callers dial, and the application that they reach: `voicemail` (any number of them, `"*97"` and
    `"*98"`), `recharge`, `balance`, `calling_card`, `callback`, `echo`, or `menu:NAME`; `{app: calling_card, ...}`
    with options: [ivr.md](ivr.md)"""
    cards: Mapping[str, CardSettings] = field(default_factory=dict, metadata={"key": None})
    """Options of access numbers."""
    feature_codes: tuple[str, ...] = field(
        default=(
            *("*70", "*72", "*73", "*78", "*79", "*90", "*91", "*92", "*93", "*94", "*95"),
            *("*21*", "#21#", "*61*", "#61#", "*62*", "#62#", "*67*", "#67#"),
        ),
        metadata={"read": "star code", "shown": "all of them"},
    )
    """star codes by which an account's phones switch how its calls are taken; what is dialled after one is its
    argument, and what is missing is asked for ([follow-me.md](follow-me.md)). Do not disturb `*78`/`*79`; forwards
    always `*72`/`*73`, when busy `*90`/`*91`, on no answer `*92`/`*93`, while no phone is registered `*94`/`*95`;
    the codes of mobile phones for the same, `*21*NUMBER#`/`#21#`, `*67*`, `*61*`, `*62*`; `*70` and a key: the
    answering mode"""
    announcements: bool = False
    """accounts' own phones hear why a call is refused (no funds, no such number, blocked, not registered), in early
    media and free of charge, before they get the failure"""
    menus: Mapping[str, Menu] = field(default_factory=dict)
    """auto attendants by name: keys `dial` a number, open a `menu` or start an `app`; opening hours, extensions,
    time-outs: [menus.md](menus.md)"""
    sms: SmsSettings | None = field(default=None, metadata={"restart": True})
    prompts_dir: Path | None = field(default=None, metadata={"read": "directory"})
    """a directory with a folder a language; a sound file there, of any format, goes before the prompt of its name:
    [prompts.md](prompts.md)"""
    max_calls: int = field(default=500, metadata={"least": 1, "most": 100_000})
    """calls that the media server takes at a time; further ones get 503"""
    deposit_reserve_percent: int = field(default=10, metadata={"least": 0, "most": 90})
    """of them, for messages only: whoever fills the rest keeps nobody from leaving one"""
    max_calls_per_account: int = field(default=10, metadata={"least": 1, "most": 100_000})
    """calls with applications at a time of one account; forwards and applications in between count for who began.
    The next one gets 486"""
    max_calls_per_number: int = field(default=10, metadata={"least": 1, "most": 100_000})
    """the same for a calling number that a carrier brings; those who withhold theirs share a quarter of
    `max_calls`"""
    max_calls_per_address: int = field(default=50, metadata={"least": 1, "most": 100_000})
    """the same for the phones behind one address"""
    max_unpaid_seconds: int = field(default=900, metadata={"least": 60, "most": A_DAY})
    """how long a call of an application lasts beside the time in which the caller talks to somebody; then it hears
    "goodbye". Mailboxes have an hour"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Email:
    """The e-mails that tell of messages and receipts."""

    sender: str | None = field(default=None, metadata={"key": "from", "read": "sender", "restart": True})
    """address that e-mails come from, such as `Voicemail <voicemail@example.com>`"""
    smtp: Endpoint | None = field(default=None, metadata={"read": "smtp server", "restart": True})
    """`host:port` of the server that takes them; without it none are sent"""
    user: str = field(default="", metadata={"restart": True})
    """user name for that server; none: no login"""
    password: str = field(default="", repr=False, metadata={"restart": True})
    """its password"""
    starttls: bool = field(default=False, metadata={"restart": True})
    """send over TLS only, and check the server's certificate"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voicemail(VoicemailSettings):
    """Mailboxes."""

    max_messages: int = field(default=100, metadata={"least": 1, "most": 10_000, "restart": True})
    """messages in all folders of a mailbox that sets no limit of its own"""
    max_from_one_caller: int = field(default=20, metadata={"least": 1, "most": 10_000, "restart": True})
    """of these, messages of one calling number; those who withhold theirs share as many"""
    max_messages_an_hour: int = field(default=30, metadata={"least": 1, "most": 10_000, "restart": True})
    """messages that one mailbox takes in an hour"""
    max_emails_an_hour: int = field(default=20, metadata={"least": 1, "most": 10_000, "restart": True})
    """e-mails of one mailbox; further messages are told of later"""
    purge_hours: int = field(default=24, metadata={"least": 1, "most": 8760, "restart": True})
    """how long a deleted message can be taken back before it is removed for good"""
    email: Email = field(default_factory=Email)


@dataclass(frozen=True, slots=True, kw_only=True)
class VoucherStoreSettings:
    """A store of vouchers outside, by its name."""

    name: str = field(metadata={"key": None})
    adapter: str = field(default="http", metadata={"read": "voucher adapter", "restart": True})
    """a store outside that is asked for codes that are not found, in the order of the file: `http`, an entry point
    of `softswitch.voucher_stores`, or `package.module:factory`"""
    url: str | None = field(default=None, metadata={"read": "url", "restart": True})
    """where it is asked; the adapter `http` needs it"""
    token: str = field(default="", repr=False, metadata={"restart": True})
    """the bearer token that is sent"""
    timeout_seconds: float = field(default=5.0, metadata={"least": 0.5, "most": 60, "restart": True})
    """bounds each request"""
    options: Mapping[str, str] = field(default_factory=dict, repr=False, metadata={"restart": True})
    """whatever else an adapter wants to be told"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouchers:
    """Vouchers: how they are made, and how they are redeemed."""

    encrypt: bool = True
    """new vouchers have a password, which is sealed in the store; their code is id and password;
    [vouchers.md](vouchers.md)"""
    password_length: int = field(default=8, metadata={"least": 4, "most": 20})
    """digits of that password, 4 to 20"""
    id_digits: int = field(default=11, metadata={"least": LEAST_ID_DIGITS, "most": LONGEST_ID, "restart": True})
    """digits of the id of new vouchers, 8 to 20, the check digit included"""
    allow_plain: bool = field(default=False, metadata={"restart": True})
    """vouchers without a password are redeemed too, although new ones have one"""
    keys_file: Path | None = field(
        default=None, metadata={"read": "file", "restart": True, "shown": "`voucher.keys` in `data_dir`"}
    )
    """keys of the passwords of vouchers, accounts and gateways, made when it is first needed; for its owner alone
    (mode 600), the same on every node. Without it no phone can register"""
    external: tuple[VoucherStoreSettings, ...] = field(default=(), metadata={"restart": True, "shown": "none"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """The back office."""

    listen: Endpoint = field(default=Endpoint("tcp", LOOPBACK, 8080), metadata={"read": "http endpoint"})
    """where it is served"""
    public_url: str = field(default="http://localhost:8080", metadata={"read": "url"})
    """how a browser reaches it"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Where /metrics and /health are served; None: nowhere."""

    switch: Endpoint | None = field(
        default=Endpoint("tcp", LOOPBACK, 9091), metadata={"read": "http endpoint", "restart": True}
    )
    """the switch's `/metrics` (Prometheus) and `/health`; `off`: not served"""
    ivr: Endpoint | None = field(
        default=Endpoint("tcp", LOOPBACK, 9092), metadata={"read": "http endpoint", "restart": True}
    )
    """the same of the media server: calls by application, messages that wait for the store"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What the processes write to standard error, and how."""

    level: str = field(default="info", metadata={"one_of": ("debug", "info", "warning", "error")})
    """`debug`, `info`, `warning`, `error`"""
    format: str = field(default="text", metadata={"one_of": ("text", "json")})
    """`text`: a line for people; `json`: an object a line with `at` (UTC), `level`, `process`, `message`,
    `call_id`, `account`"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """The demo tenant of the first start, and the sample carrier that takes its outside calls."""

    enabled: bool = field(default=False, metadata={"restart": True, "shown": "`false` (`true` in the shipped file)"})
    """the first start on an empty store loads the demo tenant; a sample carrier runs beside the switch"""
    carriers: tuple[Endpoint, ...] = field(
        default=(Endpoint("udp", LOOPBACK, 5070), Endpoint("udp", LOOPBACK, 5071)),
        metadata={"read": "udp endpoint", "restart": True},
    )
    """where the sample carrier listens, once for each gateway of the demo tenant"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """All of config.yaml."""

    file: Path = field(default=Path("config.yaml"), metadata={"key": None})
    lines: Mapping[str, int] = field(default_factory=dict, repr=False, compare=False, metadata={"key": None})
    """Line in the file of every value that stands there, by its path such as `sip.listen[0]`."""
    node: str = field(default="sw1", metadata={"read": "name", "restart": True})
    """unique name of this node among those on one store; letters, digits, `.`, `-`, `_`"""
    domains: tuple[str, ...] = field(default=("sip.example.com",), metadata={"read": "domain"})
    """hosts of the addresses of record (AORs) that we serve; the first is the digest realm. Our own IP addresses
    count as domains too, for phones that know nothing but the address"""
    data_dir: Path = field(default=Path("var"), metadata={"read": "file", "restart": True, "shown": "`./var`"})
    """the embedded PostgreSQL, its log, run files, the nonce secret, the switch's journal of finished calls that
    the store could not take yet; a relative path counts from the file"""
    store: Store = field(default_factory=Store)
    sip: Sip = field(default_factory=Sip)
    caller_id: CallerIdSettings = field(default_factory=CallerIdSettings)
    routing: RoutingSettings = field(default_factory=RoutingSettings)
    numbers: NumberPlan = field(default_factory=NumberPlan)
    security: Security = field(default_factory=Security)
    media: Media = field(default_factory=Media)
    credit: CreditSettings = field(default_factory=CreditSettings)
    trace: TraceSettings = field(default_factory=TraceSettings)
    metrics: Metrics = field(default_factory=Metrics)
    log: Log = field(default_factory=Log)
    demo: Demo = field(default_factory=Demo)
    voicemail: Voicemail = field(default_factory=Voicemail)
    vouchers: Vouchers = field(default_factory=Vouchers)
    ivr: Ivr = field(default_factory=Ivr)
    portal: Portal = field(default_factory=Portal)
