# SPDX-License-Identifier: Apache-2.0
"""Why a call ended or never began, as a header line says it (RFC 3326)."""

from __future__ import annotations

from switch.sip.message.grammar import quote
from switch.sip.message.reason import reason_cause

__all__ = ["reason", "reason_cause"]


def reason(cause: int, text: str) -> tuple[str, str]:
    """A Reason header line with a Q.850 cause (RFC 3326)."""
    return ("Reason", f"Q.850;cause={cause};text={quote(text)}")
