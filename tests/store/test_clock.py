# SPDX-License-Identifier: Apache-2.0
"""What time it is at the store, whatever becomes of the clocks of the machines; and what is locked after a step."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from billing_client.link.clock import StoreClock
from billing_client.vouchers.words import GuessSource
from tests.billing.customers.test_guessing import ACCESS, CARD, nodes

if TYPE_CHECKING:
    from billing_client.mailboxes.mailboxes import StoreMailboxes
    from billing_client.selfcare import StoreSelfCare
    from billing_client.store import Store
    from tests.store.conftest import Tenant

__all__ = ["nodes"]

NOON = 1_800_000_000.0
HOUR = 3600.0
BACK = timedelta(hours=1)


class Machine:
    """Three clocks: the machine's two, and that of the store's machine."""

    def __init__(self, *, wall_error: float = 0.0) -> None:
        self.passed = 500.0
        self.wall = NOON + wall_error
        self.store = NOON
        self.clock = StoreClock(monotonic=lambda: self.passed, wall=lambda: self.wall)
        self.steps: list[float] = []
        self.clock.on_step.append(self.steps.append)

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.passed += seconds
        self.wall += seconds
        self.store += seconds

    def hear(self, answer_seconds: float = 0.0) -> None:
        """The store says what time it is, in the middle of a round trip."""
        asked_at = self.passed
        self.wait(answer_seconds / 2)
        at = datetime.fromtimestamp(self.store, UTC)
        self.wait(answer_seconds / 2)
        self.clock.heard(at, asked_at)


@pytest.mark.parametrize("wall_error", [0.0, HOUR, -HOUR, 40_000 * HOUR])
def test_a_node_goes_by_the_store_however_wrong_its_own_clock_is(wall_error: float) -> None:
    """Case H4."""
    machine = Machine(wall_error=wall_error)
    machine.hear()
    assert machine.clock() == pytest.approx(NOON)
    machine.wait(50)
    assert machine.clock() == machine.clock.steady() == pytest.approx(NOON + 50)
    assert (machine.clock.utc() - datetime.fromtimestamp(NOON, UTC)).total_seconds() == pytest.approx(50)
    assert not machine.steps


@pytest.mark.parametrize("seconds", [HOUR, -HOUR, 3.0, -90_000.0])
def test_a_step_of_the_machines_own_clock_moves_nothing_and_raises_a_doubt(seconds: float) -> None:
    """Case H4."""
    machine = Machine()
    machine.hear()
    machine.wait(5)
    assert not machine.clock.is_doubtful()
    machine.wall += seconds
    assert machine.clock() == machine.clock.steady() == pytest.approx(NOON + 5)
    assert machine.clock.is_doubtful()
    machine.hear()
    assert not machine.clock.is_doubtful()
    assert not machine.steps


@pytest.mark.parametrize("seconds", [HOUR, -HOUR, 3.0, -90_000.0])
def test_a_step_of_the_stores_clock_is_told_once_and_no_duration_notices(seconds: float) -> None:
    """Case H4."""
    machine = Machine()
    machine.hear()
    machine.wait(10)
    machine.store += seconds
    for _ in range(3):
        machine.hear(answer_seconds=0.02)
    assert machine.steps == [pytest.approx(seconds)]
    assert machine.clock() == pytest.approx(machine.store)
    assert machine.clock.steady() == pytest.approx(NOON + 10.06)
    assert machine.clock.ahead() == pytest.approx(seconds)


def test_a_drift_is_followed_and_a_slow_answer_is_no_step() -> None:
    machine = Machine()
    machine.hear()
    for _ in range(100):
        machine.wait(10)
        machine.store += 0.05
        machine.hear(answer_seconds=0.01)
        assert machine.clock() == pytest.approx(machine.store, abs=0.11)
    machine.hear()
    error = machine.clock() - machine.store
    machine.store += 0.5
    machine.hear(answer_seconds=5.0)
    assert machine.clock() == pytest.approx(machine.store - 0.5 + error)
    assert not machine.steps


def test_the_clock_of_a_machine_that_has_the_store_is_taken_as_it_is() -> None:
    """A moment that was read before a call began is not after its start, however long the store took to answer."""
    machine = Machine()
    asked_at = machine.passed
    at = datetime.fromtimestamp(machine.store, UTC)
    machine.wait(0.05)
    machine.clock.heard(at, asked_at)
    assert machine.clock() == machine.wall


@pytest.mark.asyncio
async def test_the_store_says_its_time_at_the_start_and_with_each_heartbeat(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case H4: no round trip more than before."""
    heard: list[datetime] = []

    def note(at: datetime, asked_at: float) -> None:
        assert asked_at <= time.monotonic()
        heard.append(at)

    monkeypatch.setattr(store.clock, "heard", note)
    assert abs(store.clock.utc() - datetime.now(UTC)) < timedelta(seconds=1)
    assert await store.heartbeat()
    assert len(heard) == 1
    assert abs(heard[0] - datetime.now(UTC)) < timedelta(seconds=1)


# lock-outs: rows from a time to come are what is left when the clock was set back -------------------------------------
@pytest.mark.asyncio
async def test_a_lock_of_a_mailbox_does_not_last_an_hour_longer_where_the_clock_was_set_back(
    mailboxes: StoreMailboxes, tenant: Tenant
) -> None:
    """Case H4: locked for 100 seconds, and not for 3,700."""
    await mailboxes.set_pin("101", "4829")
    source = GuessSource("420", "*98", "carrier", is_vouched=True)
    for _ in range(3):
        await mailboxes.check_pin("101", "0000", source)
    assert (await mailboxes.check_pin("101", "4829", source)).verdict == "locked"
    await tenant.sql.execute(
        "UPDATE billing_pinfailure SET at = at + $1::interval, locked_until = locked_until + $1::interval", BACK
    )
    assert (await mailboxes.check_pin("101", "4829", source)).verdict == "right"


@pytest.mark.asyncio
async def test_the_line_of_an_access_number_is_not_closed_for_an_hour_where_the_clock_was_set_back(
    nodes: tuple[StoreSelfCare, StoreSelfCare], tenant: Tenant
) -> None:
    """Case H4: nobody whom no gateway vouches for would be let in until the clock is where it was."""
    source = GuessSource("42060000000", ACCESS, "carrier")
    await nodes[0].log_in("11111111", source)
    await tenant.sql.execute(
        "UPDATE billing_voucherguess SET at = at + $1::interval, next_at = now() + $1::interval", BACK
    )
    assert (await nodes[0].log_in(CARD, source)).verdict == "right"


@pytest.mark.asyncio
@pytest.mark.parametrize(("ahead", "expected"), [(0, "locked"), (3600, "taken"), (86_400, "taken")])
async def test_a_lock_of_vouchers_does_not_last_longer_than_it_was_set_for(
    tenant: Tenant, ahead: int, expected: str
) -> None:
    """Case H4."""
    for slot in "abc":
        assert await tenant.sql.fetchval("SELECT guess_taken('account 101', $1, 3, 900)", slot) == "taken"
    await tenant.sql.execute(
        "UPDATE billing_voucherguess SET slots = '{}', at = at + $1::interval,"
        " locked_until = locked_until + $1::interval",
        timedelta(seconds=ahead),
    )
    assert await tenant.sql.fetchval("SELECT guess_taken('account 101', 'd', 3, 900)") == expected
