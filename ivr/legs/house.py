# SPDX-License-Identifier: Apache-2.0
"""What legs need of the media server that they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ivr.say.sound import SoundSource
    from media.session.engine import MediaEngine
    from switch.sip.element.core import Core
    from switch.sip.mark import Marks

__all__ = ["House", "SwitchSettings"]


class SwitchSettings(Protocol):
    """What calls of applications need to know of the switch; part of the process's settings."""

    @property
    def switch(self) -> tuple[str, int]:
        """Host and port of its first UDP listener."""

    @property
    def domain(self) -> str:
        """Of the addresses of accounts."""


@dataclass(slots=True)
class House:
    """One media server."""

    core: Core
    engine: MediaEngine
    sounds: SoundSource
    settings: SwitchSettings
    marks: Marks
    """By which the switch and we know each other."""
