# SPDX-License-Identifier: Apache-2.0
"""The verbs, by scripted callers on a virtual clock."""

from __future__ import annotations

import asyncio
import io
import time
import wave
from typing import TYPE_CHECKING

import pytest

from ivr.scripted.scripted import RECORDING, ScriptedCallee, ScriptedCaller, StoryFailed
from ivr.server.runner import GRACE_SECONDS
from ivr.verbs import Audio, CallerHungUp, DialResult, Ivr, Recording, Spoken

if TYPE_CHECKING:
    from ivr.scripted.scripted import Story


def caller() -> ScriptedCaller:
    return ScriptedCaller(caller="101", account="42027777100")


# play -----------------------------------------------------------------------------------------------------------------
def test_prompts_are_heard_one_after_the_other_and_spoken_ones_word_by_word() -> None:
    async def app(call: Ivr) -> None:
        assert await call.play("vm-youhave", Spoken(("num-5", "vm-messages"))) == ""

    story = caller().hears("vm-youhave", Spoken(("num-5", "vm-messages"))).listens().is_hung_up_on().run(app)
    assert story.heard == ["vm-youhave", "num-5", "vm-messages"]
    assert story.seconds == pytest.approx(3)


def test_a_key_of_the_interrupting_ones_ends_the_prompt_and_is_returned() -> None:
    async def app(call: Ivr) -> None:
        assert await call.play("long", "longer", interrupt="#") == "#"
        assert await call.collect(1) == "5"

    story = caller().hears("long").presses("5#").is_hung_up_on().run(app)
    assert story.heard == ["long"]


def test_with_any_key_the_key_stays_to_be_asked_for() -> None:
    async def app(call: Ivr) -> None:
        assert await call.play("long", interrupt="any") == "7"
        assert await call.collect(2) == "78"

    caller().hears("long").presses("78").is_hung_up_on().run(app)


def test_keys_that_do_not_interrupt_wait_and_flush_forgets_them() -> None:
    async def app(call: Ivr) -> None:
        await call.play("first")
        await call.play("second", interrupt="any", flush=True)
        await call.play("third")

    story = caller().hears("first").presses("9").hears("second", "third").run(app)
    assert story.heard == ["first", "second", "third"]


def test_a_prompt_before_the_answer_is_early_media() -> None:
    async def app(call: Ivr) -> None:
        await call.play("not-available")
        assert not call.answered
        await call.hangup(404, cause=1)

    story = caller().hears("not-available").is_not_answered().is_hung_up_on(404).run(app)
    assert not story.answered


# ask, collect, menu ---------------------------------------------------------------------------------------------------
def test_digits_are_ended_by_hash_by_their_number_or_by_a_pause() -> None:
    found: list[str] = []

    async def app(call: Ivr) -> None:
        found.extend([await call.ask("number", digits=4) for _ in range(3)])

    caller().hears("number").presses("12#").hears("number").presses("1234").hears("number").presses("1").waits(4).run(
        app
    )
    assert found == ["12", "1234", "1"]


def test_too_few_digits_are_asked_for_again_and_nothing_is_nothing_in_the_end() -> None:
    async def app(call: Ivr) -> None:
        assert await call.ask("pin", digits=4, least=4, tries=2) == "1"
        assert await call.ask("pin", digits=4, tries=2) == ""

    caller().hears("pin").waits(10).hears("pin").presses("1").hears("pin", "pin").is_hung_up_on().run(app)


def test_what_is_typed_ahead_is_taken_without_a_prompt() -> None:
    async def app(call: Ivr) -> None:
        await call.play("welcome", interrupt="any")
        assert await call.ask("mailbox", digits=20) == "101"
        assert await call.ask("pin", digits=20) == "1234"
        assert await call.menu(["main"], {"1": "first"}) == "first"

    story = caller().hears("welcome").presses("101#1234#1", each=0).is_hung_up_on().run(app)
    assert story.heard == ["welcome"]


def test_a_wrong_key_is_told_and_silence_ends_in_goodbye() -> None:
    async def app(call: Ivr) -> None:
        await call.answer()
        await call.menu(["main"], {"1": 1}, tries=2, seconds=5)

    call = caller().hears("main").presses("9").hears("invalid-key", "main", "goodbye").is_hung_up_on()
    assert call.run(app).ended_by == "application"


