# SPDX-License-Identifier: Apache-2.0
"""A line for feedback: the caller chooses a mark, says why, and may talk to somebody by 0.

An application is one coroutine. What it needs of the world comes in as arguments after the call; it knows no SIP, no
sound and no store. When the caller hangs up, the verb that waits raises CallerHungUp and the application just ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ivr.verbs import Audio, Ivr

MARKS = {"1": 1, "2": 2, "3": 3, "4": 4, "5": 5}
OPERATOR = "0"


class Feedback(Protocol):
    """Where marks go."""

    async def store(self, key: str, mark: int, comment: Audio | None) -> None:
        """Keep a mark; repeated with the same key it changes nothing."""


async def feedback(call: Ivr, *, store: Feedback, operator: str) -> None:
    """Ask for a mark from 1 to 5 and a comment."""
    await call.answer()
    await call.play("feedback-welcome", interrupt="any")  # a key pressed here is the answer to the question
    choice = await call.menu(["feedback-choose-mark"], {**MARKS, OPERATOR: 0}, tries=3)
    if choice == 0:
        account = call.details.account or call.details.target or ""
        result = await call.dial(operator, account=account, caller=call.details.caller, hangup_key="**")
        if result.answered:
            return
        await call.play("feedback-nobody-there")
        choice = await call.menu(["feedback-choose-mark"], MARKS)
    await call.play("feedback-say-why")
    recording = await call.record(most_seconds=60, silence_seconds=4)
    # One write after the last question. It is done also where the caller hung up while it spoke.
    await store.store(call.details.call_id, choice, recording.audio if recording.seconds >= 1 else None)
    await call.play("feedback-thanks")
