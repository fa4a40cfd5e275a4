# SPDX-License-Identifier: Apache-2.0
"""How a switch with many registered accounts goes through the message lamps: only those that may be lit, and slowly."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg
import pytest

from billing_client.lamps import LampCursor
from billing_client.mailboxes.words import MessageCounts
from billing_client.store import Store
from billing_client.types import StoreRefused, StoreUnavailable
from ivr.scripted.virtual_time import run_virtually
from switch.lamp.news import News
from tests.switch.money.test_settlement import switch_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from switch.lamp.news import Counts
    from switch.settings import SwitchSettings

ONE, TWO = MessageCounts(1, 0, 0, 0), MessageCounts(2, 0, 0, 0)
MANY = 20_000


class FakeMailboxes:
    """Mailboxes with a message each; an answer takes so long."""

    def __init__(self, mailboxes: int, answer_seconds: float = 0.0) -> None:
        self.numbers = [f"{number}" for number in range(mailboxes)]
        self.answer_seconds = answer_seconds
        self.asked: list[tuple[float, list[str]]] = []
        self.pages = 0
        self.busy_seconds = 0.0
        self.fails: StoreUnavailable | StoreRefused | None = None

    async def lamps(self, after: LampCursor, limit: int) -> tuple[list[str], LampCursor | None]:
        """A page."""
        await self._answer()
        self.pages += 1
        begin = after.account_id or 0
        end = begin + limit
        return self.numbers[begin:end], LampCursor(end) if end < len(self.numbers) else None

    async def message_counts(self, numbers: Sequence[str]) -> dict[str, MessageCounts]:
        """One message each."""
        await self._answer()
        self.asked.append((asyncio.get_running_loop().time(), list(numbers)))
        return dict.fromkeys(numbers, ONE)

    async def _answer(self) -> None:
        await asyncio.sleep(self.answer_seconds)
        self.busy_seconds += self.answer_seconds
        if self.fails is not None:
            raise self.fails


class Walker:
    """News of such mailboxes, on a virtual clock."""

    def __init__(self, mailboxes: FakeMailboxes) -> None:
        self.told: list[tuple[float, str, bool]] = []
        self.most_held = 0
        self.news = News(mailboxes, self._tell, clock=asyncio.get_running_loop().time)
        self._running = asyncio.create_task(self.news.run())

    def _tell(self, number: str, _counts: Counts | None, is_forced: bool) -> None:
        self.told.append((asyncio.get_running_loop().time(), number, is_forced))
        self.most_held = max(self.most_held, len(self.news))

    async def walked(self) -> None:
        """Wait until all walks are over."""
        while self.news.is_walking:  # noqa: ASYNC110 (nothing announces it)
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        """Stop."""
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)


@contextlib.asynccontextmanager
async def walking(mailboxes: FakeMailboxes) -> AsyncIterator[Walker]:
    """A walk from its start on."""
    walker = Walker(mailboxes)
    walker.news.walk(forced=True)
    try:
        yield walker
    finally:
        await walker.close()


def test_a_walk_tells_some_hundreds_a_second_and_holds_one_page() -> None:
    """Case H8."""

    async def scenario() -> None:
        mailboxes = FakeMailboxes(20_000, answer_seconds=0.002)
        async with walking(mailboxes) as walker:
            await walker.walked()
            now = asyncio.get_running_loop().time()
        assert [number for _, number, _ in walker.told] == mailboxes.numbers
        assert all(forced for _, _, forced in walker.told)
        assert walker.most_held <= 500
        assert 300 <= len(walker.told) / now <= 400
        assert max(len(asked) for _, asked in mailboxes.asked) <= 20  # a call's message waits for so many at most
        assert mailboxes.busy_seconds <= now / 10

    run_virtually(scenario())


@pytest.mark.parametrize("answer_seconds", [0.05, 0.5, 2.0])
def test_a_walk_gives_way_where_the_store_is_slow(answer_seconds: float) -> None:
    """Case H8: whatever makes it slow, calls have it for themselves nine tenths of the time."""

    async def scenario() -> None:
        mailboxes = FakeMailboxes(400, answer_seconds)
        async with walking(mailboxes) as walker:
            await walker.walked()
            await asyncio.sleep(9 * answer_seconds)
            now = asyncio.get_running_loop().time()
        assert len(walker.told) == 400
        assert mailboxes.busy_seconds <= now / 10 + 2 * answer_seconds

    run_virtually(scenario())


def test_what_somebody_waits_for_does_not_queue_behind_a_walk() -> None:
    """Case H8: a message that comes meanwhile is told at once."""

    async def scenario() -> None:
        async with walking(FakeMailboxes(100_000, answer_seconds=0.002)) as walker:
            await asyncio.sleep(3.0)
            asked_at = asyncio.get_running_loop().time()
            walker.news.ask("99999")
            await asyncio.sleep(0.2)
            assert walker.news.is_walking
            told_at = next(at for at, number, _ in walker.told if number == "99999")
        assert told_at - asked_at < 0.1

    run_virtually(scenario())


def test_who_waits_does_not_wait_for_an_answer_to_a_walk_and_the_older_answer_is_not_told() -> None:
    """Case H8: a store that takes seconds for a walk, and a message that comes meanwhile."""

    class Halting(FakeMailboxes):
        async def message_counts(self, numbers: Sequence[str]) -> dict[str, MessageCounts]:
            old = dict.fromkeys(numbers, ONE)
            if len(numbers) == 1:
                return dict.fromkeys(numbers, TWO)
            await asyncio.sleep(5.0)
            return old

    async def scenario() -> None:
        async with walking(Halting(20)) as walker:
            await asyncio.sleep(1.0)
            walker.news.ask("7")
            await asyncio.sleep(0.1)
            assert walker.told == [(1.0, "7", True)]
            await walker.walked()
        assert sorted(int(number) for _, number, _ in walker.told) == list(range(20))

    run_virtually(scenario())


def test_a_walk_stands_still_while_the_store_is_away_and_loses_nothing() -> None:
    async def scenario() -> None:
        mailboxes = FakeMailboxes(2_000)
        async with walking(mailboxes) as walker:
            await asyncio.sleep(1.0)
            mailboxes.fails = StoreUnavailable("away")
            await asyncio.sleep(60.0)
            asked = mailboxes.busy_seconds, len(walker.told)
            walker.news.ask("7")
            mailboxes.fails = None
            await walker.walked()
        assert asked[1] < 1_000
        assert {number for _, number, _ in walker.told} == set(mailboxes.numbers)

    run_virtually(scenario())


def test_a_store_that_objects_ends_no_walk_for_ever() -> None:
    async def scenario() -> None:
        mailboxes = FakeMailboxes(100)
        mailboxes.fails = StoreRefused("no such table")
        over: list[str] = []
        async with walking(mailboxes) as walker:
            walker.news.walk(then=lambda: over.append("half-way"))
            await walker.walked()
            mailboxes.fails = None
            walker.news.walk(then=lambda: over.append("whole"))
            await walker.walked()
        assert over == ["whole"]  # what a walk has not met is dark only if it has met all
        assert len(walker.told) == 100
        assert not any(forced for _, _, forced in walker.told)

    run_virtually(scenario())


def test_gaps_in_a_row_cost_one_more_walk_and_never_begin_anew() -> None:
    async def scenario() -> None:
        mailboxes = FakeMailboxes(4_000)
        async with walking(mailboxes) as walker:
            for _ in range(50):
                await asyncio.sleep(0.1)
                walker.news.walk(["1", "2"])
            await walker.walked()
        assert len(walker.told) == 2 * 4_000 + 2
        assert mailboxes.pages == 16

    run_virtually(scenario())


# with a store ---------------------------------------------------------------------------------------------------------
BALANCES = """
INSERT INTO billing_balance (id, kind, currency)
SELECT 1000000 + n, b.kind, b.currency FROM generate_series(1, $1::integer) n, billing_account a
  JOIN billing_balance b ON b.id = a.balance_id WHERE a.number = '101'"""
ACCOUNTS = """
INSERT INTO billing_account (id, number, customer_id, kind, balance_id, product_id, password)
SELECT 1000000 + n, (8000000 + n)::text, a.customer_id, a.kind, 1000000 + n, a.product_id, 'secret'
  FROM generate_series(1, $1::integer) n, billing_account a WHERE a.number = '101'"""
ALIASES = """
INSERT INTO billing_alias (name, account_id, allow_authentication, is_number)
SELECT number, id, true, true FROM billing_account WHERE id > 1000000 ON CONFLICT DO NOTHING"""
BINDINGS = """
INSERT INTO billing_binding (aor, key, contact, path, expires_at, q, call_id, cseq, user_agent, node, socket)
SELECT number, 'contact', 'sip:' || number || '@127.0.0.1:' || $1::text, '{}', now() + interval '1 hour', 1, number, 1,
       'many', $2::text, $3::text
  FROM billing_account WHERE id > 1000000"""
MESSAGES = """
INSERT INTO billing_voicemessage (id, account_id, folder, caller, caller_name, received_at, seconds, urgent, deleted_at)
SELECT gen_random_uuid(), 1000000 + $1::integer * n, 'new', '1', '', now(), 1, false, $2::timestamptz
  FROM generate_series(1, $3::integer) n"""


class Sink(asyncio.DatagramProtocol):
    """Where many phones are: counts whom a NOTIFY tells, and answers."""

    def __init__(self) -> None:
        self.lamps: dict[str, str] = {}
        self.transport: asyncio.DatagramTransport | None = None

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A NOTIFY: note it, and say 200."""
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        if lines[0].startswith("NOTIFY sip:"):
            self.lamps[lines[0][11:18]] = body.decode().split("Voice-Message: ")[1].strip()
            kept = [line for line in lines[1:] if line.split(":")[0] in ("Via", "From", "To", "Call-ID", "CSeq")]
            answer = "\r\n".join(["SIP/2.0 200 OK", *kept, "Content-Length: 0", "", ""])
            assert self.transport is not None
            self.transport.sendto(answer.encode(), addr)


