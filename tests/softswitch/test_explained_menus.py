# SPDX-License-Identifier: Apache-2.0
"""`explain` of a number that leads to a menu names the menu, its hours and its keys, as the media server takes them."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from ivr.apps.menu.hours import Hours, Span
from ivr.apps.menu.settings import Closed, Menu, Target
from softswitch.explaining.menus import with_menus

OFFICE = Menu(
    keys={"1": Target(dial="101"), "9": Target(app="voicemail", mailbox="100")},
    hours=Hours(timezone="Europe/Prague", open={0: (Span(9 * 60, 17 * 60),)}, holidays=frozenset({date(2026, 12, 7)})),
    closed=Closed(then=Target(menu="night")),
    otherwise=Target(dial="100"),
)
REASON = {"at": 0.0, "kind": "ring", "text": "the media server is asked for menu office", "data": {"menu": "office"}}


def told(at: datetime, **menus: Menu) -> list[str]:
    """What `explain` says of menu "office" at an instant."""
    return [step["text"] for step in with_menus([REASON], menus, at)]


def test_an_open_menu_tells_where_each_key_leads() -> None:
    assert told(datetime(2026, 11, 30, 9, 0, tzinfo=UTC), office=OFFICE) == [
        "the media server is asked for menu office",
        "menu office is open at Mon 2026-11-30 10:00 (Europe/Prague)",
        "key 1: 101 is called",
        "key 9: voicemail of 100",
        "no key after 3 tries: 100 is called",
    ]


@pytest.mark.parametrize(
    ("at", "why"),
    [
        (datetime(2026, 12, 1, 9, 0, tzinfo=UTC), "closed at Tue 2026-12-01 10:00"),
        (datetime(2026, 12, 7, 9, 0, tzinfo=UTC), "closed for a holiday at Mon 2026-12-07 10:00"),
    ],
)
def test_a_closed_menu_tells_why_and_what_callers_get_instead(at: datetime, why: str) -> None:
    assert told(at, office=OFFICE)[1:] == [f"menu office is {why} (Europe/Prague)", "closed: menu night"]


def test_a_menu_that_nobody_has_written_is_told() -> None:
    assert told(datetime(2026, 12, 1, tzinfo=UTC))[1:] == ["there is no menu office in ivr.menus"]


def test_what_leads_to_no_menu_stays_as_it_is() -> None:
    other = {**REASON, "data": {"name": "echo"}}
    assert with_menus([other], {"office": OFFICE}, datetime(2026, 12, 1, tzinfo=UTC)) == [other]
