# SPDX-License-Identifier: Apache-2.0
"""Why a call ended or never began, as a header line says it (RFC 3326)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from switch.sip.grammar import quote, whole_number

if TYPE_CHECKING:
    from switch.sip.message import Message

__all__ = ["reason", "reason_cause"]


def reason(cause: int, text: str) -> tuple[str, str]:
    """A Reason header line with a Q.850 cause (RFC 3326)."""
    return ("Reason", f"Q.850;cause={cause};text={quote(text)}")


def reason_cause(message: Message) -> int | None:
    """The Q.850 cause that a message carries."""
    for value in message.values("Reason"):
        protocol, _, rest = value.partition(";")
        if protocol.strip().upper() == "Q.850":
            for item in rest.split(";"):
                name, _, number = item.partition("=")
                if name.strip().lower() == "cause":
                    return whole_number(number.strip(), 3)
    return None
