# SPDX-License-Identifier: Apache-2.0
"""Who guesses PINs of cards: later and later answers, locks, alarms; across calls and two nodes on one store."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from billing_client.selfcare import Login, StoreSelfCare
from billing_client.vouchers.words import GuessSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from billing_client.mailboxes.mailboxes import StoreMailboxes
    from tests.store.conftest import Tenant

pytestmark = pytest.mark.asyncio

CARD, ANI, ACCESS = "48291047", "42073723123", "18005550100"


@pytest_asyncio.fixture
async def nodes(dsn: str, tenant: Tenant) -> AsyncIterator[tuple[StoreSelfCare, StoreSelfCare]]:
    """Two nodes; PINs are locked for 100 seconds after three wrong ones. Account 101 has a card PIN."""
    await tenant.sql.execute("INSERT INTO billing_alias (name, account_id) VALUES ($1, 1)", f"{CARD}@pin")
    both = [await StoreSelfCare.connect(dsn, node=node, lock_after=3, lock_seconds=100) for node in ("one", "two")]
    yield both[0], both[1]
    for node in both:
        await node.close()


async def guess(node: StoreSelfCare, ani: str, *, pin: str = "11111111", access: str = ACCESS) -> Login:
    return await node.log_in(pin, GuessSource(ani, access, gateway="carrier", is_vouched=ani != ""))


async def alarms(tenant: Tenant) -> list[str]:
    found = await tenant.sql.fetch("SELECT subject FROM billing_auditlog WHERE action = 'pins.guessing' ORDER BY id")
    return [row["subject"] for row in found]


async def test_delays_grow_across_calls_and_nodes_and_go_on_growing_after_a_lock(
    nodes: tuple[StoreSelfCare, StoreSelfCare], tenant: Tenant
) -> None:
    answers = [await guess(nodes[turn % 2], ANI, pin=f"1111111{turn}") for turn in range(5)]
    assert [(answer.verdict, answer.delay_seconds) for answer in answers] == [
        ("wrong", 1), ("wrong", 2), ("wrong", 4), ("locked", 4), ("locked", 4),
    ]  # fmt: skip
    await tenant.sql.execute("UPDATE billing_pinfailure SET locked_until = now() - interval '1 second'")
    assert await guess(nodes[1], ANI, pin="22222222") == Login("wrong", delay_seconds=8)


async def test_a_right_pin_is_late_too_after_wrong_ones_and_not_later_by_itself(
    nodes: tuple[StoreSelfCare, StoreSelfCare],
) -> None:
    assert await guess(nodes[0], ANI, pin=CARD) == Login("right", "101")
    await guess(nodes[0], ANI)
    assert await guess(nodes[1], ANI, pin=CARD) == Login("right", "101", 1)
    assert await guess(nodes[1], ANI, pin=CARD) == Login("right", "101", 1)


async def test_an_alarm_tells_of_each_lock_once_however_many_calls_guess_at_once(
    nodes: tuple[StoreSelfCare, StoreSelfCare], tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.gather(*(guess(nodes[turn % 2], ANI, pin=f"{turn:08}") for turn in range(20)))
    assert await alarms(tenant) == [f"pin ani {ANI}"]
    told = [vars(record)["subject"] for record in caplog.records if "guessing PINs" in record.message]
    assert told == [f"pin ani {ANI}"]
    await tenant.sql.execute("UPDATE billing_pinfailure SET locked_until = now() - interval '1 second'")
    for turn in range(3):
        await guess(nodes[0], ANI, pin=f"9{turn:07}")
    assert await alarms(tenant) == [f"pin ani {ANI}"] * 2
    assert not any(CARD in record.getMessage() for record in caplog.records)


async def test_two_processes_that_guess_at_once_have_three_tries_together_and_raise_one_alarm(
    dsn: str, tenant: Tenant
) -> None:
    both = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.store.guess", dsn, node, ANI, "25",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )
        for node in ("1", "2")
    ]  # fmt: skip
    for process in both:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    verdicts: Counter[str] = Counter()
    for printed, _ in await asyncio.gather(*(process.communicate(b"\n") for process in both)):
        verdicts.update(json.loads(printed))
    assert verdicts == {"wrong": 3, "locked": 47}
    assert await alarms(tenant) == [f"pin ani {ANI}"]


async def test_guesses_at_one_account_from_many_numbers_lock_it_with_an_alarm(
    nodes: tuple[StoreSelfCare, StoreSelfCare], tenant: Tenant
) -> None:
    for turn in range(3):
        await nodes[turn % 2].log_in("1234", GuessSource(f"4207000000{turn}", ACCESS, "carrier"), number="101")
    assert (
        await nodes[0].log_in(CARD, GuessSource("42070000009", ACCESS, "carrier"), number="101")
    ).verdict == "locked"
    assert await alarms(tenant) == [f"pin account 101 by carrier {ACCESS}"]
    # Its owner's own phone is not: it was not the way that the wrong ones came by.
    assert (await nodes[0].log_in(CARD, GuessSource("101", ACCESS, phone="101"), number="101")).verdict == "right"


async def test_who_guesses_with_a_new_number_each_call_gets_fewer_turns_the_more_are_wrong(
    nodes: tuple[StoreSelfCare, StoreSelfCare], tenant: Tenant
) -> None:
    """Case L18: 120 cards' PINs, each under another number, all at once on two nodes."""
    guesses = [GuessSource(f"4206000{turn:04}", ACCESS, "carrier") for turn in range(120)]
    answers = await asyncio.gather(
        *(nodes[turn % 2].log_in(f"{turn:08}", source) for turn, source in enumerate(guesses))
    )
    looked_at = [answer for answer in answers if answer.verdict == "wrong"]
    assert 18 <= len(looked_at) <= 45
    assert max(answer.delay_seconds for answer in looked_at) >= 29
    assert await alarms(tenant) == [f"pin access {ACCESS}"]
    # The owner, too, has to wait until the line is shorter; by another number of ours, or at home, he does not.
    assert (await nodes[0].log_in(CARD, guesses[0])).verdict == "locked"
    assert await nodes[0].log_in(CARD, GuessSource("42060000000", "*99", "carrier")) == Login("right", "101")
    assert await guess(nodes[1], ANI, pin=CARD) == Login("right", "101")
    await tenant.sql.execute("UPDATE billing_voucherguess SET next_at = now() + interval '5 seconds'")
    assert await nodes[0].log_in(CARD, guesses[0]) == Login("right", "101", 5)
    assert (await nodes[0].log_in(CARD, guesses[1])).delay_seconds >= 6  # turns are apart, right ones too


