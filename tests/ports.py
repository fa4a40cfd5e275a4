# SPDX-License-Identifier: Apache-2.0
"""Ports of a test's own: tests run side by side, in several processes and several clones."""

from __future__ import annotations

from functools import cache
from typing import Final

from softswitch.processes.ports import free_port, reserve

__all__ = ["free_port", "media_ports"]

_LANES: Final = range(18_000, 32_000, 200)
"""Above what `free_port` gives, below what Linux gives to clients by itself."""


@cache
def media_ports(user: str) -> tuple[int, int]:
    """The first and the last of 200 ports that one user of this process has: who sends on to a port of a call that is
    over reaches nobody else's call."""
    first = next(first for first in _LANES if reserve(f"media/{first}"))
    return first, first + _LANES.step - 1
