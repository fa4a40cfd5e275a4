# SPDX-License-Identifier: Apache-2.0
"""Who may have another call of the media server. Cases A6 and L10."""

from __future__ import annotations

import pytest

from switch.access.occupancy import DEPOSIT, Occupancy
from switch.settings import Limits
from switch.sip.mark import Chain

LIMITS = Limits(per_account=3, per_number=2, per_address=4, total=20, reserved=5)


def enter(occupancy: Occupancy, call: str, by: str, *, address: str = "", app: str = "echo", depth: int = 0) -> int:
    """The status of the refusal; 200 where there is none."""
    full = occupancy.enter(call, Chain(depth, by, address), app, LIMITS)
    return 200 if full is None else full.status


@pytest.mark.parametrize(
    ("by", "address", "most"),
    [("account:101", "", 3), ("number:420", "", 2), ("carrier:x", "", 5), ("account:9", "192.0.2.1", 3)],
)
def test_each_who_begins_has_so_many_calls_at_a_time(by: str, address: str, most: int) -> None:
    occupancy = Occupancy()
    statuses = [enter(occupancy, str(number), by, address=address) for number in range(most + 2)]
    assert statuses == [200] * most + [486, 486]
    assert enter(occupancy, "deposit", by, address=address, app=DEPOSIT) == 486
    assert enter(occupancy, "other", "account:other") == 200
    occupancy.leave("0")
    occupancy.leave("0")
    assert enter(occupancy, "next", by, address=address) == 200


def test_phones_of_many_accounts_behind_one_address_have_so_many_together() -> None:
    occupancy = Occupancy()
    assert [enter(occupancy, str(n), f"account:{n}", address="192.0.2.1") for n in range(5)] == [200] * 4 + [486]


def test_whoever_fills_the_media_server_keeps_nobody_from_leaving_a_message() -> None:
    occupancy = Occupancy()
    for number in range(15):
        assert enter(occupancy, str(number), f"number:{number}") == 200
    assert enter(occupancy, "15", "number:15") == 503
    assert [enter(occupancy, f"d{n}", f"number:d{n}", app=DEPOSIT) for n in range(6)] == [200] * 5 + [503]
    for call in (*map(str, range(15)), *(f"d{n}" for n in range(5))):
        occupancy.leave(call)
    assert occupancy.total == 0
    assert not occupancy._by_key


def test_two_applications_may_be_part_of_a_call_and_both_count_for_who_began_it() -> None:
    occupancy = Occupancy()
    assert [enter(occupancy, str(depth), "account:101", depth=depth) for depth in range(3)] == [200, 200, 403]
    assert enter(occupancy, "x", "account:101") == 200
    assert enter(occupancy, "y", "account:101") == 486
