# SPDX-License-Identifier: Apache-2.0
"""What voicemail says of counts, callers and times, in a language. Pure."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ivr.say import grammar

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from billing_client.mailboxes.words import Mailbox, Message
    from ivr.verbs import Audio, Playable, Spoken

__all__ = ["counts", "envelope", "messages", "telephone"]


def counts(mailbox: Mailbox, language: str) -> list[Playable]:
    """You have so many new and so many old messages."""
    say = grammar(language)
    said: list[Playable] = ["vm-you-have", say.messages(mailbox.new, "new"), "and", say.messages(mailbox.old, "old")]
    if mailbox.new_urgent:
        said += ["vm-you-have", say.messages(mailbox.new_urgent, "urgent")]
    if mailbox.new + mailbox.old >= mailbox.max_messages:
        said.append("vm-mailbox-full-owner")
    if "temporary" in mailbox.greetings:
        said.append("vm-temporary-in-force")
    return said


def messages(count: int, language: str) -> Spoken:
    """So many messages."""
    return grammar(language).messages(count)


def telephone(number: str, language: str) -> Spoken:
    """A telephone number."""
    return grammar(language).telephone(number)


def envelope(
    message: Message, *, place: int, name: Audio | None, now: datetime, timezone: str, language: str, full: bool
) -> list[Playable]:
    """Which message it is, when it came and from whom; `full`: how long it is, too.

    `name`: how the caller says its own name, instead of its number.
    """
    say = grammar(language)
    zone = _zone(timezone)
    said: list[Playable] = ["vm-urgent"] if message.urgent else []
    said += ["vm-message", say.number(place)]
    said += ["vm-received", say.moment(message.received_at.astimezone(zone), now.astimezone(zone))]
    if name is not None:
        said += ["vm-from", name]
    elif message.caller in ("", "anonymous"):
        said.append("vm-from-unknown")
    else:
        said += ["vm-from", say.telephone(message.caller)]
    if full:
        said += ["vm-duration", say.duration(message.seconds)]
    return said


def _zone(name: str) -> tzinfo:
    """A name that is none is UTC: a message is heard all the same."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC
