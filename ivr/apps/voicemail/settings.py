# SPDX-License-Identifier: Apache-2.0
"""What an administrator decides about voicemail; the program fills it from `voicemail` in its configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ivr.apps.voicemail.keymaps import KeyMapName

__all__ = ["VoicemailSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VoicemailSettings:
    """The defaults are those that users of Asterisk's Comedian Mail are used to."""

    keys: KeyMapName = field(default="comedian", metadata={"one_of": ("comedian", "freeswitch")})
    """key map: `comedian` (Asterisk's) or `freeswitch`; [voicemail.md](voicemail.md#keys)"""
    max_seconds: int = field(default=180, metadata={"least": 5, "most": 3600, "restart": True})
    """longest message"""
    min_seconds: float = field(default=3.0, metadata={"least": 1, "most": 60})
    """a shorter message is none"""
    silence_seconds: float = field(default=10.0, metadata={"least": 1, "most": 60})
    """so much silence ends a recording"""
    greeting_seconds: int = field(default=60, metadata={"least": 5, "most": 600})
    """longest greeting, and longest name"""
    skip_seconds: float = field(default=3.0, metadata={"least": 1, "most": 60})
    """how far rewind and fast-forward go"""
    force_pin: bool = False
    """ask an owner without a PIN for one"""
    force_name: bool = False
    """ask an owner without a recorded name for it"""
    max_logins: int = field(default=3, metadata={"key": None})
    """Tries of mailbox and PIN in one call."""
