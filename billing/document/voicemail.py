# SPDX-License-Identifier: Apache-2.0
"""The part of an account in a document that speaks of its mailbox.

    voicemail: {enabled: true, pin: "4829", ask_pin: false, max_messages: 50, operator: "100",
                email: [alice@example.com], attach: mp3, delete_after_email: false}

`voicemail: off` stands for `{enabled: false}`. An account of which nothing is said has a mailbox without a PIN.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from billing.reading.reader import Reader, shown
from billing_client.rules.pins import LONGEST_PIN, SHORTEST_PIN, weak_pin

__all__ = ["VoicemailSpec", "read_voicemail"]

ATTACHMENTS = ("wav", "mp3", "opus", "none")
ADDRESS = re.compile(r"[^\s@<>()\[\]\\,;:\"]+@[^\s@<>()\\,;\"]+")
LONGEST_ADDRESS = 254
MOST_ADDRESSES = 10
MOST_MESSAGES = 10_000
NUMBER = re.compile(r"[^\s@]{1,64}")


@dataclass(frozen=True, slots=True)
class VoicemailSpec:
    """What a document says of a mailbox; `pin` is None if it does not speak of it, and empty to take it away."""

    columns: dict[str, Any]
    pin: str | None


def read_voicemail(account: Reader, number: str) -> VoicemailSpec | None:
    """The field `voicemail` of an account; None if it is not there."""
    if not account.has("voicemail"):
        return None
    if account.is_flag("voicemail"):
        return VoicemailSpec({"enabled": account.flag("voicemail")}, None)
    fields = Reader(account.bare("voicemail"), account.where("voicemail"), account.problems)
    columns = fields.given(
        enabled=fields.flag("enabled") is not False,
        ask_pin=fields.flag("ask_pin") or False,
        max_messages=fields.integer("max_messages", least=1, most=MOST_MESSAGES),
        operator=_operator(fields),
        email=_addresses(fields),
        attach=fields.choice("attach", ATTACHMENTS) or "wav",
        delete_after_email=fields.flag("delete_after_email") or False,
    )
    pin = _pin(fields, number) if fields.has("pin") else None
    fields.end()
    return VoicemailSpec(columns, pin)


def _pin(fields: Reader, number: str) -> str:
    pin = fields.text("pin")
    if pin and weak_pin(pin, number):
        # What it is must not show.
        fields.problem(
            "pin",
            f"is too easy to guess, or not {SHORTEST_PIN} to {LONGEST_PIN} digits in quotes",
        )
    return pin


def _operator(fields: Reader) -> str:
    operator = fields.text("operator")
    if operator and not NUMBER.fullmatch(operator):
        fields.problem("operator", f"{operator!r} is not a number to dial")
    return operator


def _addresses(fields: Reader) -> list[str]:
    value = fields.bare("email")
    found = [value] if isinstance(value, str) else value or []
    if not isinstance(found, list) or len(found) > MOST_ADDRESSES:
        fields.problem("email", f"is not a list of up to {MOST_ADDRESSES} addresses")
        return []
    for address in found:
        if not (isinstance(address, str) and len(address) <= LONGEST_ADDRESS and ADDRESS.fullmatch(address)):
            fields.problem("email", f"{shown(address)} is not an e-mail address")
    return list(map(str, found))
