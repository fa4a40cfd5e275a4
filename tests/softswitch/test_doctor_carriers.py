# SPDX-License-Identifier: Apache-2.0
"""What the doctor says of carriers: those that the running switch asks last, and those that it is not registered at."""

from __future__ import annotations

from typing import Any

from softswitch.doctor import Finding, Verdict, carrier_findings

LINE = {"gateway": "north", "vendor": "North", "user": "u1", "registered": True, "seconds": 60, "at": "", "said": ""}
REST = {"gateway": "south", "address": "192.0.2.7:5060", "seconds": 30, "why": "it said 503"}


def told(*, lines: tuple[dict[str, Any], ...] = (), resting: tuple[dict[str, Any], ...] = ()) -> list[Finding]:
    return list(carrier_findings({"lines": lines, "resting": resting}))


def test_a_carrier_that_rests_is_told_with_its_reason_and_for_how_long() -> None:
    (found,) = told(lines=(LINE,), resting=(REST,))
    assert found.verdict is Verdict.WARNING
    assert found.text == "south at 192.0.2.7:5060 is asked last for another 30 s: it said 503"


def test_a_carrier_that_we_are_not_registered_at_is_bad_with_its_own_words() -> None:
    (found,) = told(lines=({**LINE, "registered": False, "said": "403 Forbidden"},))
    assert (found.verdict, found.text) == (Verdict.BAD, "not registered at north: 403 Forbidden")


def test_carriers_that_are_well_are_told_too() -> None:
    (found,) = told(lines=(LINE,))
    assert found.verdict is Verdict.GOOD


def test_where_no_switch_answers_nothing_is_said_of_carriers() -> None:
    assert list(carrier_findings(None)) == []
