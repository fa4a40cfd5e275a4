# SPDX-License-Identifier: Apache-2.0
"""Where a call stands."""

from __future__ import annotations

from enum import Enum

__all__ = ["CallState"]


class CallState(Enum):
    """Where a call stands."""

    SETUP = "setup"
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"
