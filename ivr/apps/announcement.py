# SPDX-License-Identifier: Apache-2.0
"""Tells a caller why the call fails, in early media: it is never answered, so it never costs anything."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from billing_client.rules.numbering import digits_of

if TYPE_CHECKING:
    from ivr.verbs import Ivr

__all__ = ["announcement"]

UNAVAILABLE: Final = 480
NORMAL: Final = 16
"""Q.850: normal call clearing."""
ID = re.compile(r"[a-z0-9-]+")


async def announcement(call: Ivr) -> None:
    """Plays `prompt` (ids of the catalogue, joined by commas), then ends the call with `status` and `cause` (Q.850)."""
    parameters = call.details.parameters
    prompts = [name for name in parameters.get("prompt", "").split(",") if ID.fullmatch(name)]
    await call.play(*prompts or ["ann-unavailable"])
    status = _number(parameters.get("status", ""), 400, 699) or UNAVAILABLE
    await call.hangup(status, _number(parameters.get("cause", ""), 1, 127) or NORMAL)


def _number(written: str, least: int, most: int) -> int | None:
    return int(written) if digits_of(written) and len(written) < 10 and least <= int(written) <= most else None
