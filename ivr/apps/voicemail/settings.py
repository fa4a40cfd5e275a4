# SPDX-License-Identifier: Apache-2.0
"""What an administrator decides about voicemail; the program fills it from `voicemail` in its configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ivr.apps.voicemail.keymaps import KeyMapName

__all__ = ["VoicemailSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VoicemailSettings:
    """The defaults are those that users of Asterisk's Comedian Mail are used to."""

    keys: KeyMapName = "comedian"
    """Which key map callers find."""
    max_seconds: int = 180
    """Longest message where the mailbox does not say (the store is away)."""
    min_seconds: float = 3.0
    """A shorter message is none."""
    silence_seconds: float = 10.0
    """So much silence ends a recording."""
    skip_seconds: float = 3.0
    """How far rewind and forward go."""
    greeting_seconds: int = 60
    """Longest greeting, and longest name."""
    max_logins: int = 3
    """Tries of mailbox and PIN in one call."""
    force_pin: bool = False
    """Whether an owner without a PIN is asked to choose one."""
    force_name: bool = False
    """Whether an owner without a recorded name is asked to say it."""
