# SPDX-License-Identifier: Apache-2.0
"""What goes alone, what goes together, and what becomes of the others when one fails."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from billing_client.link.gathering import MOST, Gathering
from billing_client.types import StoreRefused, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.asyncio


@dataclass(slots=True)
class Desk:
    """Answers a request with its double when it is let go; negative ones are refused."""

    batches: list[list[int]] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    away: bool = False

    async def ask(self, requests: Sequence[int]) -> list[int]:
        self.batches.append(list(requests))
        await self.open.wait()
        if self.away:
            raise StoreUnavailable("gone")
        if min(requests) < 0:
            raise StoreRefused("negative")
        return [2 * request for request in requests]


async def asked(
    desk: Desk, requests: Sequence[tuple[str, int]], transactions: int = 2, *, cancel: int | None = None
) -> list[int | BaseException]:
    """Ask everything at once, then open the desk."""
    gathering: Gathering[int, int] = Gathering(desk.ask, transactions=transactions)
    tasks = [asyncio.ensure_future(gathering.ask(key, request)) for key, request in requests]
    await asyncio.sleep(0)
    if cancel is not None:
        tasks[cancel].cancel()
        await asyncio.sleep(0)
    desk.open.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_the_first_goes_alone_and_those_that_come_meanwhile_go_together_in_their_order() -> None:
    desk = Desk()
    assert await asked(desk, [("a", number) for number in range(5)]) == [0, 2, 4, 6, 8]
    assert desk.batches == [[0], [1, 2, 3, 4]]


async def test_requests_of_different_keys_go_at_once_as_long_as_there_are_free_transactions() -> None:
    desk = Desk()
    assert await asked(desk, [("a", 1), ("b", 2), ("c", 3), ("a", 4), ("d", 5)]) == [2, 4, 6, 8, 10]
    assert desk.batches == [[1], [2], [3, 4, 5]]


async def test_two_of_a_key_are_never_under_way_at_the_same_time() -> None:
    desk = Desk()
    assert await asked(desk, [("a", number) for number in range(MOST + 2)], 9) == [
        2 * number for number in range(MOST + 2)
    ]
    assert [len(batch) for batch in desk.batches] == [1, MOST, 1]


async def test_one_that_is_refused_fails_alone() -> None:
    desk = Desk()
    found = await asked(desk, [("a", 1), ("a", 2), ("a", -3), ("a", 4)])
    assert isinstance(found.pop(2), StoreRefused)
    assert found == [2, 4, 8]
    assert desk.batches == [[1], [2, -3, 4], [2], [-3], [4]]


async def test_a_lone_one_that_is_refused_after_it_waited_is_not_asked_twice() -> None:
    desk = Desk()
    found = await asked(desk, [("a", 1), ("a", -2)])
    assert isinstance(found[1], StoreRefused)
    assert desk.batches == [[1], [-2]]


async def test_when_the_store_is_away_all_that_were_asked_together_hear_so_at_once() -> None:
    desk = Desk(away=True)
    found = await asked(desk, [("a", 1), ("a", 2), ("a", 3)])
    assert [type(each) for each in found] == [StoreUnavailable] * 3
    assert desk.batches == [[1], [2, 3]]


async def test_the_first_that_is_given_up_lets_the_others_go() -> None:
    desk = Desk()
    found = await asked(desk, [("a", 1), ("a", 2), ("a", 3)], cancel=0)
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1:] == [4, 6]


async def test_one_that_is_given_up_while_it_waits_is_not_asked() -> None:
    desk = Desk()
    found = await asked(desk, [("a", 1), ("a", 2), ("a", 3)], cancel=1)
    assert isinstance(found[1], asyncio.CancelledError)
    assert desk.batches == [[1], [3]]
