# SPDX-License-Identifier: Apache-2.0
"""Why a call ended or never began, as a message says it (RFC 3326): the one reader and the one writer of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from switch.sip.message.errors import ParseError
from switch.sip.message.grammar import is_token, parse_params, quote, split_list, whole_number

if TYPE_CHECKING:
    from switch.sip.message.message import Message

__all__ = ["is_readable_reason", "reason", "reason_cause"]

_MOST: Final = 127
"""A cause of Q.850 has seven bits."""


def reason(cause: int, text: str = "") -> tuple[str, str]:
    """A Reason header line with a Q.850 cause."""
    said = f";text={quote(text)}" if text else ""
    return "Reason", f"Q.850;cause={cause}{said}"


def reason_cause(message: Message) -> int | None:
    """The Q.850 cause that a message carries; None without one that can be read. Raises nothing."""
    for line in message.all("Reason"):
        for protocol, params in _reasons(line):
            if protocol == "Q.850":
                cause = whole_number(params.get("cause") or "", 3)
                return cause if cause is not None and 1 <= cause <= _MOST else None
    return None


def is_readable_reason(line: str) -> bool:
    """Whether a Reason line says what others can read: it may go on to the other party."""
    found = _reasons(line)
    causes = [params["cause"] for _, params in found if "cause" in params]
    return bool(found) and all(whole_number(cause or "", 3) is not None for cause in causes)


def _reasons(line: str) -> list[tuple[str, dict[str, str | None]]]:
    """Protocol and parameters of each value; none of a line that is malformed."""
    found = []
    try:
        for value in split_list(line):
            protocol, semicolon, rest = value.partition(";")
            if not is_token(protocol.strip()):
                return []
            found.append((protocol.strip().upper(), parse_params(semicolon + rest)))
    except ParseError:
        return []
    return found
