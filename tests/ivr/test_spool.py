# SPDX-License-Identifier: Apache-2.0
"""Recordings that outlive the process and the store's absence: never lost, never double."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import stat
import subprocess
import sys
import wave
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from billing_client.mailboxes.words import Deposit, DepositResult, Sound
from billing_client.types import StoreRefused, StoreUnavailable
from ivr.scripted.virtual_time import run_virtually
from ivr.spool.outbox import Outbox
from ivr.spool.spool import Spool
from ivr.verbs import CallDetails

if TYPE_CHECKING:
    from pathlib import Path

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
DETAILS = CallDetails(
    call_id="c1", application="voicemail", caller="42075553333", caller_name="Jan", target="42027777100"
)
SECOND = b"\x10\x27" * 8000


class Store:
    """Takes messages once; may be away."""

    def __init__(self) -> None:
        self.messages: dict[str, Deposit] = {}
        self.away = False
        self.result: DepositResult = "stored"
        self.refuses = False
        self.asked = 0

    async def deposit(self, deposit: Deposit) -> DepositResult:
        """See Mailboxes."""
        self.asked += 1
        if self.away:
            raise StoreUnavailable("away")
        if self.refuses:
            raise StoreRefused("wrong")
        if self.result == "stored":
            self.messages.setdefault(deposit.message_id, deposit)
        return self.result


def spool(directory: Path) -> Spool:
    return Spool(directory, utc=lambda: NOON)


def message(message_id: str = "m-1", forwarded: Sound | None = None) -> Deposit:
    return Deposit(
        message_id=message_id,
        mailbox="42027777100",
        caller="42075553333",
        caller_name="Jan",
        received_at=NOON,
        sound=Sound("wav", b"RIFF", 5.0),
        forwarded=forwarded,
    )


def test_a_deposited_message_leaves_nothing_on_disk(tmp_path: Path) -> None:
    store = Store()

    async def story() -> None:
        files = spool(tmp_path)
        files.begin("m-1", DETAILS, 8000)(SECOND)
        files.end("m-1", 1.0)
        assert await Outbox(files, store).deposit(message()) == "stored"

    run_virtually(story())
    assert list(store.messages) == ["m-1"]
    assert list(tmp_path.iterdir()) == []


def test_while_the_store_is_away_messages_wait_and_are_delivered_once_it_is_back(tmp_path: Path) -> None:
    store = Store()
    store.away = True
    intro = message("m-2", forwarded=Sound("ogg", b"OggS", 2.0))

    async def story() -> None:
        outbox = Outbox(spool(tmp_path), store)
        outbox.start()
        assert await outbox.deposit(message()) == "stored"
        assert await outbox.deposit(intro) == "stored"
        await asyncio.sleep(120)
        assert not store.messages
        store.away = False
        await asyncio.sleep(60)
        await outbox.close()

    run_virtually(story())
    assert store.messages == {"m-1": message(), "m-2": intro}
    assert list(tmp_path.iterdir()) == []
    assert store.asked < 40


def test_a_restart_delivers_what_waits(tmp_path: Path) -> None:
    store = Store()
    spool(tmp_path).keep(message())

    async def story() -> None:
        outbox = Outbox(spool(tmp_path), store)
        outbox.start()
        await asyncio.sleep(1)
        await outbox.close()

    run_virtually(story())
    assert store.messages == {"m-1": message()}


def test_recordings_of_running_applications_are_not_taken_for_messages(tmp_path: Path) -> None:
    store = Store()

    async def story() -> None:
        files = spool(tmp_path)
        outbox = Outbox(files, store)
        outbox.start()
        files.begin("m-1", DETAILS, 8000)(SECOND * 3)
        files.end("m-1", 3.0)
        await outbox.deposit(message("m-2"))
        await asyncio.sleep(100)
        assert list(store.messages) == ["m-2"]
        outbox.abandon("m-1")
        await asyncio.sleep(1)
        await outbox.close()

    run_virtually(story())
    assert list(store.messages) == ["m-2", "m-1"]


def test_the_silence_at_the_end_is_cut_off_on_disk_too(tmp_path: Path) -> None:
    async def story() -> Deposit | None:
        files = spool(tmp_path)
        files.begin("m-1@101", DETAILS, 8000)(SECOND * 5)
        files.end("m-1@101", 2.0)
        return files.read("m-1")

    deposit = run_virtually(story())
    assert deposit is not None
    assert (deposit.sound.seconds, deposit.mailbox) == (2.0, "101")


@pytest.mark.parametrize("refused", [True, False])
def test_what_no_mailbox_takes_is_set_aside_and_does_not_hold_up_the_rest(tmp_path: Path, refused: bool) -> None:
    store = Store()
    store.refuses, store.result = refused, "unknown"
    spool(tmp_path).keep(message())

    async def story() -> None:
        outbox = Outbox(spool(tmp_path), store)
        outbox.start()
        await asyncio.sleep(10)
        store.refuses, store.result = False, "stored"
        await outbox.deposit(message("m-2"))
        await outbox.close()

    run_virtually(story())
    assert list(store.messages) == ["m-2"]
    assert [file.name for file in tmp_path.iterdir()] == ["m-1.refused"]


def test_a_full_mailbox_is_told_to_the_caller_and_tried_again_where_nobody_is_left_to_tell(tmp_path: Path) -> None:
    store = Store()
    store.result = "full"
    spool(tmp_path).keep(message())

    async def story() -> None:
        outbox = Outbox(spool(tmp_path), store)
        outbox.start()
        assert await outbox.deposit(message("m-2")) == "full"
        await asyncio.sleep(1000)
        store.result = "stored"
        await asyncio.sleep(1000)
        await outbox.close()

    run_virtually(story())
    assert list(store.messages) == ["m-1"]


def test_names_that_lead_elsewhere_are_refused(tmp_path: Path) -> None:
    async def story() -> None:
        with pytest.raises(ValueError, match="no name"):
            spool(tmp_path / "recordings").begin("../../etc/passwd", DETAILS, 8000)

    run_virtually(story())


def test_where_the_disk_takes_nothing_the_recording_goes_on(tmp_path: Path) -> None:
    async def story() -> None:
        files = spool(tmp_path)
        (tmp_path / "m-1.rec").mkdir()
        files.begin("m-1", DETAILS, 8000)(SECOND)
        files.end("m-1", 1.0)

    run_virtually(story())


CHILD = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from ivr.spool.spool import Spool
from ivr.verbs import CallDetails

async def main():
    details = CallDetails(call_id="c", application="voicemail", caller="42075553333", target="42027777100")
    write = Spool(Path(sys.argv[1]), utc=lambda: datetime.now(UTC)).begin("m-killed", details, 8000)
    for second in range(1000):
        write(bytes([second, 39]) * 8000)
        print(second, flush=True)
        await asyncio.sleep(0.01)

asyncio.run(main())
"""