async def test_turns_are_apart_for_an_hour_after_wrong_ones(
    nodes: tuple[StoreSelfCare, StoreSelfCare], tenant: Tenant
) -> None:
    stranger = GuessSource("42060000000", ACCESS, "carrier")
    for turn in range(20):
        await nodes[0].log_in(f"{turn:08}", stranger)
    assert (await nodes[0].log_in(CARD, stranger)).delay_seconds > 0
    await tenant.sql.execute("UPDATE billing_voucherguess SET since = now() - interval '2 hours'")
    assert await nodes[0].log_in(CARD, stranger) == Login("right", "101")


async def test_very_many_wrong_ones_everywhere_make_all_answers_a_little_late(
    nodes: tuple[StoreSelfCare, StoreSelfCare], tenant: Tenant
) -> None:
    await guess(nodes[0], ANI)
    await tenant.sql.execute("UPDATE billing_voucherguess SET failures = 599 WHERE subject = 'pin all'")
    await guess(nodes[0], "42060000004", access="*99")
    assert (await guess(nodes[1], "42060000005", pin=CARD, access="*123")).delay_seconds == 2
    assert await alarms(tenant) == ["pin all"]


async def test_wrong_pins_of_a_mailbox_raise_the_alarm_too(mailboxes: StoreMailboxes, tenant: Tenant) -> None:
    await mailboxes.set_pin("101", "7391")
    for turn in range(4):
        await mailboxes.check_pin("101", "7392", GuessSource(f"4207000000{turn}"))
    assert await alarms(tenant) == ["pin account 101 by phones "]
