# SPDX-License-Identifier: Apache-2.0
"""Callers recharge by voucher over the real store: hang-ups at every instant, kills, cut connections, stores outside
that fail. Whatever happens, a voucher is worth what it is worth once."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from billing_client.selfcare import StoreSelfCare
from billing_client.vouchers import external as external_vouchers
from billing_client.vouchers.http import HttpVoucherStore
from ivr.say import grammar
from softswitch.demo.sample_vouchers import SampleVoucherStore
from tests.patience import PATIENCE_SECONDS
from tests.store.proxy import Proxy
from tests.store.recharging import ASK, caller, counter
from tests.store.vouchers import Press, patience_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ivr.scripted.scripted import ScriptedCaller, Story
    from ivr.server.runner import Application
    from tests.store.conftest import Tenant

pytestmark = pytest.mark.asyncio

DUE = "UPDATE billing_redemption SET due_at = now() - interval '1 second' WHERE state = 'pending'"
TYPING_FROM = 2.0


async def calls(script: ScriptedCaller, app: Application) -> Story:
    """The story of a call, which has a virtual clock and a thread of its own."""
    return await asyncio.to_thread(script.run, app)


@asynccontextmanager
async def opened(
    press: Press, *, dsn: str | None = None, seconds: float = 0.0, **settings: Any
) -> AsyncIterator[Application]:
    """The application with doors of its own."""
    vouchers = await press.door(dsn=dsn, **{"lock_after": 10**6, **settings})
    selfcare = await StoreSelfCare.connect(dsn or press.dsn, node="test", timeout_seconds=2)
    try:
        yield counter(selfcare, vouchers, seconds=seconds)
    finally:
        await vouchers.close()
        await selfcare.close()


@pytest_asyncio.fixture
async def app(press: Press) -> AsyncIterator[Application]:
    """The application on the test's store."""
    async with opened(press) as found:
        yield found


async def funds(tenant: Tenant) -> Decimal:
    """Of account 101."""
    return Decimal((await tenant.balance(2))[0])


async def is_used(tenant: Tenant, code: str) -> bool:
    return bool(await tenant.sql.fetchval("SELECT used_at IS NOT NULL FROM billing_voucher WHERE id = $1", code[:11]))


@pytest.mark.parametrize("language", ["en", "cs"])
async def test_a_caller_hears_the_amount_and_the_balance_that_the_books_have(
    press: Press, app: Application, tenant: Tenant, language: str
) -> None:
    code, say = await press.print("5"), grammar(language)
    script = caller("one", language=language).hears(ASK).presses(code + "#")
    script.hears("recharge-done", "recharge-amount", say.money(Decimal(5), "USD"))
    script.hears("new-balance-is", say.money(Decimal(15), "USD"), "goodbye").is_hung_up_on()
    await calls(script, app)
    assert await funds(tenant) == 15
    assert await tenant.audit() == []


@pytest.mark.parametrize("language", ["en", "cs"])
async def test_every_refusal_of_the_store_sounds_as_it_shall(
    press: Press, app: Application, tenant: Tenant, language: str
) -> None:
    used = await press.print()
    await calls(caller("first", "301").hears(ASK).presses(used + "#").hears("recharge-done", ...).waits(20), app)
    wrong = [
        "1234567",
        used,
        (await press.print())[:-1] + "0",
        await press.print(password=None),
        await press.print(currency="EUR"),
        await press.print(state="inactive"),
        await press.print(state="blocked"),
        await press.print(sub_realm="elsewhere"),
    ]
    for number, code in enumerate(wrong):
        script = caller(f"wrong {number}", language=language).hears(ASK).presses(code + "#")
        await calls(script.hears(..., "recharge-invalid", ASK).hangs_up(), app)
    script = caller("subordinate", "201", language).hears(ASK).presses(await press.print() + "#")
    await calls(script.hears(..., "recharge-refused", "goodbye").is_hung_up_on(), app)
    assert await funds(tenant) == 10
    assert await tenant.audit() == []


