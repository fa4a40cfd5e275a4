# SPDX-License-Identifier: Apache-2.0
"""What most tests begin with: two phones in a call, and who hears whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from softswitch.phone import Call, Phone
    from tests.e2e.conftest import Phones

__all__ = ["assert_both_hear", "connect"]

CALLER_HERTZ, CALLEE_HERTZ = 440, 880


def connect(
    phones: Phones, between: tuple[Phone, Phone] | None = None, *, late_offer: bool = False, **settings: Any
) -> tuple[Call, Call]:
    """A call, answered, between two phones (of new subscribers): the caller's and the callee's side of it."""
    alice, bob = between or (phones.registered(**settings), phones.registered(**settings))
    call = alice.call(bob.settings.number, late_offer=late_offer)
    incoming = bob.incoming()
    call.wait_ringing()
    incoming.answer()
    call.wait_answered()
    incoming.wait_answered()
    return call, incoming


def assert_both_hear(call: Call, incoming: Call) -> None:
    """Each side hears the other's tone, and nothing else."""
    call.play(CALLER_HERTZ)
    incoming.play(CALLEE_HERTZ)
    for side, hertz in ((incoming, CALLER_HERTZ), (call, CALLEE_HERTZ)):
        heard = side.hears(hertz)
        assert heard, f"{side.phone} hears {side.recording and side.recording.latest()} instead of {hertz} Hz"
