# SPDX-License-Identifier: Apache-2.0
"""PINs: which are refused, how they are kept, and how guessing is stopped across calls."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from billing_client.rules.pins import hash_pin, is_pin, new_pin, weak_pin
from billing_client.types import StoreRefused
from billing_client.vouchers.words import GuessSource

if TYPE_CHECKING:
    from billing_client.mailboxes.mailboxes import StoreMailboxes
    from tests.store.conftest import Tenant

RIGHT, WRONG = "4829", "0000"
STAND_STILL = """
WITH moved AS (
    UPDATE billing_voucherguess SET next_at = next_at + (clock_timestamp() - $1::timestamptz) WHERE next_at > now()
) SELECT clock_timestamp()"""
"""As if nothing had taken any time since then."""
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
            begin = time.thread_time()  # of the processor: others may run meanwhile
            is_pin(WRONG, hashed)
            times.append(time.thread_time() - begin)
        return min(times)

    with_one, without = fastest(hash_pin(RIGHT)), fastest("")
    assert 0.5 < without / with_one < 2


async def tried(
    mailboxes: StoreMailboxes, number: str, *pins: str, source: str = "420600", vouched: bool = False
) -> list[str]:
    """What a caller by a carrier hears who shows this number; `vouched`: the carrier says that it is his."""
    caller = GuessSource(source, "*98", gateway="carrier", is_vouched=vouched)
    return [(await mailboxes.check_pin(number, pin, caller)).verdict for pin in pins]


async def tried_at_home(mailboxes: StoreMailboxes, number: str, *pins: str, phone: str) -> list[str]:
    """The same for a phone of ours."""
    caller = GuessSource(phone, "*98", phone=phone)
    return [(await mailboxes.check_pin(number, pin, caller)).verdict for pin in pins]


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
async def test_wrong_pins_in_a_row_lock_the_mailbox_by_the_way_that_they_came(mailboxes: StoreMailboxes) -> None:
    await mailboxes.set_pin("101", RIGHT)
    assert await tried(mailboxes, "101", WRONG, WRONG, RIGHT, source="a") == ["wrong", "wrong", "right"]
    assert await tried(mailboxes, "101", WRONG, WRONG, source="b") == ["wrong"] * 2
    assert await tried(mailboxes, "101", WRONG, source="c") == ["wrong"]
    assert await tried(mailboxes, "101", RIGHT, source="42073723123") == ["locked"]
    other = GuessSource("a", "*98", gateway="another carrier")
    assert (await mailboxes.check_pin("101", RIGHT, other)).verdict == "right"


@pytest.mark.asyncio
async def test_who_guesses_under_the_owners_number_does_not_lock_the_owner_out(
    mailboxes: StoreMailboxes, tenant: Tenant
) -> None:
    """Cases A9 and L18: the owner's own phone, and his number where a carrier vouches for it, still get in."""
    await tenant.sql.execute("INSERT INTO billing_alias (name, account_id) VALUES ('42073723123@pstn', 1)")
    await mailboxes.set_pin("101", RIGHT)
    await tried(mailboxes, "101", *[WRONG] * 9, source="42073723123")
    assert await tried(mailboxes, "101", RIGHT, source="42073723123") == ["locked"]
    assert await tried_at_home(mailboxes, "101", RIGHT, phone="101") == ["right"]
    assert await tried(mailboxes, "101", RIGHT, source="42073723123", vouched=True) == ["right"]


@pytest.mark.asyncio
async def test_a_phone_of_ours_that_guesses_is_locked_itself_and_the_owner_is_not(mailboxes: StoreMailboxes) -> None:
    for number in ("101", "301"):
        await mailboxes.set_pin(number, RIGHT)
    assert await tried_at_home(mailboxes, "101", *[WRONG] * 3, RIGHT, phone="301") == [*["wrong"] * 3, "locked"]
    assert await tried_at_home(mailboxes, "301", RIGHT, phone="301") == ["locked"]
    assert await tried_at_home(mailboxes, "101", RIGHT, phone="101") == ["right"]


