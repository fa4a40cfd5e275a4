# SPDX-License-Identifier: Apache-2.0
"""Auto attendants, told as the stories of calls; opening hours over the days on which clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from ivr.apps.menu.attendant import menu
from ivr.apps.menu.hours import Hours, Span, opening_at
from ivr.apps.menu.settings import Closed, Menu, Target
from ivr.scripted.scripted import ScriptedCaller, Story

if TYPE_CHECKING:
    from ivr.server.runner import Application
    from ivr.verbs import Ivr

PRAGUE = ZoneInfo("Europe/Prague")
OFFICE = Hours(
    timezone="Europe/Prague",
    open={
        **{day: (Span(8 * 60, 12 * 60), Span(13 * 60, 17 * 60)) for day in range(5)},
        5: (Span(22 * 60, 2 * 60 + 30),),
    },
    holidays=frozenset({date(2026, 12, 23)}),
    yearly=frozenset({(12, 24)}),
)
RECEPTION = Menu(
    keys={
        "1": Target(dial="101"),
        "2": Target(menu="sales"),
        "9": Target(app="voicemail"),
        "8": Target(app="voicemail", mailbox="100"),
        "*": Target(app="echo"),
        "#": Target(),
    }
)
SALES = Menu(greeting="aa-welcome", keys={"1": Target(dial="201"), "0": Target(menu="reception")}, language="cs")


def caller(name: str = "reception", *, account: str | None = "300") -> ScriptedCaller:
    return ScriptedCaller("42075553333", account=account, parameters={"name": name}).dials("100", app="menu")


async def are_colleagues(account: str, extension: str) -> bool:
    """100 and 300 have colleague 105; 1188 is a dear number elsewhere, 777 an account of another customer."""
    return account in ("100", "300") and extension == "105"


def run(
    script: ScriptedCaller,
    menus: dict[str, Menu] | None = None,
    at: datetime = datetime(2026, 11, 25, 12, 30, tzinfo=UTC),
) -> Story:
    def application(name: str) -> Application:
        async def told(call: Ivr) -> None:
            details = call.details
            assert details.application == name
            await call.play("vm-welcome" if details.target is None else f"digit-{details.target[0]}")

        return told

    applications = {name: application(name) for name in ("voicemail", "voicemail-access", "echo")}
    known = {"reception": RECEPTION, "sales": SALES} if menus is None else menus
    started = partial(
        menu, menus=lambda: known, applications=lambda: applications, are_colleagues=are_colleagues, now=lambda: at
    )
    return script.run(started)


def test_a_key_connects_to_a_number_on_the_callers_own_account() -> None:
    story = run(
        caller().answers_dial("101", talks=5).hears("welcome").presses("1").hears("aa-transfer").talks_to("101")
    )
    [request] = story.dialled
    assert (request.account, request.caller, request.diverted) == ("300", "42075553333", False)


def test_a_caller_from_outside_is_connected_at_the_expense_of_the_menus_account() -> None:
    menus = {"reception": Menu(keys={"1": Target(dial="101")}, account="100")}
    story = run(
        caller(account=None).answers_dial("101").hears("welcome").presses("1").talks_to("101").hangs_up(), menus
    )
    assert (story.dialled[0].account, story.dialled[0].diverted) == ("100", True)


def test_nobody_pays_for_a_stranger_where_the_menu_has_no_account() -> None:
    story = run(caller(account=None).hears("welcome").presses("1").hears("aa-unavailable", "welcome").hangs_up())
    assert story.dialled == []


@pytest.mark.parametrize(
    ("status", "prompt"), [(486, "vm-call-busy"), (404, "aa-no-such-extension"), (503, "vm-call-failed")]
)
def test_who_cannot_be_connected_is_told_why_and_gets_the_menu_again(status: int, prompt: str) -> None:
    run(caller().fails_dial("101", status).hears("welcome").presses("1").until(prompt).hears("welcome").hangs_up())


def test_a_key_leads_to_another_menu_in_its_language_and_back() -> None:
    run(
        caller()
        .answers_dial("201")
        .hears("welcome")
        .presses("2")
        .hears("aa-welcome")
        .presses("0")
        .hears("welcome")
        .presses("2")
        .hears("aa-welcome")
        .presses("1")
        .talks_to("201")
    )


def test_keys_lead_to_applications_and_to_the_mailbox_of_somebody() -> None:
    run(caller().hears("welcome").presses("9").hears("vm-welcome").is_hung_up_on())
    run(caller().hears("welcome").presses("8").hears("digit-1").is_hung_up_on())
    run(caller().hears("welcome").presses("*").hears("vm-welcome").is_hung_up_on())
    run(caller().hears("welcome").presses("#").hears("goodbye").is_hung_up_on())


def test_no_key_and_wrong_keys_are_told_and_end_after_three_tries() -> None:
    run(
        caller()
        .hears("welcome", "no-entry", "welcome")
        .presses("7")
        .hears("invalid-key", "welcome", "no-entry", "goodbye")
        .is_hung_up_on()
    )


def test_who_presses_nothing_goes_where_the_menu_says() -> None:
    menus = {"reception": Menu(tries=1, seconds=2, otherwise=Target(dial="100"))}
    story = run(caller().answers_dial("100").hears("welcome", "no-entry", "aa-transfer").talks_to("100"), menus)
    assert story.dialled[0].destination == "100"


def test_an_extension_is_dialled_at_any_time_and_a_single_digit_is_a_key() -> None:
    menus = {"reception": Menu(keys={"1": Target(dial="900")}, extension_digits=3)}
    story = run(caller().answers_dial("105").hears("welcome").presses("105").talks_to("105"), menus)
    assert story.dialled[0].destination == "105"
    story = run(caller().answers_dial("900").hears("welcome").presses("1").talks_to("900"), menus)
    assert story.dialled[0].destination == "900"
    run(caller().hears("welcome").presses("12").hears("invalid-key").hangs_up(), menus)


@pytest.mark.parametrize("account", [None, "300"])
@pytest.mark.parametrize("typed", ["1188", "0777", "0042"])
def test_what_a_caller_types_is_an_account_of_the_payers_customer_or_nothing(account: str | None, typed: str) -> None:
    """Case L5: 1188 costs 5.00 a minute, and the menu's account would pay for it."""
    menus = {"reception": Menu(account="100", extension_digits=4, keys={"9": Target(dial="1188")})}
    script = caller(account=account).hears("welcome").presses(typed).hears("aa-no-such-extension", "welcome")
    assert run(script.hangs_up(), menus).dialled == []
    # As a written key it is what the administrator wants.
    script = caller(account=account).answers_dial("1188").hears("welcome").presses("9").talks_to("1188")
    assert run(script, menus).dialled[0].account == "100"


