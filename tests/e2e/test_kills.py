# SPDX-License-Identifier: Apache-2.0
"""Every process is killed at random moments under a load of calls: no record is lost or double, nobody talks for free.

KILLS=50 makes it thorough.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.e2e.callers import Callee, Caller, Callers
from tests.e2e.system import System

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from tests.e2e.diary import Diary

KILLS = int(os.environ.get("KILLS", "5"))
PROCESSES = ("switch", "postgres", "media", "ivr")
RECOVERY_SECONDS = 60.0
SETTLED_SECONDS = 120.0
"""A start that the store heard of after its switch had given it up is found and finished within a minute."""

RECORDS = "SELECT sip_call_id, count(*) FROM billing_xdr GROUP BY sip_call_id"
LIVE = "SELECT sip_call_id FROM billing_activecall"
NEAR = """
SELECT to_jsonb(found) - 'body' - 'keys' FROM {table} found
 WHERE started_at BETWEEN to_timestamp({at}) - interval '30 s' AND to_timestamp({at}) + interval '5 s'
 ORDER BY started_at"""
"""Rows of calls that began about then."""
HELD = "SELECT (SELECT count(*) FROM billing_activecall), (SELECT coalesce(sum(locked), 0) FROM billing_balance)"


@pytest.fixture
def own_system(tmp_path: Path) -> Iterator[System]:
    """A system that no other test uses: its processes are killed."""
    system = System(tmp_path, drain_seconds=2)
    try:
        system.start()
        system.load_tenant()
        yield system
    finally:
        system.close()


def load(system: System) -> Callers:
    """Eight callers, half of whom never hang up, on four numbers that cost something."""
    host, port = system.proxy.split(":")
    switch = host, int(port)
    numbers = [system.subscriber(paid=True) for _ in range(4)]
    callees = [Callee(one.number, one.password, switch) for one in numbers]
    callers = [
        Caller(system.subscriber(), switch, numbers[index % 4].number, patient=index % 2 == 0) for index in range(8)
    ]
    return Callers(callers, callees)


def ask(dsn: str, statement: str) -> list[tuple[object, ...]]:
    """What the store says once it can be asked."""
    deadline = time.monotonic() + RECOVERY_SECONDS
    while True:
        try:
            with psycopg.connect(dsn, autocommit=True) as connection:
                return list(connection.execute(statement).fetchall())
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "the store does not come back"
            time.sleep(0.1)


async def nobody_talks_uncharged(callers: Callers, dsn: str) -> None:
    """Every call that a phone is in is one that the store knows and charges."""
    uncharged: set[str] = set()
    deadline = time.monotonic() + RECOVERY_SECONDS
    while time.monotonic() < deadline:
        before = callers.talking
        live = {str(row[0]) for row in await asyncio.to_thread(ask, dsn, LIVE)}
        uncharged = (before & callers.talking) - live
        if not uncharged:
            return
        await asyncio.sleep(0.2)
    raise AssertionError(f"calls that nobody charges: {uncharged}")


async def kill_one(system: System, name: str, diary: Diary) -> None:
    """Kill a process at a random moment and wait until its successor is ready."""
    await asyncio.sleep(random.uniform(0.2, 1.5))
    mark = len(system.log)
    system.process(name).kill()
    diary.note(name, "killed")
    shown = "store" if name == "postgres" else name
    await asyncio.to_thread(system.wait_for_log, f"{shown} runs again", mark)
    diary.note(name, "runs again")


def stories(system: System, diary: Diary, call_ids: Collection[str]) -> str:
    """What is known of these calls: at their phones, in the log, in the store."""
    told = [f"{len(call_ids)} of {len(diary.answered)} answered calls"]
    for call_id in call_ids:
        if call_id not in diary.answered:
            told.append(f"call {call_id} reached no phone as answered")
            continue
        told.append(diary.story(call_id, system.log.splitlines()))
        at = diary.answered[call_id]
        for table in ("billing_xdr", "billing_activecall", "billing_calltrace"):
            rows = ask(system.dsn, NEAR.format(table=table, at=at))
            told += [f"{table}:", *(str(row[0]) for row in rows)]
    return "\n".join(told)


@pytest.mark.asyncio
@pytest.mark.timeout(300 + 60 * KILLS)
async def test_kills_lose_no_record_double_none_and_leave_nobody_in_a_free_call(own_system: System) -> None:
    system = own_system
    dsn = system.dsn
    async with load(system) as callers:
        for number in range(KILLS):
            await kill_one(system, PROCESSES[number % len(PROCESSES)], callers.diary)
            await nobody_talks_uncharged(callers, dsn)
            async with asyncio.timeout(RECOVERY_SECONDS):  # calls go on afterwards
                before = len(callers.answered)
                while len(callers.answered) < before + 3:
                    callers.check()
                    await asyncio.sleep(0.05)
        await callers.finish()
        answered = callers.answered
    deadline = time.monotonic() + SETTLED_SECONDS
    while ask(dsn, HELD) != [(0, 0)]:
        assert time.monotonic() < deadline, f"still held: {ask(dsn, HELD)}"
        await asyncio.sleep(0.2)
    records = {str(call_id): count for call_id, count in ask(dsn, RECORDS)}
    lost = [call_id for call_id in answered if call_id not in records]
    double = [call_id for call_id, count in records.items() if count != 1]
    assert not lost, f"no record of {stories(system, callers.diary, lost)}"
    assert not double, f"two records of {stories(system, callers.diary, double)}"
    print(f"{KILLS} kills, {len(answered)} answered calls, {len(records)} records: none lost, none double")
    assert await asyncio.to_thread(system.rows, "audit") == []