def cut_short(call_id: str, code: str, seconds: float) -> ScriptedCaller:
    """Types the code from the second second on, ten keys a second, and hangs up after so many seconds."""
    keys = (code + "#")[: max(0, round((seconds - TYPING_FROM) * 10))]
    script = caller(call_id)
    if keys:
        script.presses(keys, after=TYPING_FROM, each=0.1)
    return script.waits(seconds - (TYPING_FROM + 0.1 * (len(keys) - 1) if keys else 0.0)).hangs_up()


async def test_a_hang_up_at_any_instant_neither_loses_nor_doubles(press: Press, tenant: Tenant) -> None:
    """At each half second of a call in which the store takes two seconds."""
    credited, total = [], Decimal(10)
    async with opened(press, seconds=2.0) as app:
        for half_seconds in range(1, 22):
            code = await press.print("1")
            story = await calls(cut_short(f"cut {half_seconds}", code, half_seconds / 2), app)
            assert story.ended_by == "caller"
            credited.append(await is_used(tenant, code))
            assert await funds(tenant) == total + credited[-1]
            # The caller tries again: what was not lost is there, what was credited is not credited twice.
            again = caller(f"again {half_seconds}").hears(ASK).presses(code + "#").waits(3).hangs_up()
            await calls(again, app)
            total += 1
            assert await funds(tenant) == total
    assert credited == sorted(credited)
    assert set(credited) == {False, True}
    assert await tenant.audit() == []


async def test_two_callers_with_one_voucher_are_told_right_and_wrong(press: Press, tenant: Tenant) -> None:
    async with opened(press) as one, opened(press) as two:
        for round_ in range(5):
            code = await press.print("1")
            scripts = [caller(f"{round_} {who}").hears(ASK).presses(code + "#").waits(30) for who in ("one", "two")]
            stories = await asyncio.gather(*map(calls, scripts, (one, two)))
            told = sorted({"recharge-done", "recharge-invalid"}.intersection(story.heard).pop() for story in stories)
            assert told == ["recharge-done", "recharge-invalid"]
            assert await funds(tenant) == 11 + round_
    assert await tenant.audit() == []


async def test_two_vouchers_at_once_for_one_account_are_both_credited(press: Press, tenant: Tenant) -> None:
    async with opened(press) as one, opened(press) as two:
        scripts = [
            caller(f"call {number}")
            .hears(ASK)
            .presses(await press.print("1") + "#")
            .hears(..., "recharge-done", ...)
            .waits(20)
            for number in range(10)
        ]
        await asyncio.gather(*(calls(script, (one, two)[number % 2]) for number, script in enumerate(scripts)))
    assert await funds(tenant) == 20
    assert await tenant.audit() == []


async def test_a_media_server_that_is_killed_neither_loses_nor_doubles(press: Press, tenant: Tenant) -> None:
    """Two of them take calls with the same vouchers, and both are killed; then every caller calls again."""
    randomness, total = random.Random(5), Decimal(10)
    for life in range(3):
        codes = [await press.print("1") for _ in range(200)]
        words = [sys.executable, "-m", "tests.store.recharging", press.dsn, str(press.keys.path)]
        both = [
            await asyncio.create_subprocess_exec(
                *words, f"life{life}-{node}", "101", *randomness.sample(codes, len(codes)),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )
            for node in ("one", "two")
        ]  # fmt: skip
        for process in both:
            assert process.stdout is not None
            assert process.stdin is not None
            assert await process.stdout.readline() == b"ready\n"
            process.stdin.write(b"\n")
        for process in both:
            await asyncio.sleep(randomness.uniform(0.02, 0.2))
            process.send_signal(signal.SIGKILL)
            await process.communicate()
        used = await tenant.sql.fetchval("SELECT count(*) FROM billing_voucher WHERE used_at IS NOT NULL")
        assert await funds(tenant) == 10 + used
        async with opened(press) as app:
            for number, code in enumerate(codes):
                script = caller(f"after{life}-{number}").hears(ASK).presses(code + "#").waits(1)
                await calls(script, app)
        total += len(codes)
        assert await funds(tenant) == total
    assert await tenant.audit() == []