def test_a_menu_without_an_account_lets_its_callers_type_extensions_of_their_own_only() -> None:
    """Case L5, its neighbour."""
    menus = {"reception": Menu(extension_digits=3)}
    script = caller(account="300").answers_dial("105").hears("welcome").presses("105").talks_to("105")
    assert run(script, menus).dialled[0].account == "300"
    script = caller(account="900").hears("welcome").presses("105").hears("aa-no-such-extension")
    assert run(script.hangs_up(), menus).dialled == []


def test_a_menu_that_is_not_known_fails_without_an_answer() -> None:
    story = run(caller("receptoin").hears("service-unavailable").is_hung_up_on(404))
    assert not story.answered


def test_menus_in_a_circle_end() -> None:
    never = Hours(open={})
    circle = {
        name: Menu(hours=never, closed=Closed(then=Target(menu=other))) for name, other in (("a", "b"), ("b", "a"))
    }
    story = run(caller("a").until("goodbye").is_hung_up_on(), circle)
    assert story.heard.count("aa-closed") == 50


def test_callers_hear_that_it_is_closed_and_leave_a_message() -> None:
    closed = Closed(then=Target(app="voicemail", mailbox="100"))
    menus = {"reception": Menu(hours=OFFICE, closed=closed)}
    sunday, holiday = datetime(2026, 11, 22, 12, tzinfo=UTC), datetime(2026, 12, 24, 12, tzinfo=UTC)
    run(caller().hears("aa-closed", "digit-1").is_hung_up_on(), menus, sunday)
    run(caller().hears("aa-holiday", "digit-1").is_hung_up_on(), menus, holiday)
    run(caller().hears("welcome").hangs_up(), menus)


@pytest.mark.parametrize(
    ("local", "opening"),
    [
        ("2026-11-25 07:59", "closed"),
        ("2026-11-25 08:00", "open"),
        ("2026-11-25 11:59", "open"),
        ("2026-11-25 12:00", "closed"),
        ("2026-11-25 13:00", "open"),
        ("2026-11-25 17:00", "closed"),
        ("2026-11-28 21:59", "closed"),
        ("2026-11-28 22:00", "open"),
        ("2026-11-29 02:29", "open"),
        ("2026-11-29 02:30", "closed"),
        ("2026-12-23 09:00", "holiday"),
        ("2027-12-24 09:00", "holiday"),
        ("2026-12-27 01:00", "open"),
    ],
)
def test_opening_hours(local: str, opening: str) -> None:
    assert opening_at(OFFICE, datetime.fromisoformat(local).replace(tzinfo=PRAGUE)) == opening


def test_a_night_on_which_clocks_go_back_is_open_twice_from_two_to_half_past() -> None:
    """25 October 2026: 3:00 CEST is 2:00 CET again."""
    first = datetime(2026, 10, 25, 0, 15, tzinfo=UTC)
    at = [opening_at(OFFICE, first + timedelta(minutes=minutes)) for minutes in (0, 30, 60, 90)]
    assert at == ["open", "closed", "open", "closed"]


def test_a_night_on_which_clocks_go_forward_ends_when_they_do() -> None:
    """29 March 2026: 2:00 CET is 3:00 CEST."""
    last = datetime(2026, 3, 29, 0, 59, tzinfo=UTC)
    assert [opening_at(OFFICE, last), opening_at(OFFICE, last + timedelta(minutes=1))] == ["open", "closed"]


def test_the_same_wall_clock_opens_in_summer_and_in_winter() -> None:
    summer, winter = datetime(2026, 7, 1, 6, tzinfo=UTC), datetime(2026, 12, 1, 7, tzinfo=UTC)
    for opens in (summer, winter):
        assert opening_at(OFFICE, opens) == "open"
        assert opening_at(OFFICE, opens - timedelta(minutes=1)) == "closed"