async def register_many(dsn: str, node: str, phones: int, port: int) -> None:
    """Accounts that registered with an earlier life of this node; every 200th has a message, every 500th had one."""
    sql = await asyncpg.connect(dsn)
    try:
        for table in ("account", "alias", "voicemessage"):
            await sql.execute(f"ALTER TABLE billing_{table} DISABLE TRIGGER USER")
        await sql.execute(BALANCES, phones)
        await sql.execute(ACCOUNTS, phones)
        await sql.execute(ALIASES)
        await sql.execute(BINDINGS, str(port), node, "udp:127.0.0.1:5060")
        await sql.execute(MESSAGES, 200, None, phones // 200)
        await sql.execute(MESSAGES, 500, datetime.now(UTC) - timedelta(minutes=5), phones // 500)
        for table in ("account", "alias", "voicemessage"):
            await sql.execute(f"ALTER TABLE billing_{table} ENABLE TRIGGER USER")
        await sql.execute("ANALYZE")
    finally:
        await sql.close()


@pytest.mark.asyncio
async def test_after_a_restart_only_lamps_that_may_be_lit_are_asked_about(
    settings: SwitchSettings, demo_template: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case H8: of 20,000 registered accounts those are asked about, and told, that have messages or had some lately."""
    asked: list[str] = []
    counts = Store.message_counts

    async def counted(self: Store, numbers: Sequence[str]) -> dict[str, MessageCounts]:
        asked.extend(numbers)
        return await counts(self, numbers)

    monkeypatch.setattr(Store, "message_counts", counted)
    transport, sink = await asyncio.get_running_loop().create_datagram_endpoint(Sink, local_addr=("127.0.0.1", 0))
    sink.transport = transport
    port = transport.get_extra_info("sockname")[1]
    await register_many(settings.store_dsn, settings.node, MANY, port)
    lit = {f"{8_000_000 + 200 * n}" for n in range(1, MANY // 200 + 1)}
    gone = {f"{8_000_000 + 500 * n}" for n in range(1, MANY // 500 + 1)} - lit
    try:
        async with switch_of(settings, settings.store_dsn, demo_template[1]) as world:
            assert len(world.switch.location) == MANY
            async with asyncio.timeout(10):
                while len(sink.lamps) < len(lit | gone):  # noqa: ASYNC110 (nothing announces it)
                    await asyncio.sleep(0.02)
            await asyncio.sleep(0.3)
            assert len(asked) <= len(lit) + MANY // 500
            assert set(asked) == lit | gone == set(sink.lamps)
            assert {number for number, voice in sink.lamps.items() if voice.startswith("1/0")} == lit
            async with world.phone("101") as alice:
                await alice.register()  # nothing keeps it waiting
    finally:
        transport.close()