# record ---------------------------------------------------------------------------------------------------------------
def test_a_recording_ends_by_a_key_and_holds_what_was_said() -> None:
    taken: list[Recording] = []

    async def app(call: Ivr) -> None:
        taken.append(await call.record(most_seconds=60))

    caller().hears("beep").says(seconds=5, tone=440).presses("#").run(app)
    (recording,) = taken
    assert (recording.ended_by, recording.key) == ("key", "#")
    assert recording.seconds == pytest.approx(5, abs=0.2)
    with wave.open(io.BytesIO(recording.audio.data)) as sound:
        assert sound.getframerate() == 8000
        assert sound.getnframes() == pytest.approx(40_000, abs=1600)


def test_a_recording_ends_by_silence_which_does_not_count_and_by_its_length() -> None:
    taken: list[Recording] = []

    async def app(call: Ivr) -> None:
        taken.append(await call.record(most_seconds=60, silence_seconds=4))
        taken.append(await call.record(most_seconds=10, beep=False))

    caller().hears("beep").says(3).waits(6).says(20).run(app)
    assert [(one.ended_by, round(one.seconds)) for one in taken] == [("silence", 3), ("length", 10)]


def test_a_hang_up_keeps_the_recording_and_the_next_verb_raises() -> None:
    reached: list[str] = []

    async def app(call: Ivr) -> None:
        recording = await call.record(most_seconds=60)
        reached.append(recording.ended_by)
        with pytest.raises(CallerHungUp):
            await call.play("thanks")
        reached.append("raised")

    caller().hears("beep").says(3).hangs_up().run(app)
    assert reached == ["hangup", "raised"]


def test_a_recording_can_be_listened_to() -> None:
    async def app(call: Ivr) -> None:
        recording = await call.record(most_seconds=60)
        await call.play("you-said", recording.audio)

    story = caller().until("beep").says(3).presses("#").hears("you-said", RECORDING).listens().run(app)
    assert isinstance(story.recordings[0], Audio)
    assert story.seconds == pytest.approx(1 + 3 + 0.2 + 1 + 3, abs=0.3)


# dial -----------------------------------------------------------------------------------------------------------------
def dialled(call: ScriptedCaller, **options: object) -> tuple[Story, list[DialResult]]:
    results: list[DialResult] = []

    async def app(ivr: Ivr) -> None:
        results.append(await ivr.dial("420273333444", account="42027777100", caller="42027777100", **options))  # type: ignore[arg-type]
        await ivr.play("back")

    return call.run(app), results


def test_a_dialled_call_rings_is_connected_and_ends_with_the_callee() -> None:
    call = caller().answers_dial("420273333444", after=3, talks=30)
    story, (result,) = dialled(call.talks_to("420273333444").hears("back"))
    assert (result.answered, result.ended_by, round(result.seconds)) == (True, "callee", 30)
    assert story.answered
    assert story.dialled[0].caller == "42027777100"


def test_a_failed_call_says_why_and_the_caller_is_still_not_answered() -> None:
    call = caller().fails_dial("420273333444", status=486, cause=17).is_not_answered().hears("back")
    _, (result,) = dialled(call)
    assert (result.answered, result.status, result.cause) == (False, 486, 17)


def test_nobody_answers_in_time() -> None:
    _, (result,) = dialled(caller().never_answers_dial("420273333444").hears("back"), ring_seconds=20)
    assert (result.answered, result.status) == (False, 408)


def test_the_caller_comes_back_by_the_hang_up_key() -> None:
    call = caller().answers_dial("420273333444").talks_to("420273333444").waits(5).presses("*1**").hears("back")
    _, (result,) = dialled(call, hangup_key="**")
    assert (result.ended_by, round(result.seconds)) == ("key", 6)


def test_the_other_leg_ends_with_the_caller() -> None:
    call = caller().answers_dial("420273333444").talks_to("420273333444").waits(5).hangs_up()
    story, results = dialled(call)
    assert results == []
    assert story.ended_by == "caller"


@pytest.mark.parametrize(("key", "connected"), [("1", True), ("2", False)])
def test_who_answers_may_be_asked_first(key: str, connected: bool) -> None:
    async def confirm(callee: Ivr) -> bool:
        return await callee.menu(["confirm-call"], {"1": True, "2": False})

    callee = ScriptedCallee().hears("confirm-call").presses(key)
    call = caller().answers_dial("420273333444", script=callee, talks=10 if connected else None)
    _, (result,) = dialled(call.hears("back"), on_answer=confirm)
    assert result.answered is connected


