# SPDX-License-Identifier: Apache-2.0
"""Auto attendants of config.yaml: what is read, and how mistakes are told."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from ivr.apps.menu.hours import Span
from ivr.apps.menu.settings import Closed, Target
from softswitch.config import ConfigurationInvalidError, check, load

if TYPE_CHECKING:
    from pathlib import Path

    from ivr.apps.menu.settings import Menu

FULL = """
ivr:
  prompts_dir: sounds
  menus:
    reception:
      greeting: sounds/hello.mp3
      language: cs
      account: "100"
      keys:
        1: {dial: "101"}
        2: {menu: sales}
        8: {app: voicemail, mailbox: "100"}
        "*": {app: echo}
      dial_by_extension: true
      extension_digits: 4
      timeout: {seconds: 7, tries: 2, then: {dial: "100"}}
      hours:
        timezone: Europe/Prague
        open: {mon-fri: "08:00-12:00, 13:00-17:00", "sat,sun": "22:00-02:00", mon: 18:00-19:00}
        holidays: [2026-12-24, 01-01]
        closed: {greeting: aa-closed, app: voicemail, mailbox: "100"}
    sales: {greeting: welcome}
"""


def menus(tmp_path: Path, text: str) -> dict[str, Menu]:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    return dict(load(file).ivr.menus)


def problems(tmp_path: Path, menu: str) -> str:
    with pytest.raises(ConfigurationInvalidError) as caught:
        menus(tmp_path, f"ivr:\n  menus:\n    reception:\n      {menu}\n")
    return str(caught.value)


def test_all_of_a_menu_is_read(tmp_path: Path) -> None:
    (tmp_path / "sounds").mkdir()
    (tmp_path / "sounds" / "hello.mp3").touch()
    found = menus(tmp_path, FULL)["reception"]
    assert found.greeting == str((tmp_path / "sounds" / "hello.mp3").resolve())
    assert found.keys["8"] == Target(app="voicemail", mailbox="100")
    assert (found.language, found.account, found.extension_digits) == ("cs", "100", 4)
    assert (found.seconds, found.tries, found.otherwise) == (7, 2, Target(dial="100"))
    assert found.closed == Closed(greeting="aa-closed", then=Target(app="voicemail", mailbox="100"))
    hours = found.hours
    assert hours is not None
    assert hours.timezone == "Europe/Prague"
    assert hours.open[0] == (Span(480, 720), Span(780, 1020), Span(1080, 1140))
    assert hours.open[6] == (Span(1320, 120),)
    assert (hours.holidays, hours.yearly) == (frozenset({date(2026, 12, 24)}), frozenset({(1, 1)}))


def test_a_menu_without_hours_is_always_open(tmp_path: Path) -> None:
    found = menus(tmp_path, "ivr: {menus: {a: {keys: {1: {dial: '1'}}}}}")["a"]
    assert (found.hours, found.extension_digits) == (None, 0)


@pytest.mark.parametrize(
    ("menu", "complaint"),
    [
        ("greting: welcome", 'config.yaml:4: ivr.menus.reception.greting: unknown key (did you mean "greeting"?)'),
        ("greeting: no/such.wav", '"no/such.wav" is neither the id of a prompt nor a file'),
        ("keys: {x: {dial: '1'}}", '"x" is no key of a telephone'),
        ("keys: {1: {}}", "config.yaml:4: ivr.menus.reception.keys.1: needs exactly one of dial, menu and app"),
        ("keys: {1: {dial: '1', app: echo}}", "needs exactly one of dial, menu and app"),
        ("keys: {1: {app: ecco}}", '(did you mean "echo"?)'),
        ("keys: {1: {dial: bob}}", '"bob" is no number'),
        ("keys: {1: {app: echo, mailbox: '1'}}", "goes with app: voicemail only"),
        ("hours: {open: {mon-fry: '08:00-17:00'}}", '"fry" is no day: mon to sun, or daily (did you mean "fri"?)'),
        ("hours: {open: {mon: 8-17}}", 'expected hours such as "08:00-17:00", not "8-17"'),
        ("hours: {open: {mon: '08:00-24:30'}}", "is no time of a day"),
        ("hours: {opn: {mon: '08:00-17:00'}}", 'unknown key (did you mean "open"?)'),
        ("hours: {open: {daily: '8:00-9:00'}, timezone: Europe/Praha}", 'unknown time zone "Europe/Praha"'),
        ("hours: {open: {daily: '8:00-9:00'}, holidays: [24.12.]}", 'expected a date such as "2026-12-24"'),
        (
            "hours: {open: {daily: '8:00-9:00'}, closed: {dial: '1', menu: x}}",
            "needs exactly one of dial, menu and app",
        ),
        ("hours: {timezone: UTC}", "ivr.menus.reception.hours: has no open"),
        ("timeout: {trys: 3}", 'unknown key (did you mean "tries"?)'),
        ("extension_digits: 3", "does nothing without dial_by_extension: true"),
    ],
)
def test_mistakes_are_told_with_their_line(tmp_path: Path, menu: str, complaint: str) -> None:
    assert complaint in problems(tmp_path, menu)


@pytest.mark.parametrize(
    "menu",
    [
        "keys: {1: {menu: sale}}",
        "timeout: {then: {menu: sale}}",
        "hours: {open: {mon: '08:00-17:00'}, closed: {menu: sale}}",
    ],
)
def test_a_menu_that_is_not_there_yet_is_warned_of(tmp_path: Path, menu: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"ivr:\n  menus:\n    sales: {{}}\n    reception:\n      {menu}\n")
    [warning] = check(file)[1]
    assert warning.text == 'there is no menu "sale" (did you mean "sales"?)'
