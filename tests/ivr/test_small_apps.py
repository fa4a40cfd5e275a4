# SPDX-License-Identifier: Apache-2.0
"""Announcements, echo, follow-me confirmation and star codes, told as the stories of calls."""

from __future__ import annotations

from functools import partial

import pytest

from billing_client.answering import AnsweringChange
from billing_client.types import StoreError
from ivr.apps.announcement import announcement
from ivr.apps.confirm import ConfirmSettings, confirm
from ivr.apps.echo import echo
from ivr.apps.feature import CODES, feature, feature_of
from ivr.say import grammar
from ivr.scripted.scripted import RECORDING, ScriptedCallee, ScriptedCaller, Story

OWNER, MOBILE, STRANGER = "42027777100", "42073723123", "42075553333"
SAID = grammar("en").telephone(STRANGER)


# announcements ------------------------------------------------------------------------------------------------------
def test_a_failure_is_announced_in_early_media_and_ends_with_its_status() -> None:
    parameters = {"prompt": "ann-not-in-service", "status": "404", "cause": "1"}
    script = ScriptedCaller(parameters=parameters).hears("ann-not-in-service").is_hung_up_on(404)
    assert not script.run(announcement).answered


def test_what_is_no_prompt_or_status_is_not_taken_from_the_address() -> None:
    parameters = {"prompt": "/etc/passwd", "status": "200"}
    ScriptedCaller(parameters=parameters).hears("ann-unavailable").is_hung_up_on(480).run(announcement)


# echo ---------------------------------------------------------------------------------------------------------------
def test_pound_during_the_introduction_of_the_echo_test_ends_it() -> None:
    ScriptedCaller().dials("*43").hears("echo-intro").presses("#").hears("echo-done", "goodbye").run(echo)


def test_an_echo_repeats_what_is_said_until_pound() -> None:
    story = (
        ScriptedCaller()
        .hears("echo-intro")
        .listens()
        .says(2)
        .hears(RECORDING)
        .listens()
        .says(1)
        .presses("#")
        .hears("echo-done", "goodbye")
        .run(echo)
    )
    assert story.answered
    assert len(story.recordings) == 1


# follow-me confirmation ---------------------------------------------------------------------------------------------
def forwarded(callee: ScriptedCallee, **parameters: str) -> ScriptedCaller:
    script = ScriptedCaller(STRANGER, account=OWNER, target=MOBILE, parameters=parameters)
    return script.dials(OWNER, app="confirm").answers_dial(MOBILE, script=callee)


def asked(options: str = "followme-options") -> ScriptedCallee:
    return ScriptedCallee().hears("followme-call-from", SAID, options)


def test_the_callers_leg_is_answered_only_when_one_was_pressed() -> None:
    callee = asked().presses("1").hears("followme-accepted")
    story = forwarded(callee, seconds="25").is_not_answered().talks_to(MOBILE).is_answered().hangs_up().run(confirm)
    [request] = story.dialled
    assert (request.account, request.caller, request.diverted) == (OWNER, STRANGER, True)


def test_two_declines_on_this_leg_or_on_the_whole_call() -> None:
    callee = asked().presses("2").hears("followme-declined").is_hung_up_on()
    assert not forwarded(callee).is_hung_up_on(480).run(confirm).answered
    callee = asked().presses("2").is_hung_up_on()
    forwarded(callee, declined="603").is_hung_up_on(603).run(confirm)
    callee = asked().presses("2").is_hung_up_on()
    forwarded(callee).is_hung_up_on(603).run(partial(confirm, settings=ConfirmSettings(declined_status=603)))


def test_a_foreign_voicemail_that_answers_never_gets_the_call() -> None:
    callee = asked().hears("followme-call-from", SAID, "followme-options").is_hung_up_on()
    story = forwarded(callee).is_hung_up_on(480).run(confirm)
    assert not story.answered
    assert story.seconds < 60


def test_other_keys_are_not_taken_and_the_question_comes_twice() -> None:
    callee = asked().presses("7").hears("followme-call-from", SAID, "followme-options").presses("1")
    assert forwarded(callee).talks_to(MOBILE).run(confirm).answered


def test_three_sends_to_voicemail_where_that_is_offered() -> None:
    callee = asked("followme-options-voicemail").presses("3").is_hung_up_on()
    script = forwarded(callee).is_hung_up_on(302)
    assert not script.run(partial(confirm, settings=ConfirmSettings(voicemail_status=302))).answered


def test_a_caller_who_hangs_up_while_the_key_is_awaited_ends_the_forwarded_leg() -> None:
    callee = ScriptedCallee().hears("followme-call-from").is_hung_up_on()
    forwarded(callee).waits(5).hangs_up().run(confirm)


def test_a_leg_that_fails_or_is_not_answered_fails_as_it_did() -> None:
    script = ScriptedCaller(STRANGER, account=OWNER, target=MOBILE, parameters={"seconds": "5"})
    script.fails_dial(MOBILE, 486).is_hung_up_on(486).run(confirm)
    script = ScriptedCaller(STRANGER, account=OWNER, target=MOBILE, parameters={"seconds": "5"})
    assert script.never_answers_dial(MOBILE).is_hung_up_on(408).run(confirm).seconds < 7


