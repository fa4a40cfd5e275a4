# SPDX-License-Identifier: Apache-2.0
"""Grammars: sentences by their text, and that nothing is ever said that no prompt is there for."""

from __future__ import annotations

import itertools
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_client.rules.currencies import amount_text
from ivr.say import GRAMMARS, grammar
from prompts import FOLDER
from softswitch.speech.catalogue import read_catalogue

if TYPE_CHECKING:
    from ivr.say.common import Grammar, MessageKind
    from ivr.verbs import Spoken

KINDS: tuple[MessageKind, ...] = ("new", "old", "saved", "urgent", "any")
CURRENCIES = ("USD", "EUR", "CZK", "GBP", "PLN", "JPY", "KWD", "CLF")
PROMPTS = {language: read_catalogue(FOLDER / language / "catalogue.yaml").prompts for language in GRAMMARS}
languages = pytest.mark.parametrize("language", sorted(GRAMMARS))
NOW = datetime(2026, 11, 5, 12, 0)  # noqa: DTZ001 (the listener's time)


def text(language: str, spoken: Spoken) -> str:
    return " ".join(PROMPTS[language][prompt].text for prompt in spoken.prompts if prompt != "pause")


def missing(language: str, *said: Spoken) -> set[str]:
    return {prompt for spoken in said for prompt in spoken.prompts} - set(PROMPTS[language])


@languages
def test_all_numbers_to_ten_thousand_and_around_every_scale_have_their_prompts(language: str) -> None:
    say = grammar(language)
    around = (
        scale * times + near
        for scale in (10**3, 10**6, 10**9, 10**12)
        for times in range(1, 30)
        for near in range(-3, 4)
    )
    assert missing(language, *map(say.number, itertools.chain(range(-1, 10_000), around))) == set()


@languages
def test_every_day_of_a_leap_year_and_every_year_of_two_centuries_has_its_prompts(language: str) -> None:
    say = grammar(language)
    days = [date(2028, 1, 1) + timedelta(days=day) for day in range(366)]
    years = [date(year, 3, 1) for year in range(1900, 2100)]
    assert missing(language, *map(say.date, days + years)) == set()
    moments = (datetime.combine(day, time(9, 5)) for day in days)
    assert missing(language, *(say.moment(at, NOW) for at in moments)) == set()


@languages
def test_every_minute_of_a_day_has_its_prompts(language: str) -> None:
    minutes = (time(*divmod(minute, 60)) for minute in range(24 * 60))
    assert missing(language, *map(grammar(language).time, minutes)) == set()


@languages
def test_every_duration_to_three_hours_and_counts_of_messages_have_their_prompts(language: str) -> None:
    say = grammar(language)
    assert missing(language, *map(say.duration, range(-1, 3 * 3600 + 5))) == set()
    assert missing(language, say.duration(10**7, ("day", "hour")), say.duration(59, ("minute",))) == set()
    assert missing(language, *(say.messages(count, kind) for count in range(300) for kind in KINDS)) == set()


@languages
@pytest.mark.parametrize("currency", CURRENCIES)
def test_every_amount_to_one_hundred_has_its_prompts(language: str, currency: str) -> None:
    amounts = (Decimal(minor) / 100 for minor in range(-250, 10_001))
    assert missing(language, *(grammar(language).money(amount, currency) for amount in amounts)) == set()


@languages
@given(
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9), st.sampled_from(CURRENCIES)
)
def test_any_amount_has_its_prompts(language: str, amount: Decimal, currency: str) -> None:
    assert missing(language, grammar(language).money(amount, currency)) == set()


@languages
@given(st.text())
def test_any_number_or_name_has_its_prompts_and_is_never_silence(language: str, number: str) -> None:
    spoken = grammar(language).telephone(number)
    assert missing(language, spoken) == set()
    assert spoken.prompts


