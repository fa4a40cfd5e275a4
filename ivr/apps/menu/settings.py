# SPDX-License-Identifier: Apache-2.0
"""What an administrator writes of an auto attendant (`ivr.menus` of config.yaml)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ivr.apps.menu.hours import Hours

__all__ = ["Closed", "Menu", "Target"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a caller goes; at most one of the three is set. None of them: the call ends."""

    dial: str | None = None
    menu: str | None = None
    app: str | None = None
    mailbox: str | None = None
    """With app "voicemail": leave a message there, instead of listening to one's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """What callers get while nobody is there."""

    greeting: str | None = None
    """None: "aa-closed", on holidays "aa-holiday"."""
    then: Target = field(default_factory=Target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Menu:
    """An auto attendant."""

    greeting: str = "welcome"
    """A prompt, or a file by its absolute path."""
    language: str | None = None
    account: str | None = None
    """Number of the account that makes its calls, and pays for them; None: the caller's own."""
    keys: Mapping[str, Target] = field(default_factory=dict)
    extension_digits: int = 0
    """Callers may dial extensions of so many digits at any time; 0: they may not."""
    hours: Hours | None = None
    """None: always open."""
    closed: Closed = field(default_factory=Closed)
    seconds: float = 5.0
    """For a key, after the greeting."""
    tries: int = 3
    otherwise: Target = field(default_factory=Target)
    """After as many tries."""
