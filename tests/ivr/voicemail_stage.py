# SPDX-License-Identifier: Apache-2.0
"""Voicemail with two owners and a stranger, for scripted callers.

101 (Alice) has a PIN, two new messages and an operator; 102 (Bob) has an empty mailbox without a PIN. The stranger is
42075553333.
"""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from billing_client.mailboxes.words import Deposit, Sound
from ivr.apps.voicemail.deposit import deposit
from ivr.apps.voicemail.owner.access import access
from ivr.apps.voicemail.settings import VoicemailSettings
from ivr.call.taking import wav
from ivr.scripted.scripted import ScriptedCaller
from ivr.scripted.scripted_leg import tone_samples
from tests.ivr.mailbox_memory import MemoryMailboxes, MemoryOutbox

if TYPE_CHECKING:
    from billing_client.mailboxes.words import GreetingKind
    from ivr.apps.voicemail.keymaps import KeyMapName
    from ivr.server.runner import Application

__all__ = ["BEGIN", "OPERATOR", "PIN", "STRANGER", "Stage", "tone"]

BEGIN = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
PIN = "4829"
STRANGER = "42075553333"
OPERATOR = "100"


def tone(seconds: float, hertz: int = 440) -> Sound:
    """A recording."""
    return Sound("wav", wav(tone_samples(hertz, seconds), 8000), seconds)


class Stage:
    """The mailboxes, and the two applications over them."""

    def __init__(self, keys: KeyMapName = "comedian", *, messages: int = 2, **settings: Any) -> None:
        self.mailboxes = MemoryMailboxes()
        self.mailboxes.add(
            "101",
            pin=PIN,
            aliases=["42027777100", "42073723123@pstn"],
            display="Alice",
            operator=OPERATOR,
            has_email=True,
        )
        self.mailboxes.add("102", display="Bob")
        self.outbox = MemoryOutbox(self.mailboxes)
        self._ids = itertools.count(1)
        for place in range(messages):
            self.give(place)
        common: dict[str, Any] = {
            "mailboxes": self.mailboxes,
            "outbox": self.outbox,
            "settings": VoicemailSettings(keys=keys, **settings),
            "now": lambda: BEGIN + timedelta(seconds=asyncio.get_running_loop().time()),
            "new_id": self.new_id,
        }
        self.deposit: Application = partial(deposit, **common)
        self.access: Application = partial(access, **common)

    def new_id(self) -> str:
        """Ids in a row."""
        return f"00000000-0000-4000-8000-{next(self._ids):012}"

    def give(self, place: int = 0, **changes: Any) -> str:
        """Put a message into a mailbox; its id."""
        made = self.message(place, **changes)
        asyncio.run(self.mailboxes.deposit(made))
        return made.message_id

    def message(self, place: int = 0, **changes: Any) -> Deposit:
        """A message for 101 from 102, ten seconds long."""
        fields: dict[str, Any] = {
            "message_id": self.new_id(),
            "mailbox": "101",
            "caller": "102",
            "caller_name": "Bob",
            "received_at": BEGIN - timedelta(hours=1) + timedelta(minutes=place),
            "sound": tone(10.0, 440 + 110 * place),
        }
        return Deposit(**fields | changes)

    def greet(self, kind: GreetingKind, number: str = "101", seconds: float = 4.0) -> Sound:
        """Record a greeting."""
        sound = tone(seconds)
        asyncio.run(self.mailboxes.set_greeting(number, kind, sound))
        return sound

    def stranger(self, *, target: str = "101", cause: int = 408, **details: Any) -> ScriptedCaller:
        """Somebody who does not reach the owner."""
        caller = ScriptedCaller(
            details.pop("caller", STRANGER), target=target, cause=cause, spool=self.outbox, **details
        )
        return caller.dials(target, app="voicemail")

    def owner(self, **details: Any) -> ScriptedCaller:
        """101 from its own phone."""
        fields: dict[str, Any] = {"caller": "101", "account": "101"}
        return ScriptedCaller(spool=self.outbox, **fields | details).dials("*98", app="voicemail-access")

    def folders(self, number: str = "101") -> list[str]:
        """Where the messages are, in the order in which they came."""
        return [one.folder for one in self.mailboxes.listed(number)]
