# SPDX-License-Identifier: Apache-2.0
"""The reader of `ivr.menus`: auto attendants."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

from billing.reading.reader import did_you_mean
from ivr.apps import OFFERED
from ivr.apps.menu.hours import DAYS, Hours, Span
from ivr.apps.menu.settings import Closed, Menu, Target
from softswitch.config import values
from softswitch.config.document import WrongValueError
from softswitch.config.values import boolean, choice, integer, number, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from softswitch.config.document import Section

__all__ = ["read_menus", "sound_beside"]

TARGETS = ("dial", "menu", "app")
ONE_OF = "needs exactly one of dial, menu and app"
USUAL_DIGITS, MOST_DIGITS = 3, 8
SPAN = re.compile(r"\s*([0-9]{1,2}):([0-9][0-9])\s*-\s*([0-9]{1,2}):([0-9][0-9])\s*")
NUMBER = re.compile(r"\+?[0-9*#]{1,32}")


def read_menus(section: Section) -> dict[str, Menu]:
    """Every menu by its name; a target that is no menu yet is warned of."""
    with section:
        menus = {name: _menu(section.section(name)) for name in section.words()}
        for name, menu in menus.items():
            for where, target in _targets(menu):
                if target.menu is not None and target.menu not in menus:
                    path = f"{section.where(name)}.{where}.menu"
                    section.document.warn_at(
                        path, f'there is no menu "{target.menu}"{did_you_mean(target.menu, menus)}'
                    )
    return menus


def _targets(menu: Menu) -> Iterator[tuple[str, Target]]:
    yield from ((f"keys.{key}", target) for key, target in menu.keys.items())
    yield "hours.closed", menu.closed.then
    yield "timeout.then", menu.otherwise


def _menu(section: Section) -> Menu:
    plain = Menu()
    with section:
        with section.section("keys") as keys:
            found = {key: _key(keys, key) for key in keys.words()}
        with section.section("timeout") as timeout:
            seconds = timeout.value("seconds", number(1, 60), plain.seconds)
            tries = timeout.value("tries", integer(1, 20), plain.tries)
            with timeout.section("then") as then:
                otherwise = _target(timeout, "then", then)
        hours, closed = _hours(section)
        by_extension = section.value("dial_by_extension", boolean, False)
        digits = section.value("extension_digits", integer(2, MOST_DIGITS), USUAL_DIGITS)
        if section.has("extension_digits") and not by_extension:
            section.problem("extension_digits", "does nothing without dial_by_extension: true")
        return Menu(
            greeting=section.value("greeting", sound_beside(section), plain.greeting),
            language=section.value("language", values.name, None),
            account=section.value("account", _number, None),
            keys=found,
            extension_digits=digits if by_extension else 0,
            hours=hours,
            closed=closed,
            seconds=seconds,
            tries=tries,
            otherwise=otherwise,
        )


def _key(keys: Section, key: str) -> Target:
    if key not in set("0123456789*#"):
        keys.problem(key, f'"{key}" is no key of a telephone: 0 to 9, "*" or "#"')
    with keys.section(key) as section:
        target = _target(keys, key, section)
        if not any(section.has(word) for word in TARGETS):
            keys.problem(key, ONE_OF)
    return target


def _target(parent: Section, key: str, section: Section) -> Target:
    """One of dial, menu and app at most; `section` is what stands under `key`."""
    found = Target(
        dial=section.value("dial", _number, None),
        menu=section.value("menu", text, None),
        app=section.value("app", choice(*OFFERED), None),
        mailbox=section.value("mailbox", _number, None),
    )
    if sum(section.has(word) for word in TARGETS) > 1:
        parent.problem(key, ONE_OF)
    if found.mailbox is not None and found.app != "voicemail":
        section.problem("mailbox", "goes with app: voicemail only")
    return found


def _hours(menu: Section) -> tuple[Hours | None, Closed]:
    if not menu.has("hours"):
        return None, Closed()
    with menu.section("hours") as section:
        with section.section("open") as days:
            opened = _opened(days)
        if not section.has("open"):
            menu.problem("hours", 'has no open, such as {mon-fri: "08:00-17:00"}')
        holidays = section.values("holidays", _holiday, ())
        with section.section("closed") as shut:
            greeting = shut.value("greeting", sound_beside(section), None)
            then = _target(section, "closed", shut)
        zone = section.value("timezone", _timezone, "UTC")
    dates = frozenset(day for day in holidays if isinstance(day, date))
    yearly = frozenset(day for day in holidays if isinstance(day, tuple))
    hours = Hours(timezone=zone, open=opened, holidays=dates, yearly=yearly)
    return hours, Closed(greeting=greeting, then=then)


def _opened(days: Section) -> dict[int, tuple[Span, ...]]:
    """Spans of each day; those of a day that is named twice go together."""
    opened: dict[int, tuple[Span, ...]] = {}
    for words in days.words():
        spans = tuple(span for group in days.values(words, _spans, ()) for span in group)
        for day in _days(days, words):
            opened[day] = opened.get(day, ()) + spans
    return opened


def _days(section: Section, words: str) -> Iterator[int]:
    """`mon-fri`, `sat`, `mon,wed`, `daily`."""
    if words.lower() == "daily":
        yield from range(7)
        return
    for part in words.lower().split(","):
        first, dash, last = (word.strip() for word in part.partition("-"))
        wrong = next((word for word in (first, last if dash else first) if word not in DAYS), None)
        if wrong is not None:
            section.problem(words, f'"{wrong}" is no day: mon to sun, or daily{did_you_mean(wrong, DAYS)}')
            return
        begin, end = DAYS.index(first), DAYS.index(last if dash else first)
        yield from (day % 7 for day in range(begin, end + 1 if end >= begin else end + 8))


def _spans(value: str) -> tuple[Span, ...]:
    return tuple(_span(part) for part in value.split(","))


def _span(value: str) -> Span:
    match = SPAN.fullmatch(value)
    if not match:
        raise WrongValueError(f'expected hours such as "08:00-17:00", not "{value.strip()}"')
    begin, end = (int(hour) * 60 + int(minute) for hour, minute in (match.groups()[:2], match.groups()[2:]))
    if begin >= 24 * 60 or end > 24 * 60 or int(match[2]) > 59 or int(match[4]) > 59:
        raise WrongValueError(f'"{value.strip()}" is no time of a day: 00:00 to 24:00')
    return Span(begin, end)


def _holiday(value: str) -> date | tuple[int, int]:
    """`2026-12-24`, or `12-24` of every year."""
    try:
        if re.fullmatch(r"[0-9][0-9]-[0-9][0-9]", value):
            day = date.fromisoformat(f"2024-{value}")
            return day.month, day.day
        return date.fromisoformat(value)
    except ValueError:
        raise WrongValueError(
            f'expected a date such as "2026-12-24", or "12-24" of every year, not "{value}"'
        ) from None


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, OSError, ValueError):
        raise WrongValueError(f'unknown time zone "{value}"{did_you_mean(value, available_timezones())}') from None
    return value


def _number(value: str) -> str:
    if not NUMBER.fullmatch(value):
        raise WrongValueError(f'"{value}" is no number: digits, "*" and "#"')
    return value


def sound_beside(section: Section) -> Callable[[str], str]:
    """A prompt's id, or a file whose path counts from the configuration file's."""

    def parse(value: str) -> str:
        if re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", value):
            return value
        file = (section.document.file.parent / value).resolve()
        if not file.is_file():
            raise WrongValueError(f'"{value}" is neither the id of a prompt nor a file')
        return str(file)

    return parse
