# SPDX-License-Identifier: Apache-2.0
"""Calls that are not made, explained by a running switch on its socket."""

from __future__ import annotations

import asyncio
import json
import stat
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from billing_client.inquiry import Inquiry
from softswitch.config import load
from softswitch.settings import questions_socket
from switch.explain.explain import Conditions, Question, explain
from switch.explain.questions import Questions, answer_of, ask
from tests.patience import PATIENCE_SECONDS
from tests.softswitch.support import softswitch, write_configuration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.switch.conftest import World

pytestmark = pytest.mark.asyncio


@asynccontextmanager
async def answering(world: World, path: Path) -> AsyncIterator[None]:
    """The switch answers at a path."""
    switch = world.switch
    task = asyncio.create_task(Questions(lambda: switch.settings, switch.books).run(path))
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not path.exists():  # noqa: ASYNC110, ASYNC240 (nothing announces it)
                await asyncio.sleep(0.01)
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def question(caller: str = "101", dialled: str = "420600000001", source: str | None = None) -> Question:
    """About a call of now."""
    return Question(caller=caller, dialled=dialled, at=datetime.now(UTC), source=source)


def timeless(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without what differs each time."""
    return {**answer, "took_ms": 0, "reasons": [{**reason, "at": 0} for reason in answer["reasons"]]}


@pytest.mark.parametrize(
    ("caller", "dialled", "source"),
    [("101", "420600000001", None), ("101", "102", None), ("999", "102", None), ("420777", "102", "127.0.0.1")],
)
async def test_the_switch_says_what_the_store_alone_says(
    world: World, tmp_path: Path, caller: str, dialled: str, source: str | None
) -> None:
    asked = question(caller, dialled, source)
    settings = world.switch.settings
    inquiry = await Inquiry.connect(settings.store_dsn)
    try:
        alone = answer_of(await explain(inquiry, asked, Conditions.of(settings)))
    finally:
        await inquiry.close()
    async with answering(world, tmp_path / "run" / "questions.sock"):
        answer = await ask(tmp_path / "run" / "questions.sock", asked)
    assert answer is not None
    assert timeless(answer) == timeless(alone)


async def test_nothing_is_locked_and_the_next_question_finds_the_store_as_it_is(world: World, tmp_path: Path) -> None:
    path = tmp_path / "questions.sock"
    async with answering(world, path):
        for funds in ("10.00000", "9.00000"):
            answer = await ask(path, question())
            assert answer is not None
            assert (answer["available"], answer["locks"], answer["would_ring"]) == (funds, [], True)
            await world.sql.execute(
                "SELECT post_entry(gen_random_uuid()::text, balance_id, -1, 'withdrawal', '')"
                "  FROM billing_account WHERE number = '101'"
            )
    assert await world.sql.fetchval("SELECT count(*) FROM billing_balance WHERE locked <> 0") == 0


async def test_changed_routes_count_as_soon_as_calls_use_them(world: World, tmp_path: Path) -> None:
    path = tmp_path / "questions.sock"
    async with answering(world, path):
        await world.sql.execute("UPDATE billing_gateway SET enabled = false")
        await world.routes_reloaded()
        answer = await ask(path, question())
    assert answer is not None
    assert not answer["would_ring"]


async def test_a_connection_that_was_cut_is_replaced(world: World, tmp_path: Path) -> None:
    path = tmp_path / "questions.sock"
    async with answering(world, path):
        assert await ask(path, question()) is not None
        await world.sql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'softswitch inquiry'"
        )
        found = [await ask(path, question()) for _ in range(3)]
    assert found[-1] is not None


async def test_only_the_switchs_own_user_may_ask_and_what_is_left_of_a_killed_switch_is_in_nobodys_way(
    world: World, tmp_path: Path
) -> None:
    path = tmp_path / "questions.sock"
    async with answering(world, path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert await ask(path, question()) is None  # the file is still there
    async with answering(world, path):
        await asyncio.sleep(0.05)
        assert await ask(path, question()) is not None


@pytest.mark.parametrize(
    "line", [b"\n", b"no json\n", b"[]\n", b'{"from": "101"}\n', b'{"from": 1, "to": 2, "at": 3}\n']
)
async def test_what_is_no_question_gets_no_answer_and_stops_nobody(world: World, tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "questions.sock"
    async with answering(world, path):
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(line)
        assert await reader.read() == b""
        writer.close()
        assert await ask(path, question()) is not None


async def test_a_path_that_is_too_long_for_a_socket_leaves_the_store_to_be_asked(world: World, tmp_path: Path) -> None:
    path = tmp_path / ("x" * 120)
    questions = Questions(lambda: world.switch.settings, world.switch.books)
    await asyncio.wait_for(questions.run(path), PATIENCE_SECONDS)
    assert await ask(path, question()) is None


async def test_the_command_line_asks_the_switch_and_without_one_the_store(world: World, tmp_path: Path) -> None:
    file = write_configuration(tmp_path)
    text = file.read_text(encoding="utf-8")
    file.write_text(f"{text}store: {{dsn: '{world.switch.settings.store_dsn}'}}\n", encoding="utf-8")
    words = ("explain", "--from", "101", "--to", "420600000001", "--json")
    without = json.loads((await asyncio.to_thread(softswitch, file, *words)).stdout)
    settings = replace(world.switch.settings, emergency_numbers=("420600000001",))  # free: it shows who answered
    world.switch.settings = settings
    async with answering(world, questions_socket(load(file))):
        answered = json.loads((await asyncio.to_thread(softswitch, file, *words)).stdout)
        shown = (await asyncio.to_thread(softswitch, file, *words[:-1])).stdout
    assert (without["is_paid"], answered["is_paid"]) == (True, False)
    assert "the call would ring" in shown
