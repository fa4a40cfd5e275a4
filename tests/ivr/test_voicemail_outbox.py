# SPDX-License-Identifier: Apache-2.0
"""Voicemail over the real spool and outbox: what is on disk while a caller speaks, and what becomes of it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from ivr.apps.voicemail.deposit import deposit
from ivr.apps.voicemail.settings import VoicemailSettings
from ivr.scripted.scripted import ScriptedCaller
from ivr.scripted.virtual_time import run_virtually
from ivr.spool.outbox import Outbox
from ivr.spool.spool import Spool
from tests.ivr.mailbox_memory import MemoryMailboxes
from tests.ivr.voicemail_stage import BEGIN, STRANGER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from billing_client.mailboxes.words import Message
    from ivr.apps.voicemail.outbox import Outbox as VoicemailOutbox


class House:
    """A media server's part of voicemail, in a directory; it can be killed, and made anew on what is left."""

    def __init__(self, directory: Path, mailboxes: MemoryMailboxes) -> None:
        self.directory = directory / "recordings"
        self.mailboxes = mailboxes
        self._ids = iter(range(1, 100))

    def live(self, script: Callable[[ScriptedCaller], object] | None = None) -> None:
        """One life of the process, with a call in it, until nothing is left to do."""
        run_virtually(self._live(script))

    async def _live(self, script: Callable[[ScriptedCaller], object] | None) -> None:
        loop = asyncio.get_running_loop()
        spool = Spool(self.directory, utc=lambda: BEGIN + timedelta(seconds=loop.time()))
        outbox = Outbox(spool, self.mailboxes)
        door: VoicemailOutbox = outbox
        outbox.start()
        application = partial(
            deposit,
            mailboxes=self.mailboxes,
            outbox=door,
            settings=VoicemailSettings(),
            now=lambda: BEGIN,
            new_id=lambda: f"00000000-0000-4000-8000-{next(self._ids):012}",
        )
        try:
            if script is not None:
                caller = ScriptedCaller(STRANGER, target="101", cause=408, spool=spool)
                script(caller)
                await caller.perform(application)
            await asyncio.sleep(120)
        finally:
            await outbox.close()
            spool.close()

    @property
    def files(self) -> set[str]:
        """Kinds of files that are left."""
        return {file.suffix for file in self.directory.iterdir()}

    @property
    def messages(self) -> list[Message]:
        return self.mailboxes.listed("101")


@pytest.fixture
def house(tmp_path: Path) -> House:
    mailboxes = MemoryMailboxes()
    mailboxes.add("101")
    return House(tmp_path, mailboxes)


def test_an_accepted_message_leaves_nothing_on_disk(house: House) -> None:
    house.live(lambda caller: caller.until("beep").says(6).presses("#").until("vm-review").presses("1").listens())
    assert [round(one.seconds) for one in house.messages] == [6]
    assert house.files == set()


def test_of_two_recordings_only_the_last_is_kept_and_delivered(house: House) -> None:
    house.live(
        lambda caller: caller.until("beep").says(6).presses("#").until("vm-review").presses("3").until("beep").says(9)
    )
    assert [round(one.seconds) for one in house.messages] == [9]
    assert house.files == set()


def test_a_hang_up_before_three_seconds_leaves_neither_message_nor_file(house: House) -> None:
    house.live(lambda caller: caller.until("beep").says(2).hangs_up())
    assert house.messages == []
    assert house.files == set()


def test_a_message_waits_on_disk_while_the_store_is_away_and_is_delivered_once_when_it_is_back(house: House) -> None:
    house.mailboxes.away = {"*"}
    house.live(lambda caller: caller.until("beep").says(6).hangs_up())
    assert house.messages == []
    assert house.files == {".msg"}
    house.mailboxes.away = set()
    house.live()
    house.live()
    assert [(one.caller, round(one.seconds)) for one in house.messages] == [(STRANGER, 6)]
    assert house.files == set()


def test_a_recording_that_a_kill_cut_off_is_a_message_of_the_next_life(house: House) -> None:
    """The directory is copied while the caller speaks: that is what a kill leaves."""
    left = house.directory.with_name("left")

    def copy() -> None:
        left.mkdir()
        for file in house.directory.iterdir():
            (left / file.name).write_bytes(file.read_bytes())

    house.live(lambda caller: caller.until("beep").waits(0.1).says(7.5).does(copy).hangs_up())
    mailboxes = MemoryMailboxes()
    mailboxes.add("101")
    house.directory, house.mailboxes = left, mailboxes
    house.live()
    (message,) = house.messages
    assert message.caller == STRANGER
    assert 6.0 <= message.seconds <= 8.0
    assert house.files == set()
