# SPDX-License-Identifier: Apache-2.0
"""What people of many countries dial, and the number that it is; no store, no network."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_client.rules.countries import country, is_country
from billing_client.rules.dialling import NumberPlan, is_internal, plan_of
from billing_client.rules.numbering import read

PRAGUE = NumberPlan(country="CZ")
NEW_YORK = NumberPlan(country="US", area="212")
LONDON = NumberPlan(country="GB", area="20")
BERLIN = NumberPlan(country="DE", area="30")
ROME = NumberPlan(country="IT")
MOSCOW = NumberPlan(country="RU", area="495")
BUDAPEST = NumberPlan(country="HU", area="1")
SAN_MARINO = NumberPlan(country="SM")
COPENHAGEN = NumberPlan(country="DK")
REYKJAVIK = NumberPlan(country="IS")
TOKYO = NumberPlan(country="JP", area="3")
NOWHERE = NumberPlan()

DIALLED = [
    # plan, what is dialled, the number
    (PRAGUE, "777123001", "420777123001"),
    (PRAGUE, "777 123 001", "420777123001"),
    (PRAGUE, "00420777123001", "420777123001"),
    (PRAGUE, "+420777123001", "420777123001"),
    (PRAGUE, "420777123001", "420777123001"),
    (PRAGUE, "+420 777-123-001", "420777123001"),
    (PRAGUE, "00442079460000", "442079460000"),
    (PRAGUE, "442079460000", "442079460000"),
    (PRAGUE, "+00420777123001", "420777123001"),
    (PRAGUE, "1188", "1188"),
    (PRAGUE, "116123", "116123"),
    (NEW_YORK, "5550123", "12125550123"),
    (NEW_YORK, "6465550123", "16465550123"),
    (NEW_YORK, "16465550123", "16465550123"),
    (NEW_YORK, "+16465550123", "16465550123"),
    (NEW_YORK, "011420777123001", "420777123001"),
    (NEW_YORK, "+4202345678", "4202345678"),
    (NEW_YORK, "4202345678", "14202345678"),
    (NEW_YORK, "611", "611"),
    (LONDON, "02079460000", "442079460000"),
    (LONDON, "79460000", "442079460000"),
    (LONDON, "07700900123", "447700900123"),
    (LONDON, "00420777123001", "420777123001"),
    (LONDON, "442079460000", "442079460000"),
    (BERLIN, "030123456", "4930123456"),
    (BERLIN, "123456", "4930123456"),
    (BERLIN, "08912345678", "498912345678"),
    (BERLIN, "0043123456789", "43123456789"),
    (BERLIN, "+4930123456", "4930123456"),
    (ROME, "0669812345", "390669812345"),
    (ROME, "3471234567", "393471234567"),
    (ROME, "390669812345", "390669812345"),
    (ROME, "+390669812345", "390669812345"),
    (ROME, "00390669812345", "390669812345"),
    (MOSCOW, "89161234567", "79161234567"),
    (MOSCOW, "79161234567", "79161234567"),
    (MOSCOW, "1234567", "74951234567"),
    (MOSCOW, "810420777123001", "420777123001"),
    (MOSCOW, "88001234567", "78001234567"),
    (BUDAPEST, "06301234567", "36301234567"),
    (BUDAPEST, "2345678", "3612345678"),
    (SAN_MARINO, "0549886377", "3780549886377"),
    (COPENHAGEN, "32123456", "4532123456"),
    (COPENHAGEN, "004532123456", "4532123456"),
    (COPENHAGEN, "4532123456", "4532123456"),
    (REYKJAVIK, "5451234", "3545451234"),
    (TOKYO, "0312345678", "81312345678"),
    (TOKYO, "12345678", "81312345678"),
    (TOKYO, "010420777123001", "420777123001"),
    (NOWHERE, "00420777123001", "420777123001"),
    (NOWHERE, "+420777123001", "420777123001"),
    (NOWHERE, "420777123001", "420777123001"),
    (NOWHERE, "101", "101"),
    (NumberPlan(international=("9",)), "9420777123001", "420777123001"),
    (NumberPlan(country="DE", national="9"), "98912345678", "498912345678"),
]


@pytest.mark.parametrize(("plan", "dialled", "number"), DIALLED)
def test_what_people_dial_is_one_number_of_the_world(plan: NumberPlan, dialled: str, number: str) -> None:
    assert plan.normal(read(dialled)).text == number


@pytest.mark.parametrize(
    ("plan", "number", "shown"),
    [
        (PRAGUE, "420777123001", "777123001"),
        (PRAGUE, "442079460000", "00442079460000"),
        (NEW_YORK, "12125550123", "12125550123"),
        (NEW_YORK, "420777123001", "011420777123001"),
        (LONDON, "447700900123", "07700900123"),
        (BERLIN, "4930123456", "030123456"),
        (ROME, "390669812345", "0669812345"),
        (MOSCOW, "79161234567", "89161234567"),
        (MOSCOW, "420777123001", "810420777123001"),
        (BUDAPEST, "36301234567", "06301234567"),
        (NOWHERE, "420777123001", "420777123001"),
        (PRAGUE, "101", "101"),
        (PRAGUE, "alice", "alice"),
        (PRAGUE, "anonymous", "anonymous"),
    ],
)
def test_a_phone_sees_a_number_as_it_would_dial_it(plan: NumberPlan, number: str, shown: str) -> None:
    assert plan.shown(number) == shown


@given(
    st.sampled_from([PRAGUE, NEW_YORK, LONDON, BERLIN, ROME, MOSCOW, BUDAPEST, SAN_MARINO, COPENHAGEN, TOKYO, NOWHERE]),
    st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True),
)
def test_what_a_phone_is_shown_leads_back_to_the_same_number(plan: NumberPlan, number: str) -> None:
    assert plan.normal(read(plan.shown(number))).text == number


@given(
    st.sampled_from([PRAGUE, NEW_YORK, LONDON, BERLIN, ROME, MOSCOW, NOWHERE]),
    st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True),
)
def test_a_plus_is_the_same_number_everywhere(plan: NumberPlan, number: str) -> None:
    assert plan.normal(read(f"+{number}")).text == number


@pytest.mark.parametrize("written", ["*97", "*72420600000001", "#21#", "alice", "urn:service:sos"])
def test_star_codes_names_and_services_are_not_touched(written: str) -> None:
    assert PRAGUE.normal(read(written)).text == read(written).text


@pytest.mark.parametrize("written", ["112", "+112", "112;phone-context=+420", "1-1-2"])
def test_an_emergency_number_is_never_anything_else(written: str) -> None:
    plan = NumberPlan(country="DE", area="30", international=("1",), national="11")
    assert plan.normal(read(written), ("112",)).text == "112"


@pytest.mark.parametrize("written", ["00112", "0000420777123001", "00", "+00112", "00042077712"])
def test_a_prefix_for_abroad_with_no_number_of_the_world_after_it_is_refused(written: str) -> None:
    found = PRAGUE.normal(read(written))
    assert found.refusal == 484 or found.text == "00"


def test_a_short_number_is_no_beginning_of_a_foreign_country() -> None:
    plan = NumberPlan(country="CZ", short=("116xxx", "1188"))
    assert plan.normal(read("116123")).least == 3
    assert plan.normal(read("1188")).least == 4
    assert plan.normal(read("1181")).least == 4
    assert plan.normal(read("777123001")).least == 0


@pytest.mark.parametrize(
    "trick",
    [
        "+420900123456",
        "00420900123456",
        "420900123456",
        "900123456",
        "900 123 456",
        "+420-900-123-456",
        "900123456;isub=1234",
        "900123456;phone-context=+1",
        "900123456;phone-context=example.com",
        "+420900123456;npdi;rn=+19005550000",
        "00420900123456#",
        "+00420900123456",
    ],
)
def test_a_barred_number_is_the_same_however_it_is_dialled(trick: str) -> None:
    assert PRAGUE.normal(read(trick)).text == "420900123456"


def test_a_narrower_plan_says_what_differs_and_another_country_takes_nothing_over() -> None:
    node = NumberPlan(country="CZ", short=("1188",))
    assert NumberPlan(area="2").within(node) == NumberPlan(country="CZ", area="2", short=("1188",))
    assert NumberPlan(country="US").within(node) == NumberPlan(country="US")
    assert NumberPlan().within(node) is node
    customer = NumberPlan(country="US", area="212")
    assert NumberPlan(area="646").within(customer.within(node)) == NumberPlan(country="US", area="646")


def test_a_plan_comes_from_the_store_as_json() -> None:
    assert plan_of('{"country": "CZ", "short": ["1188"]}') == NumberPlan(country="CZ", short=("1188",))
    assert plan_of(None) == NumberPlan()


def test_countries_are_known_by_two_letters() -> None:
    assert is_country("cz")
    assert not is_country("XX")
    assert not is_country("001")
    found = country("IT")
    assert found is not None
    assert (found.code, found.trunk) == ("39", "")


def test_an_extension_has_few_digits() -> None:
    assert is_internal("101")
    assert is_internal("123456")
    assert not is_internal("1234567")
    assert not is_internal("*97")
    assert not is_internal("")
