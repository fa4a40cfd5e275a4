# SPDX-License-Identifier: Apache-2.0
"""The words in which mailboxes are spoken of, and the door to them: what `ivr` asks of the store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from billing_client.vouchers.words import GuessSource

__all__ = [
    "Deposit",
    "DepositPace",
    "DepositResult",
    "Email",
    "Folder",
    "GreetingKind",
    "Mailbox",
    "Mailboxes",
    "Message",
    "MessageCounts",
    "PinVerdict",
    "Sound",
]

Folder = Literal["new", "old", "work", "family", "friends"]
"""Folders 0 to 4 of the `comedian` keys; `freeswitch` knows "new" and "old" (saved) only."""
GreetingKind = Literal["unavailable", "busy", "temporary", "name"]
DepositResult = Literal["stored", "full", "unknown"]


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound as it is stored: `format` is "wav", "ogg", "flac", "mp3" or "raw" (see `media.session.recording`)."""

    format: str
    data: bytes = field(repr=False)
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """A mailbox and its settings."""

    account_id: int
    number: str
    """The account's."""
    display: str
    language: str
    """Empty: the configured one."""
    timezone: str
    """IANA name."""
    has_pin: bool
    ask_pin: bool
    """Whether the PIN is asked from the account's own phone too."""
    greetings: frozenset[GreetingKind]
    """Which are recorded."""
    max_messages: int
    max_seconds: int
    operator: str
    """Number that 0 leads to during the greeting; empty: none."""
    new: int
    old: int
    """Messages in all other folders."""
    new_urgent: int
    old_urgent: int
    attach: str
    """"wav", "mp3", "opus", "none" (a notice without the sound), or "" where nothing is e-mailed."""
    delete_after_email: bool
    usable: str | None
    """None: in order; else why not, such as "account blocked"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message without its sound."""

    message_id: str
    """A UUID, chosen by who deposits it."""
    folder: Folder
    caller: str
    caller_name: str
    received_at: datetime
    seconds: float
    urgent: bool
    comment_of: str | None = None
    """The message that was forwarded with this one as its introduction; played after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """A new message."""

    message_id: str
    mailbox: str
    """Number of the account."""
    caller: str
    caller_name: str
    received_at: datetime
    sound: Sound
    urgent: bool = False
    forwarded: Sound | None = None
    """A message that this one introduces."""


@dataclass(frozen=True, slots=True)
class PinVerdict:
    """Whether a PIN was right."""

    verdict: Literal["right", "wrong", "locked", "none"]
    """Of these, "locked" says that too many were wrong, whoever tries; "none" that there is no such mailbox or that it
    has no PIN. Callers must not be able to tell "none" from "wrong"."""
    delay_seconds: int = 0
    """How late the answer shall be, because wrong PINs came before it."""


@dataclass(frozen=True, slots=True)
class MessageCounts:
    """What a message lamp shows (RFC 3842); urgent messages count in `new` and `old` too."""

    new: int
    old: int
    """In all other folders."""
    new_urgent: int
    old_urgent: int
    names: tuple[str, ...] = field(default=(), compare=False)
    """By which phones of the account may log in: its number and aliases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Email:
    """An e-mail that tells of a message, taken from the queue to be sent."""

    message_id: str
    attempts: int
    """How often it was taken, this time included."""
    queued_at: datetime
    recipients: tuple[str, ...]
    """Those that have not accepted it yet."""
    mailbox: str
    """Number of the account."""
    display: str
    language: str
    """Empty: the configured one."""
    timezone: str
    """IANA name."""
    attach: str
    """"wav", "mp3", "opus" or "none"."""
    caller: str
    caller_name: str
    received_at: datetime
    seconds: float
    urgent: bool
    sounds: tuple[Sound, ...]
    """The message's, then that of the message that it introduces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositPace:
    """How much callers may leave in one mailbox."""

    from_one_caller: int = 20
    """Messages of one calling number that may lie there; those who withhold theirs share as many."""
    messages_an_hour: int = 30
    """From all callers together."""
    emails_an_hour: int = 20
    """Further messages are told of later."""


class Mailboxes(Protocol):
    """All mailboxes. Each operation is one round trip, may be repeated, and raises StoreError."""

    async def mailbox(self, number: str) -> Mailbox | None:
        """The mailbox of an account, or of the account that an alias leads to; None: there is none."""

    async def check_pin(self, number: str, pin: str, source: GuessSource) -> PinVerdict:
        """Check a PIN; it is counted before it is looked at, across calls and nodes
        (`billing_client.vouchers.guessing`)."""

    async def set_pin(self, number: str, pin: str) -> None:
        """Change the PIN; that it is not weak is checked before (`weak_pin`)."""

    async def messages(self, number: str, folder: Folder) -> list[Message]:
        """Messages of a folder in the order of listening: urgent first, then oldest first; without deleted ones."""

    async def sound(self, message_id: str) -> Sound | None:
        """The sound of a message."""

    async def deposit(self, deposit: Deposit) -> DepositResult:
        """Store a message with its sound, once: repeated with the same id it changes nothing and says "stored"."""

    async def move(self, message_ids: Sequence[str], folder: Folder) -> None:
        """Put messages into a folder; the lamp follows."""

    async def delete(self, message_ids: Sequence[str]) -> None:
        """Delete messages; `undelete` brings them back until they are purged (`voicemail.purge_hours`)."""

    async def undelete(self, message_ids: Sequence[str]) -> None:
        """Take deleted messages back, into the folder where they were."""

    async def forward(
        self, message_id: str, to: str, sender: str, comment: Sound | None, copy_id: str
    ) -> DepositResult:
        """Copy a message into another mailbox, introduced by `comment`; `copy_id` is the new message's id."""

    async def email(self, message_id: str) -> bool:
        """Send a message to the e-mail addresses of its mailbox once more; false where it has none."""

    async def greeting(self, number: str, kind: GreetingKind) -> Sound | None:
        """A recorded greeting."""

    async def set_greeting(self, number: str, kind: GreetingKind, sound: Sound | None) -> None:
        """Record a greeting, or remove it."""
