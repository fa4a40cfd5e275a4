# SPDX-License-Identifier: Apache-2.0
"""Which calls the phones of an account have made, and which of them they hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from switch.calls.view import CallState

if TYPE_CHECKING:
    from switch.calls.view import CallView

__all__ = ["Talks", "is_hold", "resumed"]

_HELD: Final = re.compile(rb"^a=(?:sendonly|inactive)\b|^c=IN IP4 0\.0\.0\.0\b", re.MULTILINE)
_DIRECTION: Final = re.compile(rb"^a=(?:sendonly|recvonly|inactive|sendrecv)\r?\n", re.MULTILINE)


def is_hold(sdp: bytes) -> bool:
    """Whether a description puts the other side on hold (RFC 3264 section 8.4)."""
    return _HELD.search(sdp) is not None


def resumed(sdp: bytes) -> bytes:
    """A description that holds nobody."""
    return _DIRECTION.sub(b"", sdp)


class Talks:
    """The calls that run, by the account whose phone made them."""

    def __init__(self) -> None:
        self._calls: dict[int, list[CallView]] = {}

    def begins(self, call: CallView, account_id: int) -> None:
        """A phone of that account calls."""
        self._calls.setdefault(account_id, []).append(call)

    def over(self, call: CallView) -> None:
        """A call has ended; harmless for one that no account began."""
        account_id = None if call.account is None else call.account.account_id
        calls = self._calls.get(account_id, []) if account_id is not None else []
        if call in calls:
            calls.remove(call)
            if not calls and account_id is not None:
                del self._calls[account_id]

    def held_by(self, account_id: int) -> str | None:
        """The id of a call that a phone of the account holds: a consultation beside it is no call more."""
        return next((call.call_id for call in self._calls.get(account_id, ()) if _is_held(call)), None)


def _is_held(call: CallView) -> bool:
    """Whether its caller holds it. Most callers have never held anybody: each call of a telephone system with hundreds
    of them is looked at when another one begins, so only descriptions that came within the call are read."""
    if call.state is not CallState.ANSWERED:
        return False
    bridge = call.bridge
    for session in call.invite.sessions:
        said = bridge.said_since(session)
        if said is not None and bridge.peer(session) is not None and is_hold(said):
            return True
    return False
