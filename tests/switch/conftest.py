# SPDX-License-Identifier: Apache-2.0
"""A whole switch on a fresh store with the demo tenant, and phones that use it."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import pytest
import pytest_asyncio

from switch.app import Switch
from switch.settings import FloodSettings, SwitchSettings
from switch.sip.message.flow import Listen
from tests.conftest import database_dsn
from tests.patience import PATIENCE_SECONDS
from tests.relays import RELAYS, builtin, rtpengine
from tests.switch.phone import Phone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

LOAD = """
import json, sys
from billing.store.preparing import setup
setup(sys.argv[1])
from billing.demo import load_demo
from tests.billing.back_office import ACTOR
summary = load_demo(ACTOR, [("127.0.0.1", int(port)) for port in sys.argv[2:]])
print(json.dumps({account.number: account.password for account in summary.accounts}))
"""
CARRIER_PORTS = (1, 2)
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def demo_template(store_server: str) -> tuple[str, dict[str, str]]:
    """A template database with the demo tenant, and the passwords by account."""
    with psycopg.connect(store_server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE template_demo TEMPLATE template_store STRATEGY file_copy")
    dsn = database_dsn(store_server, "template_demo")
    ports = map(str, CARRIER_PORTS)
    done = subprocess.run([sys.executable, "-c", LOAD, dsn, *ports], check=True, timeout=240, capture_output=True)
    return "template_demo", json.loads(done.stdout)


@pytest.fixture
def demo_dsn(store_server: str, demo_template: tuple[str, dict[str, str]]) -> Iterator[str]:
    """A fresh store with the demo tenant."""
    database = f"demo_{next(_numbers)}"
    with psycopg.connect(store_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database} TEMPLATE {demo_template[0]} STRATEGY file_copy")
        try:
            yield database_dsn(store_server, database)
        finally:
            connection.execute(f"DROP DATABASE {database} WITH (FORCE)")


@dataclass(slots=True)
class World:
    """A running switch, its store, and the passwords of its accounts."""

    switch: Switch
    sql: asyncpg.Connection[asyncpg.Record]
    passwords: dict[str, str]

    @property
    def address(self) -> tuple[str, int]:
        """Where the switch listens on UDP."""
        return next((host, port) for transport, host, port in self.switch.transport.bound if transport == "udp")

    def phone(self, user: str, password: str | None = None, **options: Any) -> Phone:
        """A phone of an account, not registered yet."""
        return Phone(user, self.passwords.get(user, "") if password is None else password, self.address, **options)

    async def balance(self, number: str) -> Decimal:
        """The balance that an account spends from."""
        found = await self.sql.fetchval(
            "SELECT b.amount FROM billing_account a JOIN billing_balance b ON b.id = a.balance_id WHERE a.number = $1",
            number,
        )
        assert isinstance(found, Decimal)
        return found

    async def routes_reloaded(self) -> None:
        """Wait until the switch has taken over what was changed in the store."""
        for _ in range(2):  # the first reading to end may have begun before the change
            before = self.switch.books.routes
            await self.sql.execute("SELECT pg_notify('softswitch', 'routes')")
            async with asyncio.timeout(PATIENCE_SECONDS):
                while self.switch.books.routes is before:  # noqa: ASYNC110 (nothing announces it)
                    await asyncio.sleep(0.01)

    async def settled(self) -> list[asyncpg.Record]:
        """All xDRs, once every call is over and settled."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.switch.control.calls:  # noqa: ASYNC110 (the other phone's BYE may still be on its way)
                await asyncio.sleep(0.01)
        await self.switch.core.settle()
        assert await self.sql.fetchval("SELECT count(*) FROM billing_activecall") == 0
        return list(await self.sql.fetch("SELECT * FROM billing_xdr ORDER BY started_at"))


@pytest.fixture
def settings(demo_dsn: str) -> SwitchSettings:
    """Settings of the switch under test; a test module may override this fixture."""
    return SwitchSettings(
        node="test",
        domains=("127.0.0.1",),
        listen=(Listen("udp", "127.0.0.1", 0), Listen("tcp", "127.0.0.1", 0)),
        store_dsn=demo_dsn,
        nonce_secret=b"secret of the tests",
        flood=replace(FloodSettings(), requests=0),
        drain_seconds=0.2,
    )


@pytest_asyncio.fixture
async def world(settings: SwitchSettings, demo_template: tuple[str, dict[str, str]]) -> AsyncIterator[World]:
    """A switch with the demo tenant."""
    switch = Switch(settings)
    await switch.start()
    sql = await asyncpg.connect(settings.store_dsn)
    try:
        yield World(switch, sql, demo_template[1])
    finally:
        await sql.close()
        await switch.control.drain(0.1)
        await switch.close()


@pytest.fixture(scope="session")
def rtpengine_relay() -> Iterator[tuple[str, int]]:
    """An rtpengine for all tests of a worker; yields where it takes commands."""
    with rtpengine() as ng:
        yield ng


@pytest_asyncio.fixture(params=RELAYS)
async def relay(request: pytest.FixtureRequest) -> AsyncIterator[tuple[str, int]]:
    """Each of the media relays; yields where it takes commands."""
    if request.param == "rtpengine":
        yield request.getfixturevalue("rtpengine_relay")
    else:
        async with builtin() as ng:
            yield ng
