# SPDX-License-Identifier: Apache-2.0
"""The rule of numbers for any text at all: digits, a code, a service, a name or a refusal; the same for everybody."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from billing_client.parties import Parties
from billing_client.rules.books import Gateway, Route
from billing_client.rules.numbering import MOST_DIGITS, Emergency, e164, name_problem, read, shown
from billing_client.rules.rating import RateBook, RouteBook
from switch.routing.number import number_of
from switch.routing.plan import DialPlan, Plan, called, plan_call
from switch.sip.message.errors import ParseError
from switch.sip.message.flow import Flow
from switch.sip.message.uri import Uri
from switch.trace.trace import Trace
from tests.switch.routing.test_plan import ALICE, NOW, PHONE, rate

CARRIER = Gateway(1, "carrier", "192.0.2.1", 5060, "udp")
FLOW = Flow("udp", ("192.0.2.9", 5060), ("192.0.2.8", 5060))
RATES = RateBook.of({1: [rate(prefix, "0.1") for prefix in ("", "4", "42", "420", "4207", "84", "1")]})
ROUTES = RouteBook([CARRIER], [Route(CARRIER, "", 1), Route(CARRIER, "84", 1), Route(CARRIER, "112", 1)])
EMERGENCY = Emergency(("112",), {"police": "110"})

PIECES = (
    "420777", "84", "112", "+", "*", "#", "-", ".", " ", "(", ")", ";", ";npdi", ";rn=+1900", ";ext=5", "@",
    "@pstn", "%", "%3B", "/", ",", "_", "\t", "\r\n", "\0", "\x1b[2J", "\u0664\u0662", "\uff14", "\u00b2", "\u202e",
    "\u00a0", "x", "0x1f", "\U0001f4de", "\u2028", "\udcff", "192.0.2.1", "::1", "urn:service:sos",
    "1e3", "-1", "\u0660", "\u2488",
)  # fmt: skip
texts = st.text(max_size=80) | st.lists(st.sampled_from(PIECES), max_size=6).map("".join)


@given(texts)
@example("1" * 65)
@example("420%2540pstn")
@example("#")
def test_any_text_is_one_thing_in_one_spelling(text: str) -> None:
    found = read(text)
    match found.kind:
        case "number":
            assert re.fullmatch("[0-9]{1,64}", found.text)
        case "code":
            assert re.fullmatch("[*#][0-9*#]*", found.text)
        case "emergency":
            assert found.text.startswith("urn:service:sos")
        case "name":
            assert found.text.isprintable()
            assert not set(found.text) & set(";@%")
        case kind:
            assert kind in ("credential", "wrong", "nothing")
            assert 400 <= found.refusal < 500
    assert found.text.isprintable()
    if not found.refusal:
        assert read(found.text) == found
        assert name_problem(text) is None or found.text != text or found.kind != "number"


@given(texts)
def test_what_leaves_is_what_was_rated_and_routed(text: str) -> None:
    """Case A5, for any text: a carrier gets digits that are the record's, by the longest prefix of all of them."""
    destination = called(Uri("sip", text, "192.0.2.8"), ("192.0.2.8",), FLOW, EMERGENCY)
    if destination.refusal is not None:
        return
    dialled = destination.number
    decided = plan_call(Parties(ALICE, None, ()), dialled, PHONE, DialPlan(RATES, ROUTES, EMERGENCY), NOW, Trace())
    if not isinstance(decided, Plan):
        assert decided.status in (404, 484)
        return
    assert re.fullmatch("[0-9]{1,32}", dialled)
    for route in decided.routes:
        assert route.number(dialled) == dialled
        assert route.prefix != "112" or dialled == "112"
    if decided.rate is not None:
        prefixes = [prefix for prefix in ("", "4", "42", "420", "4207", "84", "1") if dialled.startswith(prefix)]
        assert decided.rate.prefix == max(prefixes, key=len)


@given(texts.filter(lambda text: text and not re.search("[\ud800-\udfff]", text)))
def test_escapes_and_schemes_change_nothing(text: str) -> None:
    escaped = quote(text, safe="")
    assert number_of(Uri.parse(f"sip:{escaped}@192.0.2.8;npdi;rn=+1")) == read(text)
    assert number_of(Uri.parse(f"sips:{escaped}@192.0.2.8")) == read(text)
    assert number_of(Uri.parse(f"TEL:{escaped};npdi;rn=+1")) == read(text)


@given(st.text(max_size=60))
def test_any_uri_is_a_number_or_none(text: str) -> None:
    try:
        uri = Uri.parse(text)
    except ParseError:
        return
    assert number_of(uri).text.isprintable()


@pytest.mark.parametrize(
    ("number", "sent"),
    [
        ("420777123001", "+420777123001"), ("1234567", "+1234567"), ("123456", "123456"), ("101", "101"),
        ("112", "112"),
        ("0777123001", "0777123001"), ("1" * 15, "+" + "1" * 15), ("1" * 16, "1" * 16), ("bob", "bob"), ("", ""),
    ],
)  # fmt: skip
def test_a_plus_stands_before_what_the_whole_world_can_dial(number: str, sent: str) -> None:
    """Case B4."""
    assert e164(number) == sent
    assert Route(replace(CARRIER, number_format="e164"), "", 1).number(number) == sent
    assert Route(CARRIER, "", 1).number(number) == number


def test_no_number_is_longer_than_carriers_take() -> None:
    assert read("1" * MOST_DIGITS).outside == 0
    assert read("1" * (MOST_DIGITS + 1)).outside == 484


@pytest.mark.parametrize(
    ("service", "number"),
    [
        ("urn:service:sos", "112"), ("urn:service:sos.police", "110"), ("URN:SERVICE:SOS.POLICE", "110"),
        ("urn:service:sos.police.municipal", "110"), ("urn:service:sos.mountain", "112"),
    ],
)  # fmt: skip
def test_a_service_has_the_number_of_its_kind_or_the_first(service: str, number: str) -> None:
    """Case B2 (RFC 5031 section 4.2)."""
    assert EMERGENCY.number_for(service) == number
    assert Emergency().number_for(service) == ""


def test_a_service_without_any_number_is_not_found() -> None:
    found = called(Uri.parse("urn:service:sos"), (), FLOW, Emergency())
    assert found.refusal is not None
    assert found.refusal.status == 404


@given(st.text(max_size=400))
def test_what_is_shown_is_one_line(text: str) -> None:
    """Case B6."""
    assert shown(text).isprintable()
    assert len(shown(text)) <= 255
