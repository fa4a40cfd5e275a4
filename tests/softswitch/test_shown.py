# SPDX-License-Identifier: Apache-2.0
"""Text of strangers acts on no terminal, forges no line of a log and no cell of a spreadsheet (cases B6, G6)."""

from __future__ import annotations

import csv
import io
import json
import logging
import zipfile
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.printing.cells import harmless
from billing.printing.private_file import check_fits, private_table
from softswitch.cli.context import Column, PlainConsole, Shell
from softswitch.explaining.ticket import ticket
from softswitch.processes.logs import JsonFormatter, TextFormatter
from softswitch.shown import json_text, one_line, some_lines
from switch.sip.message.flow import Flow
from switch.trace.ladder import Crossing

if TYPE_CHECKING:
    from pathlib import Path

CLEAR = "\x1b[2J\x1b]0;owned\x07"
FORGED = "420\r\n12:00:00 switch  ready  node=sw1"
ODD = [
    CLEAR, FORGED, "\x9b31m", "\x85next", "a\u2028b", "\u202e0001", "caf\udce9", "nul\x00", "back\x08\x08", "\x7f",
    "\u200b7", "\U000e0041",
]  # fmt: skip
ACTED_ON = {*map(chr, range(32)), *map(chr, range(0x7F, 0xA0)), "\u2028", "\u2029", "\u202e", "\u2066"}


def shell() -> tuple[Shell, io.StringIO]:
    out = io.StringIO()
    return Shell(None, PlainConsole(file=out, width=120, force_terminal=False, highlight=False)), out  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ODD)
def test_a_table_shows_what_a_terminal_would_act_on_as_an_escape(text: str) -> None:
    """Case G6."""
    made, out = shell()
    made.show(
        [{"name": text, "phone": "snom"}], (Column("name", "Name"), Column("phone", "Phone")), as_json=False, nothing=""
    )
    lines = out.getvalue().splitlines()
    assert len(lines) == 3
    assert not ACTED_ON & set("".join(lines))
    assert lines[2].endswith("snom ") or lines[2].rstrip().endswith("snom")
    out.getvalue().encode()


@pytest.mark.parametrize("text", ODD)
def test_json_for_a_script_holds_the_text_itself_and_no_sign_that_a_terminal_acts_on(text: str) -> None:
    made, out = shell()
    made.json([{"name": text}])
    assert json.loads(out.getvalue()) == [{"name": text}]
    assert not (ACTED_ON - {"\n"}) & set(out.getvalue())


def test_whatever_is_printed_passes_the_console() -> None:
    made, out = shell()
    made.done(f"account {CLEAR}")
    made.out.print(f"{CLEAR}", markup=False)
    assert "\x1b" not in out.getvalue()
    assert "\\x1b[2J" in out.getvalue()


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("formatter", [TextFormatter("switch"), JsonFormatter("switch")])
def test_a_stranger_forges_no_log_line(formatter: logging.Formatter, text: str) -> None:
    """Cases B6, G6: a dialled number with a line end was two lines."""
    made = logging.LogRecord("switch", logging.INFO, __file__, 1, "call to %s ended", (text,), None)
    made.__dict__.update(dialled=text)
    line = formatter.format(made)
    assert not ACTED_ON & set(line)
    line.encode()


def test_a_traceback_keeps_its_lines_and_loses_their_escapes() -> None:
    made = logging.LogRecord("switch", logging.ERROR, __file__, 1, "failed", (), None)
    try:
        raise ValueError(CLEAR)
    except ValueError as error:
        made.exc_info = (type(error), error, error.__traceback__)
    line = TextFormatter("switch").format(made)
    assert "Traceback" in line.splitlines()[1]
    assert "\x1b" not in line


def test_a_carriers_ticket_holds_no_escapes() -> None:
    at = datetime(2026, 11, 22, 12, tzinfo=UTC)
    call = {
        "call_id": "1", "caller": CLEAR, "dialled": FORGED, "account": "101", "started_at": at, "answered_at": None,
        "ended_at": at + timedelta(seconds=1), "cause": 1, "sip_status": 404, "ended_by": "failure",
    }  # fmt: skip
    flow = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.2", 5060))
    data = b"INVITE sip:1@x SIP/2.0\r\nCall-ID: a\x1b[2J\r\nUser-Agent: \x1b]0;x\x07\xff\r\n\r\n"
    text = ticket(call, [Crossing(0.0, False, "a", flow, data)])
    assert not (ACTED_ON - {"\n"}) & set(text)
    assert sum(line.startswith("from ") for line in text.splitlines()) == 1


@given(st.text())
def test_any_text_is_one_line_that_can_be_written(text: str) -> None:
    shown = one_line(text)
    assert not ACTED_ON & set(shown)
    assert len(shown.splitlines()) <= 1
    shown.encode()
    assert one_line(shown) == shown
    assert one_line(some_lines(text)) == shown
    assert json.loads(json_text({"a": text})) == {"a": text}


@pytest.mark.parametrize("letters", ["Žďár", "München", "日本", "👍", "a b", "100 %"])
def test_honest_letters_stay_as_they_are(letters: str) -> None:
    assert one_line(letters) == letters


@pytest.mark.parametrize(
    "text", ["=1+1", "+420777", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", "'=1"]
)
def test_no_cell_begins_a_formula(text: str, tmp_path: Path) -> None:
    file = tmp_path / "accounts.csv"
    with private_table(file, ["name"]) as write:
        write([text])
    [_, [cell]] = csv.reader(io.StringIO(file.read_bytes().decode(), newline=""))
    assert cell == f"'{text}"


@pytest.mark.parametrize("value", [5, None, "420777", "", "O'Brien", "a=b"])
def test_what_begins_no_formula_stays(value: object) -> None:
    assert harmless(value) == value


def test_a_workbook_shows_long_numbers_whole(tmp_path: Path) -> None:
    """Case I6: 19 digits became 9.69E+18, leading zeros went."""
    file = tmp_path / "vouchers.xlsx"
    with private_table(file, ["id", "pin"]) as write:
        write(["9690000000000000001", "00420"])
        write([7, "=1+1"])
    assert file.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(file) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    for text in ("9690000000000000001", "00420", "=1+1"):
        assert f"<t>{text}</t></is></c>" in sheet
    assert "<f>" not in sheet
    assert "<v>" not in sheet


def test_more_lines_than_a_workbook_holds_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"name a \.csv file"):
        check_fits(tmp_path / "a.xlsx", 1_048_576)
    check_fits(tmp_path / "a.csv", 1_048_576)
    check_fits(tmp_path / "a.XLSX", 1_048_575)
