# SPDX-License-Identifier: Apache-2.0
"""The example of docs/writing-an-ivr-app.md, as its document tests it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from examples.feedback import feedback
from ivr.scripted.scripted import ScriptedCaller

if TYPE_CHECKING:
    from ivr.verbs import Audio


class Marks:
    """A store of marks."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[int, Audio | None]] = {}

    async def store(self, key: str, mark: int, comment: Audio | None) -> None:
        """Once for each key."""
        self.kept.setdefault(key, (mark, comment))


def test_a_mark_and_what_the_caller_says_about_it_are_kept() -> None:
    marks = Marks()
    call = ScriptedCaller(caller="42075553333")
    call.dials("800100200").hears("feedback-welcome", "feedback-choose-mark").presses("4")
    call.hears("feedback-say-why", "beep").says(seconds=5).hears("feedback-thanks").is_hung_up_on()
    call.run(partial(feedback, store=marks, operator="101"))
    mark, comment = marks.kept["scripted-call"]
    assert mark == 4
    assert comment is not None


def test_an_impatient_caller_presses_before_the_question() -> None:
    marks = Marks()
    call = ScriptedCaller().dials("800100200")
    call.hears("feedback-welcome").presses("5").hears("feedback-say-why").hangs_up()
    call.run(partial(feedback, store=marks, operator="101"))
    assert marks.kept == {}


def test_a_caller_who_hangs_up_while_speaking_is_heard_all_the_same() -> None:
    marks = Marks()
    call = ScriptedCaller().dials("800100200")
    call.until("feedback-choose-mark").presses("1").until("beep").says(seconds=3).hangs_up()
    call.run(partial(feedback, store=marks, operator="101"))
    assert marks.kept["scripted-call"][0] == 1


def test_the_operator_is_one_key_away() -> None:
    call = ScriptedCaller(caller="42075553333", account="42027777100").dials("800100200")
    call.answers_dial("101", after=4, talks=30)
    call.until("feedback-choose-mark").presses("0").talks_to("101").is_hung_up_on()
    story = call.run(partial(feedback, store=Marks(), operator="101"))
    assert story.dialled[0].account == "42027777100"
    assert 35 <= story.seconds <= 36


def test_where_the_operator_does_not_answer_the_question_comes_again() -> None:
    call = ScriptedCaller().dials("800100200").fails_dial("101", status=486)
    call.until("feedback-choose-mark").presses("0")
    call.hears("feedback-nobody-there", "feedback-choose-mark").presses("2").hears("feedback-say-why")
    call.run(partial(feedback, store=Marks(), operator="101"))


def test_the_example_stays_short() -> None:
    assert len((Path(__file__).parents[2] / "examples/feedback.py").read_text().splitlines()) <= 60
