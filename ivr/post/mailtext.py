# SPDX-License-Identifier: Apache-2.0
"""The e-mail that tells of a message: what it says in each language, and the sound that goes with it. Pure."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ivr.post.mailheader import set_sender, set_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from billing_client.mailboxes.words import Email, Sound

__all__ = ["LANGUAGES", "compose", "encode", "zone"]

TYPES = {"wav": ("audio", "wav"), "mp3": ("audio", "mpeg"), "ogg": ("audio", "ogg"), "flac": ("audio", "flac")}
ENCODINGS = {"wav": ("WAV", "PCM_16"), "mp3": ("MP3", "MPEG_LAYER_III"), "opus": ("OGG", "OPUS")}
ENDINGS = {"opus": "ogg"}


@dataclass(frozen=True, slots=True)
class Words:
    """A language of e-mails."""

    subject: str
    urgent: str
    opening: str
    caller: str
    mailbox: str
    received: str
    length: str
    unknown_caller: str
    attached: str
    not_attached: str
    date: Callable[[datetime], str]


def _english_date(at: datetime) -> str:
    days = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    months = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
              "November", "December")  # fmt: skip
    return f"{days[at.weekday()]}, {at.day} {months[at.month - 1]} {at.year}, {at:%H:%M} {at.tzname()}"


def _czech_date(at: datetime) -> str:
    days = ("pondělí", "úterý", "středa", "čtvrtek", "pátek", "sobota", "neděle")
    months = ("ledna", "února", "března", "dubna", "května", "června", "července", "srpna", "září", "října",
              "listopadu", "prosince")  # fmt: skip
    return f"{days[at.weekday()]} {at.day}. {months[at.month - 1]} {at.year} v {at:%H:%M} {at.tzname()}"


LANGUAGES = {
    "en": Words(
        subject="Voice message from {caller} ({length})",
        urgent="Urgent",
        opening="There is a new voice message in your mailbox.",
        caller="From",
        mailbox="To",
        received="Received",
        length="Length",
        unknown_caller="unknown number",
        attached="The recording is attached.",
        not_attached="Call your mailbox to listen to it.",
        date=_english_date,
    ),
    "cs": Words(
        subject="Hlasová zpráva, volal(a) {caller} ({length})",
        urgent="Naléhavé",
        opening="Ve vaší hlasové schránce je nová zpráva.",
        caller="Volal(a)",
        mailbox="Schránka",
        received="Přijato",
        length="Délka",
        unknown_caller="neznámé číslo",
        attached="Nahrávka je v příloze.",
        not_attached="Poslechnete si ji zavoláním do schránky.",
        date=_czech_date,
    ),
}


def compose(email: Email, sender: str, language: str) -> EmailMessage:
    """The e-mail to all recipients; made again it is the same, Message-ID and Date included (so that a server, or a
    reader, that gets it twice can see so). `language` is that of mailboxes without one.

    The sound is encoded as the mailbox wants it, which takes a moment: not on an event loop.
    """
    words = _words(email.language, language)
    at = email.received_at.astimezone(zone(email.timezone))
    number = "" if email.caller in {"", "anonymous"} else _line(email.caller)
    caller = _named(_line(email.caller_name), number) or words.unknown_caller
    length = f"{round(email.seconds) // 60}:{round(email.seconds) % 60:02}"
    subject = words.subject.format(caller=caller, length=length)
    message = EmailMessage()
    set_sender(message, sender)
    message["To"] = ", ".join(email.recipients)
    set_text(message, "Subject", f"{words.urgent}: {subject}" if email.urgent else subject)
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<{email.message_id}@{parseaddr(sender)[1].rpartition('@')[2] or 'localhost'}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday notice answers
    if email.urgent:
        message["Importance"] = "high"  # RFC 2156 section 5.3.4
    facts = (
        (words.caller, caller),
        (words.mailbox, _named(_line(email.display), email.mailbox)),
        (words.received, words.date(at)),
        (words.length, length),
    )
    width = max(len(label) for label, _ in facts) + 2
    lines = [words.opening, "", *(f"{label + ':':<{width}}{value}" for label, value in facts)]
    lines += [words.urgent] if email.urgent else []
    message.set_content("\n".join([*lines, "", words.attached if email.sounds else words.not_attached, ""]))
    for index, sound in enumerate(email.sounds):
        data, ending = encode(sound, email.attach)
        maintype, subtype = TYPES.get(ending, ("application", "octet-stream"))
        name = f"{number or 'message'}-{at:%Y%m%d-%H%M}{f'-{index + 1}' if index else ''}.{ending}"
        message.add_attachment(data, maintype=maintype, subtype=subtype, filename=re.sub(r"[^\w.+-]", "_", name))
    return message


def encode(sound: Sound, attach: str) -> tuple[bytes, str]:
    """A sound as "wav", "mp3" or "opus", and the ending of its file's name; as it is stored where it cannot be read."""
    if attach == sound.format or attach not in ENCODINGS:
        return sound.data, sound.format
    import soundfile

    container, codec = ENCODINGS[attach]
    encoded = io.BytesIO()
    try:
        samples, rate = soundfile.read(io.BytesIO(sound.data), dtype="int16")
        soundfile.write(encoded, samples, rate, format=container, subtype=codec)
    except (soundfile.SoundFileError, RuntimeError, TypeError, ValueError):
        return sound.data, sound.format
    return encoded.getvalue(), ENDINGS.get(attach, attach)


def _words(*languages: str) -> Words:
    """Those of the first language that there is, "cs" for "cs-CZ" too."""
    for language in languages:
        for name in (language, language.partition("-")[0]):
            if name in LANGUAGES:
                return LANGUAGES[name]
    return LANGUAGES["en"]


def zone(name: str) -> ZoneInfo:
    """By its IANA name; UTC where there is no such."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


def _named(display: str, number: str) -> str:
    return f"{display} ({number})" if display and number else display or number


def _line(text: str) -> str:
    """Text from the wire as it can stand in a header."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
