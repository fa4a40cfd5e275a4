# SPDX-License-Identifier: Apache-2.0
"""The applications, and those of them that are offered to callers. What each is given: `softswitch/applications.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["MENU", "OFFERED", "Offer"]


@dataclass(frozen=True, slots=True)
class Offer:
    """What an access number or a key of a menu may lead to."""

    text: str = ""
    """What callers find there, for who looks for something to dial; empty: nothing that is shown."""
    has_options: bool = False
    """Whether its access number may have the options of `ivr.apps.selfcare.settings.CardSettings`."""
    is_one_stage: bool = False
    """Whether a destination may be dialled behind its access number (`one_stage`)."""


OFFERED: Final = {
    "voicemail": Offer("your mailbox"),
    "recharge": Offer("put a voucher on the account", has_options=True),
    "balance": Offer("what is left on the account", has_options=True),
    "calling_card": Offer("a calling card, by its PIN from any phone", has_options=True, is_one_stage=True),
    "callback": Offer(has_options=True),
    "echo": Offer("hear yourself"),
}
"""By the name that stands in the configuration."""
MENU: Final = Offer("a menu that you can write yourself (ivr.menus)")
"""`menu:NAME`, beside them, is an auto attendant."""
