# SPDX-License-Identifier: Apache-2.0
"""Whither an account may send its calls on, by transfer or because its phone answers "moved". Pure."""

from __future__ import annotations

from typing import Final, Literal, get_args

__all__ = ["TRANSFERS", "Transfers", "may_send_on"]

Transfers = Literal["outside", "inside", "nowhere"]
"""Anywhere that it may call; to accounts and applications; not at all."""
TRANSFERS: Final[tuple[str, ...]] = get_args(Transfers)


def may_send_on(transfers: Transfers, *, inside: bool) -> bool:
    """Whether an account may send a call on to somebody who is `inside`, or not."""
    return transfers == "outside" or (transfers == "inside" and inside)
