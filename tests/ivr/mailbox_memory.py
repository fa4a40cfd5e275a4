# SPDX-License-Identifier: Apache-2.0
"""Mailboxes in memory, and an outbox before them: what the store does, without a store.

tests/billing/voicemail/test_mailbox_contract.py holds both to the same behaviour.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from billing_client.mailboxes.words import Deposit, Mailbox, Message, PinVerdict, Sound
from billing_client.types import StoreError, StoreRefused, StoreUnavailable
from ivr.call.taking import wav

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from billing_client.mailboxes.words import DepositResult, Folder, GreetingKind
    from billing_client.vouchers.words import GuessSource
    from ivr.verbs import CallDetails

__all__ = ["MemoryMailboxes", "MemoryOutbox"]


@dataclass(slots=True)
class _Box:
    settings: Mailbox
    pin: str = ""
    failures: int = 0
    messages: dict[str, Message] = field(default_factory=dict)
    greetings: dict[GreetingKind, Sound] = field(default_factory=dict)
    has_email: bool = False


class MemoryMailboxes:
    """See `billing_client.mailboxes.words.Mailboxes`."""

    def __init__(self, *, lock_after: int = 9) -> None:
        self._boxes: dict[str, _Box] = {}
        self._aliases: dict[str, str] = {}
        self._sounds: dict[str, Sound] = {}
        self._deleted: set[str] = set()
        self._lock_after = lock_after
        self.emailed: list[str] = []
        self.asked: list[str] = []
        """Every operation, by name."""
        self.away: set[str] = set()
        """Operations for which the store is away; "*": all."""

    # the test's side ----------------------------------------------------------------------------------------------
    def add(
        self, number: str, *, pin: str = "", aliases: Sequence[str] = (), has_email: bool = False, **changes: Any
    ) -> None:
        """Make a mailbox."""
        settings = Mailbox(
            account_id=len(self._boxes) + 1, number=number, display="", language="", timezone="UTC", has_pin=bool(pin),
            ask_pin=False, greetings=frozenset(), max_messages=100, max_seconds=180, operator="", new=0, old=0,
            new_urgent=0, old_urgent=0, attach="wav" if has_email else "", delete_after_email=False, usable=None,
        )  # fmt: skip
        self._boxes[number] = _Box(replace(settings, **changes), pin, has_email=has_email)
        self._aliases.update(dict.fromkeys((number, *aliases), number))

    def pin(self, number: str) -> str:
        """The PIN of a mailbox."""
        return self._boxes[number].pin

    def greetings(self, number: str) -> set[str]:
        """Which greetings are recorded."""
        return set(self._boxes[number].greetings)

    def listed(self, number: str) -> list[Message]:
        """All messages that are not deleted, however they are filed."""
        return [one for one in self._boxes[number].messages.values() if one.message_id not in self._deleted]

    def heard(self, message_id: str) -> Sound:
        """The sound under an id."""
        return self._sounds[message_id]

    # the application's side ---------------------------------------------------------------------------------------
    def _box(self, operation: str, number: str) -> _Box | None:
        self._ask(operation)
        return self._boxes.get(self._aliases.get(number, ""))

    def _ask(self, operation: str) -> None:
        self.asked.append(operation)
        if self.away & {operation, "*"}:
            raise StoreUnavailable("the store is away")

    def _needed(self, operation: str, number: str) -> _Box:
        box = self._box(operation, number)
        if box is None:
            raise StoreRefused("no such mailbox")
        return box

    async def mailbox(self, number: str) -> Mailbox | None:
        """See Mailboxes."""
        box = self._box("mailbox", number)
        if box is None:
            return None
        there = self.listed(box.settings.number)
        new = [one for one in there if one.folder == "new"]
        old = [one for one in there if one.folder != "new"]
        return replace(
            box.settings,
            has_pin=bool(box.pin),
            greetings=frozenset(box.greetings),
            new=len(new),
            old=len(old),
            new_urgent=sum(one.urgent for one in new),
            old_urgent=sum(one.urgent for one in old),
        )

    async def check_pin(self, number: str, pin: str, source: GuessSource) -> PinVerdict:
        """See Mailboxes; sources are not counted here."""
        box = self._box("check_pin", number)
        if box is None or not box.pin:
            return PinVerdict("none")
        if box.failures >= self._lock_after:
            return PinVerdict("locked")
        box.failures = 0 if pin == box.pin else box.failures + 1
        return PinVerdict("right" if pin == box.pin else "wrong")

    async def set_pin(self, number: str, pin: str) -> None:
        """See Mailboxes."""
        self._needed("set_pin", number).pin = pin

    async def messages(self, number: str, folder: Folder) -> list[Message]:
        """See Mailboxes."""
        box = self._box("messages", number)
        there = self.listed(box.settings.number) if box else []
        found = [one for one in there if one.folder == folder]
        return sorted(found, key=lambda one: (not one.urgent, one.received_at))

    async def sound(self, message_id: str) -> Sound | None:
        """See Mailboxes."""
        self._ask("sound")
        return self._sounds.get(message_id)

    async def deposit(self, deposit: Deposit) -> DepositResult:
        """See Mailboxes."""
        box = self._box("deposit", deposit.mailbox)
        if box is None:
            return "unknown"
        if deposit.message_id in box.messages:
            return "stored"
        if len(self.listed(box.settings.number)) >= box.settings.max_messages:
            return "full"
        introduced = None
        if deposit.forwarded is not None:
            introduced = str(uuid.uuid4())
            self._sounds[introduced] = deposit.forwarded
        self._sounds[deposit.message_id] = deposit.sound
        box.messages[deposit.message_id] = Message(
            message_id=deposit.message_id,
            folder="new",
            caller=deposit.caller,
            caller_name=deposit.caller_name,
            received_at=deposit.received_at,
            seconds=deposit.sound.seconds,
            urgent=deposit.urgent,
            comment_of=introduced,
        )
        return "stored"

    def _having(self, message_id: str) -> _Box | None:
        return next((box for box in self._boxes.values() if message_id in box.messages), None)

    async def move(self, message_ids: Sequence[str], folder: Folder) -> None:
        """See Mailboxes."""
        self._ask("move")
        for message_id in message_ids:
            box = self._having(message_id)
            if box is not None:
                box.messages[message_id] = replace(box.messages[message_id], folder=folder)

    async def delete(self, message_ids: Sequence[str]) -> None:
        """See Mailboxes."""
        self._ask("delete")
        self._deleted |= set(message_ids)

    async def undelete(self, message_ids: Sequence[str]) -> None:
        """See Mailboxes."""
        self._ask("undelete")
        self._deleted -= set(message_ids)

    async def forward(
        self, message_id: str, to: str, sender: str, comment: Sound | None, copy_id: str
    ) -> DepositResult:
        """See Mailboxes."""
        self._ask("forward")
        box = self._having(message_id)
        if box is None:
            return "unknown"
        message, sound = box.messages[message_id], self._sounds[message_id]
        introduced = self._sounds.get(message.comment_of or "")
        return await self.deposit(
            Deposit(
                message_id=copy_id,
                mailbox=to,
                caller=sender if comment else message.caller,
                caller_name=self._boxes[self._aliases[sender]].settings.display if comment else message.caller_name,
                received_at=message.received_at,
                sound=comment or sound,
                urgent=message.urgent,
                forwarded=(introduced or sound) if comment else introduced,
            )
        )

    async def email(self, message_id: str) -> bool:
        """See Mailboxes."""
        self._ask("email")
        box = self._having(message_id)
        if box is None or not box.has_email:
            return False
        self.emailed.append(message_id)
        return True

    async def greeting(self, number: str, kind: GreetingKind) -> Sound | None:
        """See Mailboxes."""
        box = self._box("greeting", number)
        return box.greetings.get(kind) if box else None

    async def set_greeting(self, number: str, kind: GreetingKind, sound: Sound | None) -> None:
        """See Mailboxes."""
        box = self._needed("set_greeting", number)
        if sound is None:
            box.greetings.pop(kind, None)
        else:
            box.greetings[kind] = sound


class MemoryOutbox:
    """See `ivr.spool.outbox.Outbox`: recordings grow here, and what the store does not take waits here."""

    def __init__(self, mailboxes: MemoryMailboxes) -> None:
        self._mailboxes = mailboxes
        self.growing: dict[str, tuple[str, CallDetails, int, bytearray]] = {}
        """By message id: the mailbox, the call, samples a second, and what was recorded so far."""
        self.kept: dict[str, Deposit] = {}
        """Messages that wait for the store."""
        self.abandoned: list[str] = []

    # where recordings grow (`ivr.call.call.RecordingSpool`)
    def check(self, name: str) -> None:
        """Every name will do."""

    def begin(self, name: str, details: CallDetails, rate: int) -> Callable[[bytes], None]:
        """Open a recording."""
        message_id, _, mailbox = name.partition("@")
        samples = bytearray()
        self.growing[message_id] = (mailbox, details, rate, samples)
        return samples.extend

    def end(self, name: str, seconds: float | None = None) -> None:
        """All samples are there."""
        _, _, rate, samples = self.growing[name.partition("@")[0]]
        if seconds is not None:
            del samples[2 * round(seconds * rate) :]

    # what applications ask for
    async def deposit(self, deposit: Deposit) -> DepositResult:
        """See Outbox."""
        try:
            result = await self._mailboxes.deposit(deposit)
        except StoreError:
            self.kept[deposit.message_id] = deposit
            result = "stored"
        self.growing.pop(deposit.message_id, None)
        return result

    def discard(self, message_id: str) -> None:
        """See Outbox."""
        self.growing.pop(message_id.partition("@")[0], None)

    def abandon(self, name: str) -> None:
        """See Outbox."""
        message_id = name.partition("@")[0]
        if message_id in self.growing:
            self.abandoned.append(message_id)

    async def deliver(self) -> None:
        """The store is back, or the process has been started again."""
        for message_id, (mailbox, details, rate, samples) in list(self.growing.items()):
            if samples:
                self.kept[message_id] = self._rescued(message_id, mailbox, details, rate, bytes(samples))
            del self.growing[message_id]
        for message_id, deposit in list(self.kept.items()):
            assert await self._mailboxes.deposit(deposit) == "stored"
            del self.kept[message_id]

    def _rescued(self, message_id: str, mailbox: str, details: CallDetails, rate: int, samples: bytes) -> Deposit:
        return Deposit(
            message_id=message_id,
            mailbox=mailbox,
            caller=details.caller,
            caller_name=details.caller_name,
            received_at=datetime(2026, 11, 25, tzinfo=UTC),
            sound=Sound("wav", wav(samples, rate), len(samples) / (2 * rate)),
        )