def test_nothing_is_dialled_for_nobody_or_to_nowhere() -> None:
    assert ScriptedCaller(STRANGER, target=MOBILE).is_hung_up_on(403).run(confirm).dialled == []
    assert ScriptedCaller(STRANGER, account=OWNER).is_hung_up_on(404).run(confirm).dialled == []


# star codes ---------------------------------------------------------------------------------------------------------
class Answering:
    """Remembers what was changed."""

    def __init__(self, *, knows: bool = True, is_away: bool = False) -> None:
        self.changes: list[tuple[str, AnsweringChange]] = []
        self.knows, self.is_away = knows, is_away

    async def set_answering(self, number: str, change: AnsweringChange) -> bool:
        if self.is_away:
            raise StoreError("away")
        self.changes.append((number, change))
        return self.knows


def code(dialled: str, account: str | None = OWNER) -> ScriptedCaller:
    found = feature_of(dialled)
    assert found is not None
    parameters = {"code": found[0], **({"argument": found[1]} if found[1] else {})}
    return ScriptedCaller(OWNER, account=account, parameters=parameters).dials(dialled, app="feature")


def story_of(script: ScriptedCaller, answering: Answering) -> Story:
    return script.run(partial(feature, answering=answering))


@pytest.mark.parametrize(
    ("dialled", "trigger", "prompt"),
    [
        ("*72", "always", "forward-always"),
        ("*90", "busy", "forward-busy"),
        ("*92", "no_answer", "forward-noanswer"),
        ("*94", "unregistered", "forward-unregistered"),
        ("*21*", "always", "forward-always"),
        ("*67*", "busy", "forward-busy"),
        ("*61*", "no_answer", "forward-noanswer"),
        ("*62*", "unregistered", "forward-unregistered"),
    ],
)
def test_a_forward_is_switched_on_with_its_number_and_off(dialled: str, trigger: str, prompt: str) -> None:
    answering = Answering()
    said = grammar("en").telephone(MOBILE)
    story_of(code(f"{dialled}{MOBILE}#").hears(f"{prompt}-on", said, "goodbye").is_hung_up_on(), answering)
    off = {"*72": "*73", "*90": "*91", "*92": "*93", "*94": "*95"}.get(dialled) or dialled.replace("*", "#")
    story_of(code(off).hears(f"{prompt}-off", "goodbye").is_hung_up_on(), answering)
    on = AnsweringChange(trigger=trigger, forward_to=MOBILE)
    assert answering.changes == [(OWNER, on), (OWNER, AnsweringChange(trigger=trigger, forward_to=""))]


def test_do_not_disturb_is_switched_on_and_off() -> None:
    answering = Answering()
    assert story_of(code("*78").hears("dnd-on", "goodbye").is_hung_up_on(), answering).answered
    story_of(code("*79").hears("dnd-off", "goodbye").is_hung_up_on(), answering)
    assert [change.do_not_disturb for _, change in answering.changes] == [True, False]


def test_a_number_that_was_not_dialled_is_asked_for() -> None:
    answering = Answering()
    script = code("*72").hears("forward-enter-number").presses(f"{MOBILE}#").until("goodbye")
    story_of(script, answering)
    assert answering.changes[0][1].forward_to == MOBILE


def test_no_number_and_ones_own_number_change_nothing() -> None:
    answering = Answering()
    story_of(code("*72").until("no-entry"), answering)
    story_of(code(f"*72{OWNER}").hears("feature-number-invalid"), answering)
    story_of(code("*72*5").hears("feature-number-invalid"), answering)
    assert answering.changes == []


def test_the_answering_mode_is_dialled_or_chosen() -> None:
    answering = Answering()
    story_of(code("*706").hears("mode-forward-voicemail"), answering)
    story_of(
        code("*70").hears("mode-to-ring", "press-1", "mode-to-ring-voicemail").presses("7").hears("mode-voicemail"),
        answering,
    )
    story_of(code("*709").hears("feature-unknown"), answering)
    assert [change.mode for _, change in answering.changes] == ["forward_then_voicemail", "voicemail"]


def test_a_stranger_an_unknown_account_and_a_store_that_is_away_are_told_so() -> None:
    script = code("*78", account=None).hears("not-allowed").is_hung_up_on(403)
    assert not story_of(script, Answering()).answered
    story_of(code("*78").hears("feature-refused"), Answering(knows=False))
    story_of(code("*78").hears("service-unavailable", "goodbye"), Answering(is_away=True))
    unknown = ScriptedCaller(OWNER, account=OWNER, parameters={"code": "*00"})
    story_of(unknown.hears("feature-unknown").is_hung_up_on(404), Answering())


def test_every_code_is_found_in_what_is_dialled() -> None:
    assert all(feature_of(dialled) == (dialled, "") for dialled in CODES)
    assert feature_of("*7242075553333#") == ("*72", "42075553333")
    assert feature_of("100") is None
