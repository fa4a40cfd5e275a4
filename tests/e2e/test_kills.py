# SPDX-License-Identifier: Apache-2.0
"""Every process is killed at random moments under a load of calls: no record is lost or double, nobody talks for free.

KILLS=50 makes it thorough.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING

import psutil
import psycopg
import pytest

from switch.sip.session import Answered
from tests.e2e.callers import Callee, Caller, Callers
from tests.e2e.system import System
from tests.switch.phone import Phone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterator
    from pathlib import Path

    from switch.sip.session import Session
    from tests.e2e.diary import Diary

KILLS = int(os.environ.get("KILLS", "5"))
PROCESSES = ("switch", "postgres", "media", "ivr")
RECOVERY_SECONDS = 60.0
RUNS_AGAIN_SECONDS = 300.0
"""Who is killed again and again is started after pauses of up to half a minute, and a busy machine takes its time."""
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


def at(system: System) -> tuple[str, int]:
    """Where phones send to."""
    host, port = system.proxy.split(":")
    return host, int(port)


def load(system: System) -> Callers:
    """Eight callers, half of whom never hang up, on four numbers that cost something."""
    switch = at(system)
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
    await asyncio.to_thread(system.wait_for_log, f"{shown} runs again", mark, RUNS_AGAIN_SECONDS)
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


# moments ---------------------------------------------------------------------------------------------------------
RECORD = "SELECT ended_by, answered_at IS NOT NULL, amount FROM billing_xdr WHERE sip_call_id = '{call_id}'"


async def record_of(system: System, call_id: str) -> tuple[object, ...]:
    """The one record of a call, once it is there."""
    async with asyncio.timeout(SETTLED_SECONDS):
        while not (found := await asyncio.to_thread(ask, system.dsn, RECORD.format(call_id=call_id))):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    (record,) = found
    return record


@asynccontextmanager
async def killed(switch: psutil.Process, system: System) -> AsyncIterator[None]:
    """Kill the switch; what is done in the block is done before its next life is awaited."""
    mark = len(system.log)
    switch.kill()
    yield
    await asyncio.to_thread(system.wait_for_log, "switch runs again", mark, RUNS_AGAIN_SECONDS)


@contextmanager
def stopped(system: System) -> Iterator[Callable[[], None]]:
    """Let no process of the store run in the block, or until what is given is called."""
    server = system.process("postgres")
    group = [server, *server.children(recursive=True)]

    def go_on() -> None:
        for process in group:
            with suppress(psutil.NoSuchProcess):
                process.resume()

    for process in group:
        process.suspend()
    try:
        yield go_on
    finally:
        go_on()


@pytest.mark.asyncio
@pytest.mark.timeout(400)
async def test_calls_that_only_a_killed_switch_knew_of_are_recorded_by_its_next_life(own_system: System) -> None:
    """Case H3, the windows: an answer that the store was not told of yet; free calls that began while it was away."""
    system = own_system
    called, talker, leaver = (system.subscriber() for _ in range(3))
    switch = at(system)
    callee = Callee(called.number, called.password, switch)
    talking, leaving = (Phone(one.number, one.password, switch) for one in (talker, leaver))
    async with callee, talking, leaving:
        await callee.register()
        await asyncio.to_thread(system.wait_stored, called.number)
        work = asyncio.create_task(callee.work())
        for phone in (talking, leaving):  # the switch gets to know whom it will not be able to ask about
            await hang_up(system, phone, await answered(phone, called.number))
        process = system.process("switch")
        just_answered = await answered(talking, called.number)
        await asyncio.sleep(0.02)  # less than answers are gathered for
        async with killed(process, system):
            pass
        assert await record_of(system, just_answered.dialog.call_id) == ("orphan", True, 0)
        process = system.process("switch")
        for phone in (talking, leaving):  # the next life does not know them yet
            await hang_up(system, phone, await answered(phone, called.number))
        with stopped(system) as go_on:
            unheard_of = await answered(talking, called.number)
            ended = await answered(leaving, called.number)
            await hang_up(system, leaving, ended)
            async with killed(process, system):
                go_on()
        assert await record_of(system, unheard_of.dialog.call_id) == ("orphan", True, 0)
        assert await record_of(system, ended.dialog.call_id) == ("caller", True, 0)
        work.cancel()
    assert await asyncio.to_thread(system.rows, "audit") == []


async def answered(phone: Phone, number: str) -> Session:
    """A call that is answered."""
    await phone.call(number)
    event = await phone.expect(Answered, 20.0)
    phone.perform(event.session.ack(event.invite.request, phone.now()))
    return event.session


async def hang_up(system: System, phone: Phone, session: Session) -> None:
    """End a call; returns when the switch has told that."""
    mark = len(system.log)
    phone.perform(session.bye(phone.now()))
    await asyncio.to_thread(system.wait_for_log, f"sip_call_id={session.dialog.call_id}", mark)
