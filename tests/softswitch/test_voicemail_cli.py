# SPDX-License-Identifier: Apache-2.0
"""`softswitch voicemail` as an administrator uses it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile

from billing_client.mailboxes.mailboxes import StoreMailboxes
from billing_client.mailboxes.words import Deposit, Sound
from billing_client.vouchers.words import GuessSource
from softswitch.config import load
from softswitch.processes.store import EmbeddedStore, store_dsn
from tests.softswitch.support import command, softswitch, write_configuration

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

RECEIVED = datetime(2026, 11, 22, 12, tzinfo=UTC)
APPLY = """
customers: [{name: Acme, currency: USD}]
accounts:
  - {number: "101", customer: Acme, kind: subordinate, voicemail: {email: [alice@example.com], pin: "4829"}}
  - {number: "102", customer: Acme, kind: subordinate, voicemail: off}
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The configuration of an installation with two accounts, whose store runs."""
    file = write_configuration(tmp_path_factory.mktemp("voicemail"))
    document = file.with_name("accounts.yaml")
    document.write_text(APPLY, encoding="utf-8")
    with EmbeddedStore(load(file).data_dir).running():
        assert softswitch(file, "migrate").returncode == 0
        shown = softswitch(file, "apply", "--yes", str(document))
        assert "pin none -> ********" in shown.stdout
        assert "4829" not in shown.stdout + shown.stderr
        yield file


def ask(file: Path, question: Callable[[StoreMailboxes], Awaitable[Any]]) -> Any:
    """Ask the mailboxes as an application does."""

    async def asked() -> Any:
        mailboxes = await StoreMailboxes.connect(store_dsn(load(file)), node="test", connections=1, lock_after=2)
        try:
            return await question(mailboxes)
        finally:
            await mailboxes.close()

    return asyncio.run(asked())


@pytest.fixture
def messages(file: Path) -> Iterator[list[str]]:
    """Two messages for 101, the second one urgent."""
    ids = [str(uuid.uuid4()) for _ in range(2)]

    async def leave(mailboxes: StoreMailboxes) -> None:
        for number, message_id in enumerate(ids):
            await mailboxes.deposit(
                Deposit(
                    message_id=message_id,
                    mailbox="101",
                    caller="42075553333",
                    caller_name="Žofie",
                    received_at=RECEIVED + timedelta(minutes=number),
                    sound=Sound("wav", b"RIFF" + message_id.encode(), 65.25),
                    urgent=number == 1,
                )
            )

    ask(file, leave)
    yield ids
    ask(file, lambda mailboxes: mailboxes.delete(ids))


def test_messages_are_listed_for_people_and_for_scripts(file: Path, messages: list[str]) -> None:
    rows = json.loads(softswitch(file, "voicemail", "list", "101", "--json").stdout)
    assert [row["message"] for row in rows] == messages[::-1]
    assert {key: rows[0][key] for key in ("account", "folder", "caller", "caller_name", "seconds", "urgent")} == {
        "account": "101", "folder": "new", "caller": "42075553333", "caller_name": "Žofie", "seconds": "65.3",
        "urgent": True,
    }  # fmt: skip
    table = softswitch(file, "voicemail", "list", "101").stdout
    assert "42075553333" in table
    assert messages[0][:13] in table


def test_a_message_is_exported_by_the_beginning_of_its_id(file: Path, messages: list[str], tmp_path: Path) -> None:
    sound = tmp_path / "message.wav"
    done = softswitch(file, "voicemail", "export", messages[0][:13], str(sound))
    assert done.stdout.startswith(f"✓ message {messages[0]}: ")
    assert sound.read_bytes() == b"RIFF" + messages[0].encode()
    piped = subprocess.run(command(file, "voicemail", "export", messages[0], "-"), capture_output=True, check=True)
    assert piped.stdout == sound.read_bytes()


def test_a_message_is_deleted_and_still_listed_among_the_deleted(file: Path, messages: list[str]) -> None:
    done = softswitch(file, "voicemail", "delete", messages[0])
    assert done.stdout == f"✓ message {messages[0]} of 101, from 42075553333, is deleted\n"
    rows = json.loads(softswitch(file, "voicemail", "list", "101", "--json").stdout)
    assert [row["message"] for row in rows] == [messages[1]]
    deleted = json.loads(softswitch(file, "voicemail", "list", "101", "--deleted", "--json").stdout)
    assert messages[0] in [row["message"] for row in deleted if row["deleted_at"]]


def test_a_new_pin_is_printed_once_and_works(file: Path) -> None:
    pin = softswitch(file, "voicemail", "reset-pin", "101").stdout.strip()
    assert len(pin) == 6
    verdict = ask(file, lambda mailboxes: mailboxes.check_pin("101", pin, GuessSource("7")))
    assert verdict.verdict == "right"


def test_a_locked_mailbox_is_unlocked(file: Path) -> None:
    async def wrong(mailboxes: StoreMailboxes) -> str:
        return (await mailboxes.check_pin("101", "0000", GuessSource(""))).verdict

    assert [ask(file, wrong) for _ in range(3)] == ["wrong", "wrong", "locked"]
    assert softswitch(file, "voicemail", "unlock", "101").stdout == "✓ 101: wrong PINs are forgotten\n"
    assert ask(file, wrong) == "wrong"
    softswitch(file, "voicemail", "unlock", "101")
    assert softswitch(file, "voicemail", "unlock", "101").stdout == "✓ 101: there were no wrong PINs\n"


def test_the_settings_are_shown_without_the_pin(file: Path) -> None:
    shown = softswitch(file, "accounts", "--json").stdout
    rows = {row["number"]: row["voicemail"] for row in json.loads(shown)}
    assert (rows["101"]["has_pin"], rows["101"]["email"]) == (True, ["alice@example.com"])
    assert rows["102"]["enabled"] is False
    assert "scrypt" not in shown


def test_a_greeting_is_set_from_a_file_and_removed(file: Path, tmp_path: Path) -> None:
    source = tmp_path / "greeting.flac"
    soundfile.write(source, np.zeros(48000, np.int16), 48000)
    done = softswitch(file, "voicemail", "greeting", "101", "busy", str(source))
    assert done.stdout == "✓ 101: greeting of the kind busy, 1.0 seconds\n"
    sound: Sound = ask(file, lambda mailboxes: mailboxes.greeting("101", "busy"))
    assert (sound.format, sound.seconds, len(sound.data)) == ("wav", 1.0, 44 + 32000)
    assert softswitch(file, "voicemail", "greeting", "101", "busy", "--remove").returncode == 0
    assert ask(file, lambda mailboxes: mailboxes.greeting("101", "busy")) is None


def test_what_is_no_greeting_is_told(file: Path, tmp_path: Path) -> None:
    source = tmp_path / "greeting.wav"
    source.write_bytes(b"no sound")
    refused = softswitch(file, "voicemail", "greeting", "101", "busy", str(source))
    assert refused.returncode == 1
    assert "greeting.wav: The sound cannot be read" in refused.stderr
    assert softswitch(file, "voicemail", "greeting", "101", "busy").returncode == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["list", "999"], 'nobody has the number or alias "999"'),
        (["list", "102"], "102 has no mailbox"),
        (["reset-pin", "999"], 'nobody has the number or alias "999"'),
        (["delete", "nothing"], 'no message has the id "nothing"'),
        (["export", str(uuid.uuid4()), "-"], "no message has the id"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(file: Path, words: list[str], told: str) -> None:
    refused = softswitch(file, "voicemail", *words)
    assert refused.returncode == 1
    assert told in refused.stderr
    assert "Traceback" not in refused.stderr


def test_no_messages_are_said_so(file: Path) -> None:
    assert softswitch(file, "voicemail", "list", "101").stdout == "No messages.\n"
    assert json.loads(softswitch(file, "voicemail", "list", "101", "--json").stdout) == []
