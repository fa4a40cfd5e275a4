# SPDX-License-Identifier: Apache-2.0
"""The answer to a REFER within a call, and what its sender is told of the course of things (RFC 3515, 4488)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from switch.sip.message.reason import reason_phrase
from switch.sip.message.refer import REFER_EVENT

if TYPE_CHECKING:
    from switch.calls.leg import Legs
    from switch.sip.session import Requested, Session

__all__ = ["Referral"]

_LASTS_SECONDS: Final = 300
"""How long a subscription lasts that nobody renews; what is referred to has an end by then."""


class Referral:
    """One REFER: its sender is told 100, 180 and the like as they come, and the final status once."""

    __slots__ = ("_event", "_is_told", "_last", "_legs", "ends_call", "is_final", "session")

    def __init__(self, legs: Legs, asked: Requested, *, is_told: bool, is_first: bool) -> None:
        """`is_told`: its sender wants to hear. `is_first`: no other REFER came in this dialog, so that the subscription
        needs no name."""
        self._legs = legs
        self.session: Session = asked.session
        self._event = REFER_EVENT if is_first else f"{REFER_EVENT};id={asked.request.cseq}"
        self._is_told = is_told
        self._last = 0
        self.is_final = False
        self.ends_call = False
        """Its sender has no part in the call any more: hung up on as soon as the last word has reached him."""
        headers = () if is_told else (("Refer-Sub", "false"),)
        legs.respond(asked.session, asked.transaction, 202, headers=headers)
        self.tell(100)

    def tell(self, status: int, text: str = "") -> None:
        """How it stands; said once, and nothing after a final status."""
        if self.is_final or status == self._last:
            return
        self._last, self.is_final = status, status >= 200
        if self._is_told:
            state = "terminated;reason=noresource" if self.is_final else f"active;expires={_LASTS_SECONDS}"
            fragment = f"SIP/2.0 {status} {text or reason_phrase(status)}\r\n"
            self._legs.notify(self.session, self._event, state, fragment, self)
        elif self.is_final:
            self.heard()

    def heard(self) -> None:
        """A NOTIFY was answered, or will never be."""
        if self.is_final and self.ends_call:
            self._legs.hang_up(self.session)
