# SPDX-License-Identifier: Apache-2.0
"""Stories of callers as text."""

from __future__ import annotations

from functools import partial

import pytest

from examples.feedback import feedback
from ivr.scripted.scripted import StoryFailed
from ivr.scripted.scripted_text import StoryUnreadableError, read_story
from tests.ivr.test_example import Marks

STORY = """
caller 42075553333          ; who calls
answers 101 4 30            ; after 4 s, talks for 30 s
dials 800100200
hears feedback-welcome feedback-choose-mark
presses 0
talks to 101
is hung up on
"""


def test_a_story_of_text_runs_as_one_of_python_does() -> None:
    story = read_story(STORY).run(partial(feedback, store=Marks(), operator="101"))
    assert story.dialled[0].caller == "42075553333"
    assert story.seconds == pytest.approx(35.2)


def test_any_number_of_prompts_may_be_passed_over() -> None:
    marks = Marks()
    text = "dials 1\nhears ... feedback-choose-mark\npresses 3\nuntil beep\nsays 3 500\nhangs up\n"
    read_story(text).run(partial(feedback, store=marks, operator="101"))
    assert marks.kept["scripted-call"][0] == 3


def test_what_is_heard_otherwise_fails() -> None:
    with pytest.raises(StoryFailed, match="heard feedback-welcome"):
        read_story("hears vm-password\n").run(partial(feedback, store=Marks(), operator="101"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("dials 1\nsings loudly\n", 'line 2: "sings" is no step'),
        ("waits long\n", "line 1: long is no number"),
        ("presses\n", "line 1: presses takes 1 to 1 words"),
        ("hangs up\ncaller 1\n", "line 2: caller comes before the first step"),
        ("cause busy\nhangs up\n", "line 2: cause is a number"),
    ],
)
def test_a_line_that_makes_no_sense_is_named(text: str, why: str) -> None:
    with pytest.raises(StoryUnreadableError) as unreadable:
        read_story(text)
    assert why in str(unreadable.value)
