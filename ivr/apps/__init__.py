# SPDX-License-Identifier: Apache-2.0
"""The applications."""

from __future__ import annotations

from typing import Final

__all__ = ["DIALLED"]

DIALLED: Final = ("voicemail", "recharge", "balance", "calling_card", "callback", "echo")
"""What an access number or a key of a menu may lead to; `menu:NAME` beside them is an auto attendant."""
