# SPDX-License-Identifier: Apache-2.0
"""The mailboxes of a document: what of them differs, and the hashes of PINs."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from billing.document.change import Change
from billing_client.rules.pins import hash_pin, is_pin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing.voicemail.models import Mailbox

__all__ = ["change_mailbox", "hashed_pins"]

SET: Final = "********"
NOT_SET: Final = "none"


def hashed_pins(wanted: Mapping[str, tuple[str, str]]) -> dict[str, str | None]:
    """Of each name's PIN and the hash that it has: a new hash, or None where the PIN is right already.

    A hash takes 20 ms, so they are made by several threads.
    """
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return dict(zip(wanted, threads.map(_rehashed, wanted.values()), strict=True))


def _rehashed(asked: tuple[str, str]) -> str | None:
    pin, hashed = asked
    if is_pin(pin, hashed) if pin and hashed else pin == hashed:
        return None
    return hash_pin(pin) if pin else ""


def change_mailbox(mailbox: Mailbox, number: str, columns: Mapping[str, Any], pin: str | None) -> list[Change]:
    """Bring a mailbox to what was said, without saving it; what changed. `pin`: its new hash; None: as it is."""
    changed = {field: value for field, value in columns.items() if getattr(mailbox, field) != value}
    changes = [Change("mailbox", number, field, getattr(mailbox, field), value) for field, value in changed.items()]
    for field, value in changed.items():
        setattr(mailbox, field, value)
    if pin is not None:
        changes.append(Change("mailbox", number, "pin", SET if mailbox.pin else NOT_SET, SET if pin else NOT_SET))
        mailbox.pin = pin
    return changes
