# SPDX-License-Identifier: Apache-2.0
"""The journal: what was written is there after any crash, in order, and nothing that was not written whole."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing_client.calls import CallFinish
from switch.money.journal import Codec, Journal, JournalBusyError

if TYPE_CHECKING:
    from pathlib import Path

CODEC = Codec(CallFinish)
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
WRITER = """
import sys
from pathlib import Path
from tests.switch.money.test_journal import CODEC, finish
from switch.money.journal import Journal
journal = Journal(Path(sys.argv[1]), CODEC)
number = 0
while True:
    journal.append([finish(number)])
    journal.sync()
    number += 1
    print(number, flush=True)
"""


def finish(number: int) -> CallFinish:
    """The end of a call."""
    return CallFinish(
        call_id=f"call{number}",
        ended_at=NOON + timedelta(seconds=number, microseconds=1),
        answered_at=None if number % 2 else NOON,
        billed_seconds=number,
        amount=Decimal("0.10000") * number,
        cause=16,
        sip_status=200,
        ended_by="caller",
    )


def open_journal(file: Path) -> Journal[CallFinish]:
    return Journal(file, CODEC)


def test_records_come_back_in_order_and_equal_to_what_was_written(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "deep" / "down" / "journal")
    journal.append(map(finish, range(3)))
    journal.append([finish(3)])
    journal.close()
    again = open_journal(tmp_path / "deep" / "down" / "journal")
    assert list(again) == [finish(number) for number in range(4)]
    again.close()


def test_what_was_delivered_does_not_come_back_and_an_empty_journal_takes_no_room(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    journal = open_journal(file)
    journal.append(map(finish, range(3)))
    journal.delivered()
    journal.close()
    again = open_journal(file)
    assert [entry.call_id for entry in again] == ["call1", "call2"]
    again.delivered()
    again.append([finish(7)])
    again.close()
    third = open_journal(file)
    assert [entry.call_id for entry in third] == ["call2", "call7"]
    third.delivered()
    third.delivered()
    assert not len(third)
    assert file.stat().st_size == 0
    third.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_a_file_cut_at_any_octet_loses_only_what_the_cut_touched(tmp_path: Path, data: st.DataObject) -> None:
    file = tmp_path / "journal"
    file.unlink(missing_ok=True)
    journal = open_journal(file)
    journal.append(map(finish, range(4)))
    journal.close()
    whole = file.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    file.write_bytes(whole[:cut] + data.draw(st.sampled_from([b"", b"\0" * 40, b"12345678 {}\n", b"done"])))
    again = open_journal(file)
    kept = whole[:cut].count(b"\n")
    assert list(again) == [finish(number) for number in range(kept)]
    again.append([finish(9)])
    again.close()
    third = open_journal(file)
    assert [entry.call_id for entry in third][-1] == "call9"
    assert len(third) == kept + 1
    third.close()


def test_a_second_writer_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal")
    with pytest.raises(JournalBusyError):
        open_journal(tmp_path / "journal")
    journal.close()
    open_journal(tmp_path / "journal").close()


def test_fields_that_a_newer_release_wrote_are_dropped(tmp_path: Path) -> None:
    line = CODEC.encode(finish(2)).replace(b'"cause":16', b'"cause":16,"mood":"good"')
    assert CODEC.decode(line) == finish(2)


def test_every_record_that_a_killed_writer_reported_is_there(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        reported = 0
        while reported < 20:
            reported = int(writer.stdout.readline())
        writer.kill()
        reported = int((writer.stdout.read().split() or [str(reported)])[-1])
    journal = open_journal(file)
    written = [entry.billed_seconds for entry in journal]
    assert written == list(range(len(written)))
    assert len(written) in {reported, reported + 1}
    journal.close()
