# SPDX-License-Identifier: Apache-2.0
"""A carrier's call records beside ours: what only one side has, durations that differ, files as carriers send them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from billing.carriers.records import MissingColumnsError, read_records
from tests.softswitch.support import softswitch, write_configuration
from tests.store.calls import STARTED_AT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.store.calls import CallDesk
    from tests.store.conftest import Tenant

PRAGUE = ZoneInfo("Europe/Prague")
START = datetime(2030, 1, 1, 12, 0, 2, tzinfo=UTC)


# files ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text",
    [
        "number,start,seconds\n420600000001,2030-01-01 13:00:02,20\n",
        "Duration (s);Called Number;Start Time;Price\n20;+420 600 000 001;2030-01-01T12:00:02Z;0,05\n",
        "src\tdst\tcalldate\tbillsec\n101\t00420600000001\t01.01.2030 13:00:02\t0:20\n",
        "Date,Time,Destination Number,Duration\n1/1/2030,13:00:02,420-600-000-001,00:00:20\n",
        "number,start,seconds\n420600000001,1893499202,20.0\n",
    ],
)
def test_columns_come_in_any_order_by_the_names_that_carriers_use(text: str) -> None:
    (record,), bad = read_records(text.splitlines(keepends=True), PRAGUE)
    assert not bad
    assert (record.number, record.started_at, record.seconds) == ("420600000001", START, Decimal(20))


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("sip:x@y,2030-01-01 12:00:02,20", "is no number"),
        ("420600000001,yesterday,20", "is no time"),
        ("420600000001,2030-02-31 12:00:00,20", "is no time"),
        ("420600000001,2030-01-01 12:00:02,NaN", "is no duration"),
        ("420600000001,2030-01-01 12:00:02,-5", "is no duration"),
        ("420600000001,2030-01-01 12:00:02,1e999999", "is no duration"),
        ("420600000001", "is no time"),
    ],
)
def test_a_bad_line_is_told_by_its_number_and_the_others_are_read(line: str, wrong: str) -> None:
    text = f"number,start,seconds\n\n420600000001,2030-01-01 12:00:02,20\n{line}\n420600000002,2030-01-01 12:00:02,1\n"
    records, (bad,) = read_records(text.splitlines(keepends=True), PRAGUE)
    assert (len(records), bad.line) == (2, 4)
    assert wrong in bad.text


@pytest.mark.parametrize("first", ["", "number,start", "a;b;c", "start,seconds,caller"])
def test_a_file_without_the_columns_is_refused(first: str) -> None:
    with pytest.raises(MissingColumnsError, match="no column for"):
        read_records([first], PRAGUE)


# the comparison -------------------------------------------------------------------------------------------------
async def call(desk: CallDesk, tenant: Tenant, dialled: str, seconds: int, *, minutes: int = 0) -> str:
    """A call through the gateway `carrier`, answered after two seconds."""
    begin = STARTED_AT + timedelta(minutes=minutes)
    call_id, grant = await desk.start(tenant.credit, 1, dialled=dialled, direction="outgoing", started_at=begin)
    assert grant.refusal is None
    answered = begin + timedelta(seconds=2)
    end = {"answered_at": answered, "ended_at": answered + timedelta(seconds=seconds), "gateway_id": 7}
    await desk.finish(call_id, "0.05", seconds, **end)
    return call_id


@pytest.mark.asyncio
async def test_what_only_one_side_has_and_what_differs_is_told(
    desk: CallDesk, tenant: Tenant, dsn: str, tmp_path: Path
) -> None:
    """Case L1: calls that left without a record show on the carrier's bill."""
    await tenant.sql.execute(
        "INSERT INTO billing_gateway (id, name, host) VALUES (7, 'carrier', '192.0.2.1'), (8, 'other', '192.0.2.2');"
        "INSERT INTO billing_gatewayroute (gateway_id, prefix, strip, prepend) VALUES (7, '0', 1, '420')"
    )
    await call(desk, tenant, "420600000001", 20)
    longer = await call(desk, tenant, "420600000002", 20, minutes=1)
    ours = await call(desk, tenant, "420600000003", 20, minutes=2)
    await call(desk, tenant, "0600000004", 20, minutes=3)
    await call(desk, tenant, "420600000005", 20, minutes=4)
    await call(desk, tenant, "420600000005", 40, minutes=5)
    file = tmp_path / "carrier.csv"
    file.write_text(
        "called;start;duration\n"
        "420600000001;2030-01-01 13:00:03;21\n"
        "+420600000002;2030-01-01 13:01:02;95\n"
        "420906123123;2030-01-01 13:02:00;600\n"
        "420600000004;2030-01-01 13:03:02;20\n"
        "420600000005;2030-01-01 13:05:02;40\n"
        "420600000005;2030-01-01 13:04:02;20\n"
        "nobody;2030-01-01 13:04:02;20\n",
        encoding="utf-8",
    )
    configuration = write_configuration(tmp_path)
    configuration.write_text(configuration.read_text() + f'store: {{dsn: "{dsn}"}}\n')
    words = ("audit", "--carrier", str(file), "--timezone", "Europe/Prague")
    done = softswitch(configuration, *words, "--gateway", "carrier", "--json")
    assert done.returncode == 1, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    assert [(row["finding"], row["number"], row["line"]) for row in rows] == [
        ("cannot be read: 'nobody' is no number", "", 8),
        ("durations differ", "420600000002", 3),
        ("only the carrier has it", "420906123123", 4),
        ("only we have it", "420600000003", None),
    ]
    assert (rows[1]["call_id"], rows[3]["call_id"]) == (longer, ours)
    assert softswitch(configuration, *words).returncode == 2, "two gateways: which one?"
    assert softswitch(configuration, *words, "--gateway", "nobody").returncode == 2
    lines = file.read_text().splitlines()
    file.write_text(
        "\n".join([lines[0], lines[1], *lines[4:7]]) + "\n420600000002;2030-01-01 13:01:02;95\n"
        "420600000003;2030-01-01 13:02:02;20\n"
    )
    done = softswitch(configuration, *words, "--gateway", "carrier", "--tolerance", "100")
    assert (done.returncode, done.stderr) == (0, "")
    assert "agree" in done.stdout