@pytest.mark.parametrize(
    ("value", "english", "czech"),
    [
        (0, "zero", "nula"),
        (1, "one", "jedna"),
        (21, "twenty-one", "dvacet jedna"),
        (100, "one hundred", "sto"),
        (205, "two hundred five", "dvě stě pět"),
        (1000, "one thousand", "tisíc"),
        (2026, "two thousand twenty-six", "dva tisíce dvacet šest"),
        (5000, "five thousand", "pět tisíc"),
        (1_000_001, "one million one", "milion jedna"),
        (2_000_000_000, "two billion", "dvě miliardy"),
        (-7, "minus seven", "mínus sedm"),
    ],
)
def test_numbers(value: int, english: str, czech: str) -> None:
    assert text("en", grammar("en").number(value)) == english
    assert text("cs", grammar("cs").number(value)) == czech


@pytest.mark.parametrize(
    ("amount", "currency", "english", "czech"),
    [
        ("1", "CZK", "one crown", "jedna koruna"),
        ("2", "CZK", "two crowns", "dvě koruny"),
        ("5", "CZK", "five crowns", "pět korun"),
        ("22", "CZK", "twenty-two crowns", "dvacet dva korun"),
        ("1.02", "USD", "one dollar and two cents", "jeden dolar dva centy"),
        ("2.01", "EUR", "two euros and one cent", "dvě eura jeden cent"),
        ("0.30", "EUR", "thirty cents", "třicet centů"),
        ("-5.30", "GBP", "minus five pounds and thirty pence", "mínus pět liber třicet pencí"),
        ("0", "USD", "zero dollars", "nula dolarů"),
        ("-0.004", "USD", "zero dollars", "nula dolarů"),
        ("9.999", "USD", "nine dollars and ninety-nine cents", "devět dolarů devadesát devět centů"),
        ("12.50", "PLN", "twelve point five zero P L N", "dvanáct čárka pět nula P L N"),
    ],
)
def test_money(amount: str, currency: str, english: str, czech: str) -> None:
    assert text("en", grammar("en").money(Decimal(amount), currency)) == english
    assert text("cs", grammar("cs").money(Decimal(amount), currency)) == czech


@pytest.mark.parametrize(
    ("count", "english", "czech"),
    [
        (0, "no new messages", "žádné nové zprávy"),
        (1, "one new message", "jednu novou zprávu"),
        (2, "two new messages", "dvě nové zprávy"),
        (4, "four new messages", "čtyři nové zprávy"),
        (5, "five new messages", "pět nových zpráv"),
        (101, "one hundred one new messages", "sto jedna nových zpráv"),
    ],
)
def test_counts_of_messages(count: int, english: str, czech: str) -> None:
    assert text("en", grammar("en").messages(count, "new")) == english
    assert text("cs", grammar("cs").messages(count, "new")) == czech


@pytest.mark.parametrize(
    ("seconds", "english", "czech"),
    [
        (0.4, "zero seconds", "nula sekund"),
        (1, "one second", "jedna sekunda"),
        (62, "one minute and two seconds", "jedna minuta dvě sekundy"),
        (3 * 60, "three minutes", "tři minuty"),
        (3600 + 5 * 60 + 9, "one hour five minutes and nine seconds", "jedna hodina pět minut devět sekund"),
    ],
)
def test_durations(seconds: float, english: str, czech: str) -> None:
    assert text("en", grammar("en").duration(seconds)) == english
    assert text("cs", grammar("cs").duration(seconds)) == czech


def test_times() -> None:
    def both(hour: int, minute: int) -> tuple[str, str]:
        at = time(hour, minute)
        return text("en", grammar("en").time(at)), text("cs", grammar("cs").time(at))

    assert both(0, 0) == ("midnight", "nula hodin")
    assert both(1, 1) == ("one oh one A M", "jedna hodina jedna minuta")
    assert both(9, 0) == ("nine o'clock A M", "devět hodin")
    assert both(12, 0) == ("noon", "dvanáct hodin")
    assert both(14, 30) == ("two thirty P M", "čtrnáct hodin třicet minut")


