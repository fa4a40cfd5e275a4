# SPDX-License-Identifier: Apache-2.0
"""A call that costs nobody anything ends, however many keys are pressed. Case L23; on the virtual clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ivr.scripted.scripted import ScriptedCaller
from ivr.settings import MAILBOX_SECONDS, IvrSettings

if TYPE_CHECKING:
    from ivr.verbs import Ivr


async def idle(call: Ivr) -> None:
    """Goes on for as long as somebody presses keys."""
    await call.answer()
    while True:
        await call.collect(1, first_seconds=20.0)


async def friend(call: Ivr) -> None:
    """Connects the caller, and idles afterwards."""
    await call.dial("101", account="300", caller="300", hangup_key="**")
    await idle(call)


def test_a_caller_who_keeps_an_application_awake_hears_goodbye_after_fifteen_minutes() -> None:
    script = ScriptedCaller().dials("100", app="menu")
    for _ in range(80):
        script = script.waits(10).presses("5")
    story = script.is_hung_up_on().run(idle)
    assert story.ended_by == "application"
    assert story.heard[-1] == "goodbye"
    assert story.seconds == pytest.approx(900, abs=15)


def test_the_time_in_which_the_caller_talks_does_not_count() -> None:
    script = ScriptedCaller().dials("100", app="calling_card").answers_dial("101", after=5, talks=4000)
    story = script.waits(4800).is_hung_up_on().run(friend)
    assert story.ended_by == "application"
    assert story.seconds == pytest.approx(4900, abs=15)


def test_an_unanswered_call_and_one_that_only_rings_end_too() -> None:
    async def ringing(call: Ivr) -> None:
        while True:
            await call.dial("101", account="300", caller="300", ring_seconds=50)

    script = ScriptedCaller(unpaid_seconds=60).dials("100", app="menu")
    for _ in range(4):
        script = script.answers_dial("101", after=1000)
    story = script.is_hung_up_on().run(ringing)
    assert story.ended_by == "application"
    assert not story.answered
    assert story.seconds == pytest.approx(60, abs=5)


def test_a_recording_is_kept_when_the_time_is_over_while_it_grows() -> None:
    kept: list[str] = []

    async def app(call: Ivr) -> None:
        await call.answer()
        recording = await call.record(most_seconds=600, silence_seconds=600)
        kept.append(recording.ended_by)

    ScriptedCaller(unpaid_seconds=60).dials("100", app="menu").waits(300).run(app)
    assert kept == ["hangup"]


def test_mailboxes_have_longer() -> None:
    settings = IvrSettings()
    assert settings.unpaid_seconds("menu") == settings.unpaid_seconds("calling_card") == 900
    assert settings.unpaid_seconds("voicemail") == settings.unpaid_seconds("voicemail-access") == MAILBOX_SECONDS
