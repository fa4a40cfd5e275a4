# SPDX-License-Identifier: Apache-2.0
"""What a media server process is told at its start; `softswitch.settings` builds it from config.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from billing_client.mailboxes.words import DepositPace
from billing_client.vouchers.words import VoucherSettings
from ivr.apps.voicemail.settings import VoicemailSettings
from media.settings import EngineSettings
from switch.access.occupancy import DEPOSIT
from switch.settings import Limits
from switch.sip.message.flow import Listen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ivr.apps.menu.settings import Menu
    from ivr.apps.selfcare.settings import CardSettings
    from ivr.post.handover import MailSettings
    from ivr.post.texting import SmsGateway

__all__ = ["IvrSettings", "LoginSettings"]

MAILBOX_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginSettings:
    """Attempts at a PIN: in one call, and until the account is locked for `lock_seconds`."""

    per_call: int = field(default=3, metadata={"least": 1, "most": 20})
    """attempts at a PIN in one call"""
    lock_after: int = field(default=9, metadata={"least": 1, "most": 1000, "restart": True})
    """wrong PINs or codes in a row that lock who is certain to guess (an account, a phone, a number that is vouched
    for), or a mailbox by the way that they came; counted before they are looked at, across calls and nodes"""
    lock_seconds: int = field(default=900, metadata={"least": 1, "most": 86_400, "restart": True})
    """how long the first lock lasts; each further one in a row is twice as long, up to a day"""
    slow_after: int = field(default=18, metadata={"least": 1, "most": 100_000, "restart": True})
    """wrong PINs of an hour, from callers whom nobody vouches for, after which an access number takes one PIN a
    second; after twice as many one in two, up to one in fifteen. Raise it with thousands of cards on one number"""


@dataclass(frozen=True, slots=True, kw_only=True)
class IvrSettings:
    """One media server process."""

    node: str = "sw1"
    listen: Listen = field(default_factory=lambda: Listen("udp", "127.0.0.1", 5080))
    """Where INVITEs of the switch are taken."""
    switch: tuple[str, int] = ("127.0.0.1", 5060)
    """Where calls of applications go to: the switch's first UDP listener."""
    peers: tuple[str, ...] = ("127.0.0.1",)
    """Addresses that INVITEs are taken from; all others get 403, and so do INVITEs without a mark."""
    secret: bytes = field(default=b"", repr=False)
    """Marks the INVITEs between the switch and us in both directions (`switch.sip.mark`)."""
    domain: str = "sip.example.com"
    store_dsn: str = field(default="", repr=False)
    data_dir: Path = Path("var")
    """Recordings are in its folder `recordings`."""
    language: str = "en"
    limits: Limits = field(default_factory=Limits)
    """How many calls there are at a time, and for whom."""
    max_unpaid_seconds: float = 900.0
    """How long a call lasts beside the time in which its caller talks to somebody."""
    drain_seconds: float = 30.0
    """How long running calls may go on when the process is asked to end."""
    session_expires: int = 1800
    session_min_se: int = 90
    media: EngineSettings = field(default_factory=EngineSettings)
    http: Listen | None = None
    """Where /metrics and /health are served."""
    menus: Mapping[str, Menu] = field(default_factory=dict)
    """Auto attendants by name."""
    cards: Mapping[str, CardSettings] = field(default_factory=dict)
    """How the access numbers of calling cards, recharge, balance and call-back behave."""
    prompts_dir: Path | None = None
    """The administrator's recordings, which go before the prompts that came along."""
    voicemail: VoicemailSettings = field(default_factory=VoicemailSettings)
    mail: MailSettings | None = None
    """How e-mails are sent; None: they wait."""
    open_sms: Callable[[], SmsGateway] | None = field(default=None, repr=False, compare=False)
    """Makes the gateway that short messages go to; None: there is none."""
    purge_hours: float = 24.0
    """How long deleted messages can be taken back."""
    max_messages: int = 100
    """Of a mailbox that sets no limit of its own."""
    pace: DepositPace = field(default_factory=DepositPace)
    """How much callers may leave in one mailbox."""
    logins: LoginSettings = field(default_factory=LoginSettings)
    vouchers: VoucherSettings = field(default_factory=VoucherSettings)

    def unpaid_seconds(self, application: str) -> float:
        """How long a call of an application may last: mailboxes get as long as all that they hold takes to hear."""
        if application not in (DEPOSIT, f"{DEPOSIT}-access"):
            return self.max_unpaid_seconds
        return max(MAILBOX_SECONDS, self.max_unpaid_seconds, self.voicemail.max_seconds + self.max_unpaid_seconds)

    @property
    def recordings(self) -> Path:
        """Where recordings grow."""
        return self.data_dir / "recordings"
