# SPDX-License-Identifier: Apache-2.0
"""Who guesses codes and PINs: what wrong ones are counted for, across calls and nodes (docs/vouchers.md)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from billing_client.rows import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing_client.vouchers import GuessSource

__all__ = ["LOGIN_ATTEMPT", "LOGIN_FAILED", "PIN_RIGHT", "SHARED", "Guesses", "counted", "tell_of_guessing"]

PIN_RIGHT: Final = "SELECT pin_right($1, $2, $3)"
LOGIN_ATTEMPT: Final = "SELECT hash, is_locked, delay FROM login_attempt($1, $2, $3, $4, $5)"
LOGIN_FAILED: Final = "SELECT delay, alarms FROM login_failed($1, $2, $3, $4, $5)"

SHARED: Final = {"prefix": 10, "access": 50, "all": 200}
"""How many times more failures than of one caller it takes where many callers share a count."""
LONGEST_SOURCE: Final = 64


log = logging.getLogger(__name__)


@dataclass(slots=True)
class Guesses:
    """What a process has seen since its start."""

    wrong: int = 0
    alarms: int = 0


def tell_of_guessing(alarms: Sequence[str]) -> None:
    """What the store says deserves an alarm, in the log."""
    for subject in alarms:
        log.warning("someone is guessing PINs", extra={"subject": subject})


def counted(source: GuessSource) -> tuple[list[str], list[int]]:
    """What a wrong PIN is counted for beside the caller and the account, and how much slower each of them grows."""
    access = text(source.access_number, LONGEST_SOURCE)
    return [f"pin access {access}", "pin all"], [SHARED["access"], SHARED["all"]]
