# SPDX-License-Identifier: Apache-2.0
"""Ranges of numbers, and numbers as telephone systems want and write them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from billing_client.rules.callerid import read_rules
from billing_client.rules.trunks import NumberRange, Trunk, TrunkPlace, read_range, read_trunk

RANGE = NumberRange(420222333000, 420222333099)


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("420222333000-420222333099", RANGE),
        ("+420222333000 - +420222333099", RANGE),
        ("420222444555", NumberRange(420222444555, 420222444555)),
        ("420222333099-420222333000", None),
        ("420222333-420222333099", None),
        ("101-199", None),
        ("0222333000-0222333099", None),
        ("", None),
        ("-", None),
        ("a-b", None),
        ("1234567890123456", None),
    ],
)
def test_a_range_has_public_numbers_of_one_length(written: str, found: NumberRange | None) -> None:
    assert read_range(written) == found


@pytest.mark.parametrize(
    ("number", "is_in"),
    [("420222333000", True), ("420222333099", True), ("420222333100", False), ("42022233304", False), ("x", False),
     ("0420222333042", False), ("", False)],
)  # fmt: skip
def test_both_ends_of_a_range_are_in_it(number: str, is_in: bool) -> None:
    assert RANGE.holds(number) is is_in


@pytest.mark.parametrize(
    ("trunk", "called", "caller"),
    [
        (Trunk(), "420222333042", "420222333042"),
        (Trunk(number_format="e164"), "+420222333042", "+420222333042"),
        (Trunk(number_format="national", country="420"), "222333042", "222333042"),
        (Trunk(number_format="national", country="420", national_prefix="0"), "0222333042", "0222333042"),
        (Trunk(number_format="national", country="44"), "420222333042", "420222333042"),
        (Trunk(number_format="last"), "042", "420222333042"),
        (Trunk(number_format="last", digits=4), "3042", "420222333042"),
    ],
)
def test_a_telephone_system_gets_numbers_in_its_form(trunk: Trunk, called: str, caller: str) -> None:
    assert (trunk.number("420222333042"), trunk.caller("420222333042")) == (called, caller)
    assert trunk.number("101") == trunk.caller("101") == "101"


@pytest.mark.parametrize(
    ("claimed", "shown"),
    [
        ("420222333042", "420222333042"),
        ("+420 222 333 042", "420222333042"),
        ("00420222333042", "420222333042"),
        ("0222333042", "420222333042"),
        ("042", "420222333042"),
        ("42", "420222333042"),
        ("3042", "420222333042"),
        ("2", ""),
        ("142", ""),
        ("420222333100", ""),
        ("420777000020", ""),
        ("112", ""),
    ],
)
def test_what_a_telephone_system_shows_is_found_in_its_range_however_it_writes_it(claimed: str, shown: str) -> None:
    written: dict[str, Any] = {
        "ranges": [list(RANGE)], "trunk": {"country": "420", "national_prefix": "0"},
    }  # fmt: skip
    assert read_rules(json.dumps(written), "501").find(claimed) == shown


def test_a_trunk_shows_its_first_number_unless_another_is_said() -> None:
    written: dict[str, Any] = {"ranges": [list(RANGE)], "trunk": {"sharing": "order"}}
    assert read_rules(json.dumps(written), "501").default == "420222333000"
    assert read_rules(json.dumps({**written, "default": "420222333001"}), "501").default == "420222333001"


def test_a_trunk_is_read_as_the_store_writes_it() -> None:
    assert read_trunk(None) is None
    assert read_trunk("{}") is None
    written = '{"to": [{"host": "192.0.2.1"}, {"host": "pbx", "port": 5070, "transport": "tcp"}], "sharing": "fair"}'
    assert read_trunk(written) == Trunk(to=(TrunkPlace("192.0.2.1"), TrunkPlace("pbx", 5070, "tcp")))