def test_a_callee_who_hangs_up_instead_of_confirming_was_no_answer() -> None:
    async def confirm(callee: Ivr) -> bool:
        return await callee.menu(["confirm-call"], {"1": True})

    callee = ScriptedCallee().hears("confirm-call").hangs_up()
    _, (result,) = dialled(
        caller().answers_dial("420273333444", script=callee).is_not_answered().hears("back"), on_answer=confirm
    )
    assert not result.answered


def test_a_caller_who_hangs_up_during_the_confirmation_ends_it() -> None:
    ended: list[str] = []

    async def confirm(callee: Ivr) -> bool:
        try:
            return await callee.menu(["confirm-call"], {"1": True}, seconds=60)
        except CallerHungUp:
            ended.append("callee was hung up on")
            raise

    call = caller().answers_dial("420273333444", script=ScriptedCallee().hears("confirm-call")).waits(10).hangs_up()
    dialled(call, on_answer=confirm)
    assert ended == ["callee was hung up on"]


@pytest.mark.parametrize("tenths", range(0, 150, 5))
@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_hang_up_at_any_moment_of_a_dialled_call_ends_all_of_it(tenths: int, who: str) -> None:
    ended: list[str] = []

    async def confirm(callee: Ivr) -> bool:
        try:
            await callee.play("confirm-from")
            return await callee.menu(["confirm-call"], {"1": True})
        finally:
            ended.append("confirm")

    async def app(call: Ivr) -> None:
        try:
            await call.play("please-wait")
            await call.dial("102", account="101", caller="101", hangup_key="**", on_answer=confirm)
            await call.play("goodbye")
        finally:
            ended.append("app")

    callee = ScriptedCallee().waits(3).presses("1") if who == "caller" else ScriptedCallee().waits(tenths / 10)
    call = caller().answers_dial("102", after=3, talks=5, script=callee if who == "caller" else callee.hangs_up())
    story = call.waits(tenths / 10 if who == "caller" else 30).run(app)
    assert ended[-1] == "app"
    assert story.seconds < 40


# the end --------------------------------------------------------------------------------------------------------------
def test_a_hang_up_does_not_cut_off_what_the_application_waits_for() -> None:
    done: list[str] = []

    async def app(call: Ivr) -> None:
        await call.play("wait-please")
        await asyncio.sleep(5)  # an operation on the store
        done.append("committed")
        await call.play("done")
        done.append("not reached")

    caller().hears("wait-please").listens().waits(1).hangs_up().run(app)
    assert done == ["committed"]


def test_after_the_grace_an_application_that_goes_on_is_cancelled() -> None:
    async def app(call: Ivr) -> None:
        await call.play("welcome")
        await asyncio.sleep(1000)

    story = caller().hears("welcome").listens().waits(1).hangs_up().run(app)
    assert story.seconds == pytest.approx(2 + GRACE_SECONDS)


def test_an_application_that_fails_before_the_answer_costs_a_500() -> None:
    async def app(_: Ivr) -> None:
        raise LookupError("broken")

    with pytest.raises(LookupError, match="broken"):
        caller().is_hung_up_on(500).run(app)


# the script itself ----------------------------------------------------------------------------------------------------
def test_what_was_heard_instead_is_told_with_its_time_and_the_story() -> None:
    async def app(call: Ivr) -> None:
        await call.play("welcome", "vm-goodbye")

    with pytest.raises(StoryFailed, match=r"step 2, hears vm-password: heard vm-goodbye at 1.0 s") as failed:
        caller().hears("welcome").hears("vm-password").run(app)
    assert "hears welcome" in str(failed.value)


def test_an_hour_of_waiting_takes_no_time() -> None:
    async def app(call: Ivr) -> None:
        await call.sleep(3600)
        await call.play("good-morning")

    since = time.monotonic()
    who = ScriptedCaller(caller="101", account="42027777100", unpaid_seconds=7200.0)
    story = who.waits(3600).hears("good-morning").run(app)
    assert story.seconds >= 3600
    assert time.monotonic() - since < 5