async def test_connections_that_are_cut_at_any_moment_neither_lose_nor_double(press: Press, tenant: Tenant) -> None:
    randomness, done = random.Random(7), 0
    async with Proxy(press.dsn) as proxy, opened(press, dsn=proxy.dsn, timeout_seconds=2) as app:

        async def cut(after: float) -> None:
            await asyncio.sleep(after)
            proxy.cut()

        for number in range(30):
            code = await press.print("1")
            script = caller(f"cut {number}").hears(..., ASK).presses(code + "#").waits(30)
            story, _ = await asyncio.gather(
                calls(script, app), cut(randomness.uniform(0.0, 0.02)), return_exceptions=True
            )
            done += not isinstance(story, BaseException) and "recharge-done" in story.heard
            # The caller tries again, when the store is there again.
            await tenant.sql.execute("SELECT pg_sleep(0.05)")
            await calls(caller(f"again {number}").hears(..., ASK).presses(code + "#").waits(1), app)
            assert await funds(tenant) == 11 + number
    assert done > 0
    assert await tenant.audit() == []


@pytest_asyncio.fixture
async def outside(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SampleVoucherStore]:
    """A store outside with a voucher of five dollars; nobody waits long for it."""
    monkeypatch.setattr(external_vouchers, "PAUSES", (0.01, 0.02))
    async with SampleVoucherStore({"9990001": Decimal(5)}, token="secret") as store:
        yield store


STAGES = [f"{path}:{kind}" for path in ("check", "deplete") for kind in ("error", "lost", "slow", "silent", "garbage")]


@pytest.mark.parametrize("fault", STAGES)
@pytest.mark.parametrize("language", ["en", "cs"])
async def test_a_store_outside_that_fails_is_told_of_and_made_good(
    press: Press, outside: SampleVoucherStore, tenant: Tenant, fault: str, language: str
) -> None:
    """Before it depletes, nothing has happened; from then on the caller's money is on its way, and comes once."""
    stage = fault.partition(":")[0]
    outside.faults = [fault] * 3
    adapter = HttpVoucherStore("acme", outside.url, token="secret", timeout_seconds=patience_for(fault))
    vouchers = await press.door(stores=[adapter], lock_after=1000)
    selfcare = await StoreSelfCare.connect(press.dsn, node="test")
    app = counter(selfcare, vouchers)
    told = "service-unavailable" if stage == "check" else "recharge-pending"
    script = caller("first", language=language).hears(ASK).presses("9990001#").hears(told, "goodbye").is_hung_up_on()
    await calls(script, app)
    assert await funds(tenant) == 10
    outside.faults = []
    await tenant.sql.execute(DUE)
    assert await vouchers.reconcile() == (stage == "deplete")
    again = caller("again", language=language).hears(ASK).presses("9990001#").waits(1).hangs_up()
    await calls(again, app)
    assert await funds(tenant) == 15
    assert outside.depleted_by == {"9990001": "first 1" if stage == "deplete" else "again 1"}
    assert await tenant.audit() == []
    await vouchers.close()
    await selfcare.close()


async def test_a_caller_who_hangs_up_while_the_store_outside_works_is_credited_once(
    press: Press, outside: SampleVoucherStore, tenant: Tenant
) -> None:
    adapter = HttpVoucherStore("acme", outside.url, token="secret", timeout_seconds=PATIENCE_SECONDS)
    async with opened(press, seconds=2.0, stores=[adapter]) as app:
        script = caller("first").hears(ASK).presses("9990001#").waits(1.0).hangs_up()
        assert (await calls(script, app)).ended_by == "caller"
        assert await funds(tenant) == 15
        await calls(caller("again").hears(ASK).presses("9990001#").hears(..., "recharge-invalid").hangs_up(), app)
    assert await funds(tenant) == 15
    assert await tenant.audit() == []