def test_a_kill_in_the_middle_of_a_recording_keeps_what_was_said(tmp_path: Path) -> None:
    store = Store()
    with subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        written = 0
        while written < 7:
            written = int(child.stdout.readline()) + 1
        os.kill(child.pid, signal.SIGKILL)

    async def life() -> None:
        outbox = Outbox(spool(tmp_path), store)
        outbox.start()
        await asyncio.sleep(5)
        await outbox.close()

    run_virtually(life())
    run_virtually(life())
    deposit = store.messages["m-killed"]
    assert deposit.sound.seconds >= written
    with wave.open(io.BytesIO(deposit.sound.data)) as sound:
        assert sound.readframes(8000) == bytes([0, 39]) * 8000
    assert store.asked == 1
    assert list(tmp_path.iterdir()) == []


def test_a_kill_in_the_first_second_leaves_no_message(tmp_path: Path) -> None:
    store = Store()

    async def story() -> None:
        before = spool(tmp_path)
        before.begin("m-1", DETAILS, 8000)(SECOND[:4000])
        before.close()
        outbox = Outbox(spool(tmp_path), store)
        outbox.start()
        await asyncio.sleep(5)
        await outbox.close()

    run_virtually(story())
    assert not store.messages
    assert list(tmp_path.iterdir()) == []


@pytest.mark.asyncio
async def test_what_callers_say_is_read_by_nobody_else_even_while_it_grows(tmp_path: Path) -> None:
    """Case H5: recordings and messages that wait, and what an earlier version left behind; whatever the umask is."""
    directory = tmp_path / "recordings"
    directory.mkdir(mode=0o755)
    left = directory / "left.rec"
    left.write_bytes(b"{}\n")
    left.chmod(0o644)
    before = os.umask(0)
    try:
        spool = Spool(directory, utc=lambda: datetime.now(UTC))
        write = spool.begin("m-1", CallDetails(call_id="c", application="voicemail", caller="1", target="101"), 8000)
        write(b"\0" * 1600)
        modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in directory.iterdir()}
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert len(modes) == 2
        assert set(modes.values()) == {0o600}
        spool.end("m-1")
        spool.close()
    finally:
        os.umask(before)
