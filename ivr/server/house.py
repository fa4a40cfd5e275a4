# SPDX-License-Identifier: Apache-2.0
"""What the legs of a media server need of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ivr.say.sound import SoundSource
    from ivr.settings import IvrSettings
    from media.session.engine import MediaEngine
    from switch.sip.element.core import Core
    from switch.sip.mark import Marks

__all__ = ["House"]


@dataclass(slots=True)
class House:
    """One media server."""

    core: Core
    engine: MediaEngine
    sounds: SoundSource
    settings: IvrSettings
    marks: Marks
    """By which the switch and we know each other."""
