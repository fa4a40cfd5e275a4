# SPDX-License-Identifier: Apache-2.0
"""A message from the beep to the store: record, review, deposit. No way out of here loses what was recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from billing_client.mailboxes.words import Deposit, Sound
from ivr.apps.voicemail.keymaps import Action, State
from ivr.verbs import CallerHungUp, TooManyTries

if TYPE_CHECKING:
    from datetime import datetime

    from ivr.apps.voicemail.desk import Desk
    from ivr.verbs import Recording

__all__ = ["RECORD_TRIES", "Draft", "Outcome", "leave_message", "sound_of"]

RECORD_TRIES: Final = 3
"""So many times a recording may be too short."""

Outcome = Literal["stored", "full", "unknown", "nothing", "operator"]
"""What became of a message: "nothing" was said; "operator": stored if something was, and the operator is wanted."""


@dataclass(slots=True, kw_only=True)
class Draft:
    """A message that is being made. Each recording has an id of its own; the last good one is the message."""

    mailbox: str
    """Number of the account that it is for."""
    caller: str
    caller_name: str
    received_at: datetime
    forwarded: Sound | None = None
    """A message that this one introduces."""
    urgent: bool = False
    message_id: str = ""
    recording: Recording | None = None

    def deposit(self) -> Deposit:
        """As the store takes it."""
        assert self.recording is not None
        return Deposit(
            message_id=self.message_id,
            mailbox=self.mailbox,
            caller=self.caller,
            caller_name=self.caller_name,
            received_at=self.received_at,
            sound=sound_of(self.recording),
            urgent=self.urgent,
            forwarded=self.forwarded,
        )


async def leave_message(desk: Desk, draft: Draft, *, most_seconds: float, operator: bool) -> Outcome:
    """Let the caller record and review a message, and deposit it; `operator`: the key for it is offered.

    A hang-up at any moment deposits the last recording that is long enough, and raises CallerHungUp then. So does a
    caller who presses nothing, but without raising. What ends this otherwise (the process is stopped) leaves the
    recording to the outbox.
    """
    wants_operator = False
    try:
        try:
            wants_operator = await _compose(desk, draft, most_seconds, operator)
        except TooManyTries:
            pass
        except CallerHungUp:
            await _deposit(desk, draft)
            raise
        outcome = await _deposit(desk, draft)
    finally:
        if draft.message_id:
            desk.outbox.abandon(draft.message_id)
    return "operator" if wants_operator and outcome in ("stored", "nothing") else outcome


async def _compose(desk: Desk, draft: Draft, most_seconds: float, operator: bool) -> bool:
    """Record until the caller accepts, or has no more to say; true: and wants the operator."""
    too_short = 0
    while too_short < RECORD_TRIES:
        recording = await _record(desk, draft, most_seconds)
        if recording.ended_by == "hangup":
            raise CallerHungUp
        if recording.seconds < desk.settings.min_seconds:
            if operator and recording.key == "0":
                return True
            too_short += 1
            await desk.call.play("vm-too-short")
        if recording.ended_by != "key":
            return False
        if draft.recording is not None:
            action = await _review(desk, draft, operator)
            if action is not Action.RE_RECORD:
                return action is Action.OPERATOR
    return False


async def _record(desk: Desk, draft: Draft, most_seconds: float) -> Recording:
    """One recording; it becomes the message if it is long enough."""
    message_id = desk.new_id()
    recording = None
    try:
        recording = await desk.call.record(
            most_seconds=most_seconds,
            silence_seconds=desk.settings.silence_seconds,
            spool=f"{message_id}@{draft.mailbox}",
        )
    finally:
        if recording is None:  # hung up before the beep, or the process is being stopped
            desk.outbox.abandon(message_id)
    if recording.seconds < desk.settings.min_seconds:
        desk.outbox.discard(message_id)
        return recording
    if draft.message_id:
        desk.outbox.discard(draft.message_id)
    draft.message_id, draft.recording = message_id, recording
    return recording


async def _review(desk: Desk, draft: Draft, operator: bool) -> Action:
    """What the caller wants to do with the recording: ACCEPT, RE_RECORD or OPERATOR."""
    without = frozenset() if operator else frozenset({Action.OPERATOR})
    lead = ["vm-review"]
    while True:
        action = await desk.choose(State.REVIEW, *lead, without=without)
        lead = []
        assert draft.recording is not None
        if action is Action.HEAR_RECORDING:
            await desk.call.play(draft.recording.audio, interrupt="any")
        elif action is Action.URGENT:
            draft.urgent = not draft.urgent
            lead = ["vm-message-urgent" if draft.urgent else "vm-message-not-urgent"]
        elif action is Action.ACCEPT and State.URGENT in desk.keys.states:
            draft.urgent = await desk.choose(State.URGENT) is Action.URGENT
            return action
        else:
            return action


async def _deposit(desk: Desk, draft: Draft) -> Outcome:
    return "nothing" if draft.recording is None else await desk.outbox.deposit(draft.deposit())


def sound_of(recording: Recording) -> Sound:
    """A recording as the store keeps it."""
    return Sound(recording.audio.format, recording.audio.data, recording.seconds)
