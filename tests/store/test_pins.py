# SPDX-License-Identifier: Apache-2.0
"""PINs: which are refused, how they are kept, and how guessing is stopped across calls."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from billing_client.pins import hash_pin, is_pin, new_pin, weak_pin
from billing_client.types import StoreRefused

if TYPE_CHECKING:
    from billing_client.mailboxes import StoreMailboxes
    from tests.store.conftest import Tenant

RIGHT, WRONG = "4829", "0000"
LATER = "UPDATE billing_pinfailure SET at = at - $1::interval, locked_until = locked_until - $1::interval"


@pytest.mark.parametrize(
    "pin",
    ["", "123", "1" * 17, "abcd", "48a9", "٤٨٢٩", "0000", "77777", "1234", "4567", "7890", "4321", "9876", "3210",
     "1212", "484848", "7710", "2777", "0177", "42027777100", "7101"],
)  # fmt: skip
def test_a_pin_that_is_easy_to_guess_is_weak(pin: str) -> None:
    assert weak_pin(pin, "42027777100" if pin != "7101" else "101")


@pytest.mark.parametrize("pin", ["4829", "1357", "1235", "0042", "902817", "1231"])
def test_other_pins_are_not(pin: str) -> None:
    assert not weak_pin(pin, "42027777100")
    assert not weak_pin(pin, "1")


def test_a_new_pin_is_long_and_not_weak() -> None:
    pins = {new_pin("101") for _ in range(200)}
    assert len(pins) > 190
    assert {len(pin) for pin in pins} == {6}
    assert not any(weak_pin(pin, "101") for pin in pins)


def test_a_pin_is_kept_as_a_salted_hash() -> None:
    first, second = hash_pin(RIGHT), hash_pin(RIGHT)
    assert first != second
    assert RIGHT not in first.split("$")
    assert is_pin(RIGHT, first)
    assert is_pin(RIGHT, second)
    assert not is_pin(WRONG, first)
    assert not is_pin("", "")


def test_comparing_takes_as_long_without_a_pin_as_with_one() -> None:
    def fastest(hashed: str) -> float:
        times = []
        for _ in range(5):
            begin = time.perf_counter()
            is_pin(WRONG, hashed)
            times.append(time.perf_counter() - begin)
        return min(times)

    with_one, without = fastest(hash_pin(RIGHT)), fastest("")
    assert 0.5 < without / with_one < 2


async def tried(mailboxes: StoreMailboxes, number: str, *pins: str, source: str = "420600") -> list[str]:
    return [(await mailboxes.check_pin(number, pin, source)).verdict for pin in pins]


@pytest.mark.asyncio
async def test_a_right_pin_is_right_and_a_wrong_one_wrong(mailboxes: StoreMailboxes) -> None:
    assert await tried(mailboxes, "101", RIGHT) == ["none"]
    await mailboxes.set_pin("101", RIGHT)
    assert await tried(mailboxes, "101", RIGHT, WRONG, RIGHT) == ["right", "wrong", "right"]
    await mailboxes.set_pin("101", "9182")
    assert await tried(mailboxes, "101", RIGHT, "9182", source="a") == ["wrong", "right"]
    assert await tried(mailboxes, "unknown", RIGHT, source="b") == ["none"]
    with pytest.raises(StoreRefused):
        await mailboxes.set_pin("unknown", RIGHT)


@pytest.mark.asyncio
async def test_an_alias_opens_and_locks_the_same_mailbox(mailboxes: StoreMailboxes, tenant: Tenant) -> None:
    await tenant.sql.execute("INSERT INTO billing_alias (name, account_id) VALUES ('42027777100', 1)")
    await mailboxes.set_pin("42027777100", RIGHT)
    assert await tried(mailboxes, "101", RIGHT) == ["right"]
    assert await tried(mailboxes, "42027777100", WRONG, WRONG, source="a") == ["wrong"] * 2
    assert await tried(mailboxes, "101", WRONG, RIGHT, source="b") == ["wrong", "locked"]


@pytest.mark.asyncio
async def test_wrong_pins_in_a_row_lock_the_mailbox_for_everybody(mailboxes: StoreMailboxes) -> None:
    await mailboxes.set_pin("101", RIGHT)
    assert await tried(mailboxes, "101", WRONG, WRONG, RIGHT, source="a") == ["wrong", "wrong", "right"]
    assert await tried(mailboxes, "101", WRONG, WRONG, source="b") == ["wrong"] * 2
    assert await tried(mailboxes, "101", WRONG, source="c") == ["wrong"]
    assert await tried(mailboxes, "101", RIGHT, source="42073723123") == ["locked"]


@pytest.mark.asyncio
async def test_each_lock_is_twice_as_long_up_to_a_day(mailboxes: StoreMailboxes, tenant: Tenant) -> None:
    await mailboxes.set_pin("101", RIGHT)
    lasted = []
    for number in range(12):
        assert await tried(mailboxes, "101", *[WRONG] * 3, source=str(number)) == ["wrong"] * 3
        left = await tenant.sql.fetchval(
            "SELECT locked_until - now() FROM billing_pinfailure WHERE subject = 'mailbox 101'"
        )
        lasted.append(round(left.total_seconds() / 10) * 10)
        await tenant.sql.execute(LATER, left)
    assert lasted == [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 86400, 86400]
    assert await tried(mailboxes, "101", RIGHT, *[WRONG] * 2, RIGHT, source="12") == [
        "right",
        "wrong",
        "wrong",
        "right",
    ]


@pytest.mark.asyncio
async def test_a_source_that_tries_one_mailbox_after_another_is_locked(mailboxes: StoreMailboxes) -> None:
    for number in ("101", "201", "301"):
        await mailboxes.set_pin(number, RIGHT)
    assert [*await tried(mailboxes, "101", WRONG), *await tried(mailboxes, "201", WRONG)] == ["wrong", "wrong"]
    # Its own mailbox in between gains it nothing.
    assert await tried(mailboxes, "301", RIGHT) == ["right"]
    assert await tried(mailboxes, "unknown", WRONG) == ["none"]
    assert await tried(mailboxes, "301", RIGHT) == ["locked"]
    assert await tried(mailboxes, "301", RIGHT, source="another") == ["right"]


@pytest.mark.asyncio
async def test_a_right_pin_as_the_last_attempt_lifts_the_lock_that_it_counted_for(mailboxes: StoreMailboxes) -> None:
    await mailboxes.set_pin("101", RIGHT)
    assert await tried(mailboxes, "101", WRONG, WRONG, RIGHT, RIGHT) == ["wrong", "wrong", "right", "right"]
    assert await tried(mailboxes, "201", WRONG) == ["none"]
    assert await tried(mailboxes, "101", RIGHT) == ["locked"]  # three wrong ones from this source


@pytest.mark.asyncio
async def test_callers_without_a_number_are_locked_much_later(mailboxes: StoreMailboxes) -> None:
    for number in range(9):
        assert await tried(mailboxes, f"x{number}", WRONG, WRONG, WRONG, source="anonymous") == ["none"] * 3
    assert await tried(mailboxes, "y", *[WRONG] * 3, source="anonymous") == ["none"] * 3
    assert await tried(mailboxes, "z", WRONG, source="") == ["locked"]


@pytest.mark.asyncio
async def test_failures_are_forgotten_after_a_day(mailboxes: StoreMailboxes, tenant: Tenant) -> None:
    await mailboxes.set_pin("101", RIGHT)
    await tried(mailboxes, "101", WRONG, WRONG, source="a")
    await tenant.sql.execute("UPDATE billing_pinfailure SET at = at - interval '25 hours'")
    assert await tried(mailboxes, "101", WRONG, WRONG, source="b") == ["wrong", "wrong"]
    assert await tried(mailboxes, "101", RIGHT, source="c") == ["right"]


@pytest.mark.asyncio
async def test_many_calls_at_once_get_no_more_attempts_than_one(mailboxes: StoreMailboxes) -> None:
    await mailboxes.set_pin("101", RIGHT)
    verdicts = await asyncio.gather(*(mailboxes.check_pin("101", WRONG, str(number)) for number in range(30)))
    assert sorted(found.verdict for found in verdicts) == ["locked"] * 27 + ["wrong"] * 3


@pytest.mark.asyncio
async def test_an_unknown_mailbox_locks_as_a_known_one_does(mailboxes: StoreMailboxes) -> None:
    assert await tried(mailboxes, "unknown", *[WRONG] * 4) == ["none", "none", "none", "locked"]
