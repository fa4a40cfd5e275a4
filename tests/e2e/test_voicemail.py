# SPDX-License-Identifier: Apache-2.0
"""Real phones leave messages and listen to them; processes are killed in between, and nothing is lost."""

from __future__ import annotations

import time
from io import BytesIO
from typing import TYPE_CHECKING, Any
from wave import open as open_wave

import numpy as np
import pytest
import yaml

from softswitch.phone import CallFailedError
from softswitch.phone.sound import tone_in
from tests.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from softswitch.phone import Call, Phone
    from tests.e2e.conftest import Phones
    from tests.e2e.system import System
    from tests.e2e.tenant import Subscriber

pytestmark = pytest.mark.phones

BEEP_HERTZ, ALICE_HERTZ = 1000, 440
RING_SECONDS = 1
REACTION_SECONDS = 1.0
ACCESS = "*98"


@pytest.fixture
def bob(system: System, tmp_path: Path) -> Subscriber:
    """An account that does not answer, so that its mailbox does."""
    subscriber = system.subscriber()
    document = tmp_path / "bob.yaml"
    answering = {"mode": "ring_then_voicemail", "ring_seconds": RING_SECONDS}
    document.write_text(yaml.safe_dump({"accounts": [{"number": subscriber.number, "answering": answering}]}))
    system.run("apply", str(document), "--yes")
    return subscriber


def record(alice: Phone, bob: Subscriber) -> Call:
    """Call somebody who does not answer, skip the greeting, and speak after the beep."""
    call = alice.call(bob.number)
    call.wait_answered()
    time.sleep(REACTION_SECONDS)
    call.send_digits("#")
    assert call.hears(BEEP_HERTZ), "no beep"
    time.sleep(0.5)
    call.play(ALICE_HERTZ)
    return call


def listen(phone: Phone) -> Call:
    """The owner dials its mailbox, later again if it is told to, and asks for the first message."""
    deadline = time.monotonic() + 2 * PATIENCE_SECONDS
    while True:
        call = phone.call(ACCESS)
        try:
            call.wait_answered()
            break
        except CallFailedError:  # the store is away for a moment
            assert time.monotonic() < deadline, "the mailbox does not open"
            time.sleep(REACTION_SECONDS)
    time.sleep(REACTION_SECONDS)
    call.send_digits("1")
    return call


def messages(system: System, number: str, count: int = 1) -> list[dict[str, Any]]:
    """The messages of a mailbox, once there are so many."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = system.rows("voicemail", "list", number)
        if len(found) >= count or time.monotonic() > deadline:
            assert len(found) == count, found
            return found
        time.sleep(0.2)


def assert_is_alices_tone(system: System, message: dict[str, Any], directory: Path) -> None:
    """What the store has of a message is the tone, from its second second on."""
    file = directory / "message.wav"
    system.run("voicemail", "export", message["message"], str(file))
    with open_wave(BytesIO(file.read_bytes())) as sound:
        rate = sound.getframerate()
        samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2")
    tone = tone_in(samples[rate : 2 * rate], rate)
    assert tone.is_at(ALICE_HERTZ), tone


def test_a_message_left_by_one_phone_is_heard_by_another(
    system: System, phones: Phones, bob: Subscriber, tmp_path: Path
) -> None:
    alice, phone = phones.registered(), phones.registered(bob)
    call = record(alice, bob)
    time.sleep(5)
    call.play(0)
    call.send_digits("#")
    time.sleep(1)
    call.send_digits("1")
    call.wait_ended()
    (message,) = messages(system, bob.number)
    assert (message["caller"], message["folder"]) == (alice.settings.number, "new")
    assert 4.5 <= float(message["seconds"]) <= 6.5
    assert_is_alices_tone(system, message, tmp_path)

    heard = listen(phone)
    assert heard.hears(ALICE_HERTZ), "the message is not played"
    heard.send_digits("9")
    time.sleep(REACTION_SECONDS)
    heard.send_digits("2")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while messages(system, bob.number)[0]["folder"] != "work":
        assert time.monotonic() < deadline, "the message was not saved"
    heard.hang_up()
    heard.wait_ended()


def test_whoever_hangs_up_in_the_middle_has_left_the_message(
    system: System, phones: Phones, bob: Subscriber, tmp_path: Path
) -> None:
    call = record(phones.registered(), bob)
    time.sleep(4.5)
    call.hang_up()
    (message,) = messages(system, bob.number)
    assert 3.5 <= float(message["seconds"]) <= 6.0
    assert_is_alices_tone(system, message, tmp_path)


@pytest.mark.parametrize("process", ["switch", "ivr", "media", "postgres"])
def test_a_process_that_is_killed_between_deposit_and_retrieval_loses_nothing(
    system: System, phones: Phones, bob: Subscriber, process: str
) -> None:
    phone = phones.registered(bob)
    system.wait_stored(bob.number)
    call = record(phones.registered(), bob)
    time.sleep(4)
    call.hang_up()
    messages(system, bob.number)
    mark = len(system.log)
    system.process(process).kill()
    system.wait_for_log(f"{'store' if process == 'postgres' else process} runs again", mark)
    heard = listen(phone)
    assert heard.hears(ALICE_HERTZ), "the message is not played"


def test_a_media_server_that_is_killed_mid_recording_keeps_what_was_said_to_the_last_second(
    system: System, phones: Phones, bob: Subscriber, tmp_path: Path
) -> None:
    record(phones.registered(), bob)
    time.sleep(6)
    mark = len(system.log)
    system.process("ivr").kill()
    system.wait_for_log("ivr runs again", mark)
    (message,) = messages(system, bob.number)
    assert 4.5 <= float(message["seconds"]) <= 8.0
    assert_is_alices_tone(system, message, tmp_path)