def test_dates_and_moments() -> None:
    en, cs = grammar("en"), grammar("cs")
    assert text("en", en.date(date(2026, 11, 3))) == "November third twenty twenty-six"
    assert text("cs", cs.date(date(2026, 11, 3))) == "třetího listopadu dva tisíce dvacet šest"
    assert text("en", en.date(date(2009, 1, 1))) == "January first two thousand nine"
    assert text("en", en.date(date(1905, 1, 1))) == "January first nineteen oh five"
    at = datetime(2026, 11, 3, 9, 0)  # noqa: DTZ001
    assert text("en", en.moment(at, NOW)) == "Tuesday November third at nine o'clock A M"
    assert text("cs", cs.moment(at, NOW)) == "úterý třetího listopadu devět hodin"
    assert text("en", en.moment(at, at)) == "today at nine o'clock A M"
    assert text("cs", cs.moment(at, at + timedelta(days=1))) == "včera devět hodin"
    assert text("en", en.moment(at, NOW.replace(year=2027))).startswith("Tuesday November third twenty twenty-six at")


@pytest.mark.parametrize(
    ("number", "groups"),
    [
        ("101", "101"),
        ("5551234", "555 1234"),
        ("420777123456", "420 777 123 456"),
        ("18005550100", "1 800 555 0100"),
        ("42027777100", "42 027 777 100"),
        ("+4420", "+4420"),
    ],
)
def test_telephone_numbers_are_told_in_groups(number: str, groups: str) -> None:
    short = {"pause": " ", "digit-plus": "+"}
    said = grammar("en").telephone(number).prompts
    assert "".join(short.get(prompt, prompt.removeprefix("digit-")) for prompt in said) == groups


def test_names_are_spelled_and_nobody_is_an_unknown_caller() -> None:
    assert text("en", grammar("en").telephone("bob.7")) == "B O B seven"
    assert text("en", grammar("en").telephone("anonymous")) == "an unknown caller"
    assert text("cs", grammar("cs").telephone("")) == "neznámý volající"
    assert text("cs", grammar("cs").digits("1*#")) == "jedna hvězdička křížek"


def test_a_variant_of_a_language_is_that_language_and_an_unknown_one_is_english() -> None:
    found: list[Grammar] = [grammar("cs-CZ"), grammar("en-GB"), grammar("xx")]
    assert [one.language for one in found] == ["cs", "en", "en"]


@pytest.mark.parametrize(
    ("amount", "currency", "english"),
    [
        ("0.005", "KWD", "zero point zero zero five K W D"),
        ("1.500", "KWD", "one point five zero zero K W D"),
        ("0.5", "JPY", "zero J P Y"),
        ("1500", "JPY", "one thousand five hundred J P Y"),
        ("12.5", "PLN", "twelve point five zero P L N"),
        ("0.0001", "CLF", "zero point zero zero zero one C L F"),
        ("0.019", "USD", "one cent"),
    ],
)
def test_money_is_told_with_the_decimals_of_its_currency(amount: str, currency: str, english: str) -> None:
    """Case K3."""
    told = text("en", grammar("en").money(Decimal(amount), currency))
    assert told.lower() == english.lower()


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        ("5", "USD", "5.00"), ("0.00125", "USD", "0.00125"), ("500.00000", "JPY", "500"), ("0.50000", "JPY", "0.5"),
        ("1.5", "KWD", "1.500"), ("-7.1", "EUR", "-7.10"), ("2", None, "2.00"), ("2", "", "2.00"),
    ],
)  # fmt: skip
def test_money_is_written_with_the_decimals_of_its_currency(amount: str, currency: str | None, written: str) -> None:
    """Case K3."""
    assert amount_text(Decimal(amount), currency) == written