@pytest.mark.asyncio
async def test_each_lock_is_twice_as_long_up_to_a_day(mailboxes: StoreMailboxes, tenant: Tenant) -> None:
    await mailboxes.set_pin("101", RIGHT)
    lasted = []
    for number in range(12):
        assert await tried(mailboxes, "101", *[WRONG] * 3, source=str(number)) == ["wrong"] * 3
        left = await tenant.sql.fetchval(
            "SELECT locked_until - now() FROM billing_pinfailure WHERE subject = 'mailbox 101 by carrier *98'"
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
async def test_a_number_that_is_vouched_for_and_tries_one_mailbox_after_another_is_locked(
    mailboxes: StoreMailboxes,
) -> None:
    for number in ("101", "201", "301"):
        await mailboxes.set_pin(number, RIGHT)
    assert await tried(mailboxes, "101", WRONG, vouched=True) == ["wrong"]
    assert await tried(mailboxes, "201", WRONG, vouched=True) == ["wrong"]
    # Its own mailbox in between gains it nothing.
    assert await tried(mailboxes, "301", RIGHT, vouched=True) == ["right"]
    assert await tried(mailboxes, "unknown", WRONG, vouched=True) == ["none"]
    assert await tried(mailboxes, "301", RIGHT, vouched=True) == ["locked"]
    # The same number where nobody vouches for it is nobody's: it is not locked.
    assert await tried(mailboxes, "301", RIGHT) == ["right"]


@pytest.mark.asyncio
async def test_a_right_pin_as_the_last_attempt_lifts_the_lock_that_it_counted_for(mailboxes: StoreMailboxes) -> None:
    await mailboxes.set_pin("101", RIGHT)
    tries = (WRONG, WRONG, RIGHT, RIGHT)
    assert await tried(mailboxes, "101", *tries, vouched=True) == ["wrong", "wrong", "right", "right"]
    assert await tried(mailboxes, "201", WRONG, vouched=True) == ["none"]
    assert await tried(mailboxes, "101", RIGHT, vouched=True) == ["locked"]  # three wrong ones from this source


@pytest.mark.asyncio
async def test_callers_whom_nobody_vouches_for_stand_in_the_line_of_the_access_number(
    mailboxes: StoreMailboxes, tenant: Tenant
) -> None:
    await mailboxes.set_pin("301", RIGHT)
    found: list[str] = []
    then = await tenant.sql.fetchval("SELECT clock_timestamp()")
    for number in range(50):
        source = ("anonymous", "", "420600")[number // 2 % 3]
        found += await tried(mailboxes, f"x{number // 2}", WRONG, source=source)
        then = await tenant.sql.fetchval(STAND_STILL, then)  # while 50 hashes are computed the line gets shorter
    assert "locked" in found  # the line is longer than half a minute
    assert found.count("none") < 45
    await tenant.sql.execute("UPDATE billing_voucherguess SET next_at = now() + interval '7 seconds'")
    answer = await mailboxes.check_pin("301", RIGHT, GuessSource("", "*98", gateway="carrier"))
    assert (answer.verdict, answer.delay_seconds) == ("right", 7)
    assert (await mailboxes.check_pin("301", RIGHT, GuessSource("301", "*98", phone="301"))).delay_seconds == 0


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
    verdicts = await asyncio.gather(
        *(mailboxes.check_pin("101", WRONG, GuessSource(str(number))) for number in range(30))
    )
    assert sorted(found.verdict for found in verdicts) == ["locked"] * 27 + ["wrong"] * 3


@pytest.mark.asyncio
async def test_an_unknown_mailbox_locks_as_a_known_one_does(mailboxes: StoreMailboxes) -> None:
    assert await tried(mailboxes, "unknown", *[WRONG] * 4) == ["none", "none", "none", "locked"]
