# SPDX-License-Identifier: Apache-2.0
"""Two companies with the same extensions on one switch: whom each reaches, what each sees, and where each gets help."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from billing_client.rules.dialling import NumberPlan
from switch.sip.session import Failed
from tests.patience import PATIENCE_SECONDS
from tests.softswitch.support import softswitch, write_configuration
from tests.switch.explain.test_explained import asked
from tests.switch.phone import sdp
from tests.switch.routing.test_gateways import carriers

if TYPE_CHECKING:
    from pathlib import Path

    from switch.settings import SwitchSettings
    from tests.switch.conftest import World
    from tests.switch.phone import Phone

pytestmark = pytest.mark.asyncio

APPLY = """
import json, sys
from billing.store.preparing import setup
setup(sys.argv[1])
from billing.document.apply import apply
from tests.billing.back_office import ACTOR
apply(ACTOR, json.loads(sys.argv[2]))
"""
PASSWORD = "the same for all of them"
PRAGUE = {"country": "CZ", "area": "2"}
NEW_YORK = {"country": "US", "area": "212"}


def account(number: str, customer: str, extension: str, public: str, **more: Any) -> dict[str, Any]:
    """A line of a company."""
    names = {"number": number, "extension": extension, "aliases": [public]}
    return {**names, "customer": customer, "kind": "subordinate", "product": "Line", "password": PASSWORD, **more}


COMPANIES: dict[str, Any] = {
    "customers": [
        {"name": "Praha", "currency": "USD", "credit_limit": 20, "numbering": PRAGUE,
         "emergency": {"location": "Hlavní 1, Praha", "callback": "+420 222 111 000"}},
        {"name": "New York", "currency": "USD", "credit_limit": 20, "numbering": NEW_YORK},
    ],
    "tariffs": [
        {"name": "World", "currency": "USD", "rates": [
            {"prefix": "1", "price": 0.5}, {"prefix": "420", "price": 0.1}, {"prefix": "42090", "price": 1,
                                                                            "blocked": True}]},
        {"name": "Neighbours", "currency": "USD", "rates": [{"prefix": "", "price": 0.01}]},
    ],
    "products": [{"name": "Line", "tariff": "World", "between": "Neighbours"}],
    "accounts": [
        account("praha-101", "Praha", "301", "420222111001", display="Petr"),
        account("praha-102", "Praha", "302", "420222111002", display="Pavla"),
        account("ny-101", "New York", "301", "12125550101", display="Nick"),
        account("ny-102", "New York", "302", "12125550102", display="Nora"),
    ],
    "gateways": [
        {"name": "sample-carrier", "emergency": [{"country": "CZ", "area": "2", "number": "112"}]},
        {"name": "sample-carrier-b", "emergency": [{"country": "US", "area": "212", "send": "911"}]},
    ],
}  # fmt: skip


async def apply(dsn: str, document: dict[str, Any]) -> None:
    """As `softswitch apply` does."""
    command = [sys.executable, "-c", APPLY, dsn, json.dumps(document)]
    done = await asyncio.to_thread(subprocess.run, command, timeout=240, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


@pytest.fixture
def settings(settings: SwitchSettings) -> SwitchSettings:
    """A node in Germany; what customers say of themselves counts."""
    return replace(settings, numbers=NumberPlan(country="DE"))


async def companies(world: World) -> None:
    """Load both."""
    await apply(world.switch.settings.store_dsn, COMPANIES)
    await world.routes_reloaded()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while 3 not in map(len, world.switch.books.rates.tariffs.values()):  # noqa: ASYNC110 (nothing announces it)
            await asyncio.sleep(0.01)


async def rings(caller: Phone, callee: Phone, dialled: str) -> str:
    """Who is rung sees; the call is given up then."""
    invite = await caller.call(dialled)
    rung = await callee.ringing()
    caller.perform(invite.cancel(caller.now()))
    await caller.expect(Failed)
    return rung.request.from_.uri.user or ""


async def refused(caller: Phone, dialled: str) -> int:
    """The final status of a call that nobody rings for."""
    await caller.call(dialled)
    return (await caller.expect(Failed)).response.status


async def test_each_company_reaches_its_own_extension_and_sees_it(world: World) -> None:
    await companies(world)
    async with (
        world.phone("praha-101", PASSWORD) as petr, world.phone("praha-102", PASSWORD) as pavla,
        world.phone("ny-101", PASSWORD) as nick, world.phone("ny-102", PASSWORD) as nora,
    ):  # fmt: skip
        for phone in (petr, pavla, nick, nora):
            await phone.register()
        assert await rings(petr, pavla, "302") == "301"
        assert await rings(nick, nora, "302") == "301"
        # the demo company has 101 too, and no extensions: it is nobody's colleague here
        assert await refused(petr, "101") == 404
        assert await refused(petr, "ny-102") == 404
        for xdr in await world.settled():
            assert (xdr["amount"], xdr["dialled"]) == (0, "302")


async def test_another_company_is_reached_by_its_public_number_however_it_is_dialled(world: World) -> None:
    await companies(world)
    async with world.phone("praha-101", PASSWORD) as petr, world.phone("ny-102", PASSWORD) as nora:
        await nora.register()
        for dialled in ("12125550102", "0012125550102", "+12125550102", "+1-212-555-0102;isub=1"):
            await rings(petr, nora, dialled)
    async with world.phone("ny-101", PASSWORD) as nick, world.phone("praha-102", PASSWORD) as pavla:
        await pavla.register()
        for dialled in ("011420222111002", "+420222111002", "420222111002"):
            await rings(nick, pavla, dialled)
    xdrs = await world.settled()
    assert {xdr["dialled"] for xdr in xdrs} == {"12125550102", "420222111002"}
    assert {xdr["typed"] for xdr in xdrs} == {"", "0012125550102", "011420222111002"}
    assert {xdr["next_price"] for xdr in xdrs} == {Decimal("0.01")}


async def test_a_national_number_of_the_outside_goes_out_as_one_of_the_world_and_comes_back_as_dialled(
    world: World,
) -> None:
    await companies(world)
    async with carriers(world) as (first, _), world.phone("praha-101", PASSWORD) as petr:
        await petr.register()
        for dialled in ("600000001", "00420600000001", "+420600000001"):
            invite = await petr.call(dialled)
            rung = await first.ringing()
            assert rung.request.uri.user == "420600000001"
            petr.perform(invite.cancel(petr.now()))
            await petr.expect(Failed)
        request = first.make("INVITE", f"sip:420222111001@{first.switch[0]}:{first.switch[1]}",
                             ("P-Asserted-Identity", "<tel:+420600000001>"), ("Content-Type", "application/sdp"),
                             body=sdp())  # fmt: skip
        first.perform(first.agent.invite(request, first.flow, natted=False, owner=first).start(first.now()))
        rung = await petr.ringing()
        assert rung.request.from_.uri.user == "600000001"


@pytest.mark.parametrize("trick", ["900123456", "00420900123456", "+420900123456", "900123456;phone-context=+1",
                                   "900-123-456", "900123456;isub=7", "420900123456;npdi;rn=+1900"])  # fmt: skip
async def test_no_spelling_gets_around_a_barred_destination(world: World, trick: str) -> None:
    await companies(world)
    async with world.phone("praha-101", PASSWORD) as petr:
        assert await refused(petr, trick) == 403


async def test_112_goes_where_the_phone_is_with_its_place_and_the_number_to_call_back(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await companies(world)
    async with carriers(world) as (first, second), world.phone("praha-101", PASSWORD) as petr:
        with caplog.at_level(logging.WARNING):
            await petr.call("112")
            rung = await first.ringing()
        assert rung.request.uri.user == "112"
        assert rung.request.from_.uri.user == "420222111000"
        assert rung.request.get("Geolocation") == "<cid:location@softswitch.invalid>"
        assert "Hlavní 1, Praha".encode() in rung.request.body
        assert "an emergency call" in caplog.text
        async with world.phone("ny-101", PASSWORD) as nick:
            await nick.call("112")
            assert (await second.ringing()).request.uri.user == "911"
        assert world.switch.control.shared.emergencies.count == 2
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await world.sql.fetchval("SELECT count(*) FROM billing_emergencycall") < 2:  # noqa: ASYNC110 (nothing does)
                await asyncio.sleep(0.01)
        noted = await world.sql.fetch("SELECT account, gateways, location FROM billing_emergencycall ORDER BY at")
        assert [tuple(row) for row in noted] == [
            ("praha-101", "sample-carrier", "Hlavní 1, Praha"), ("ny-101", "sample-carrier-b", ""),
        ]  # fmt: skip


async def test_a_call_for_help_is_tried_at_every_gateway_even_where_one_says_busy(world: World) -> None:
    both = {"gateways": [{"name": name, "emergency": [{"country": "CZ", "order": order}]}
                         for order, name in enumerate(("sample-carrier", "sample-carrier-b"), 1)]}  # fmt: skip
    await companies(world)
    await apply(world.switch.settings.store_dsn, both)
    await world.routes_reloaded()
    async with carriers(world) as (first, second), world.phone("praha-101", PASSWORD) as petr:
        await petr.call("112")
        busy = await first.ringing()
        first.perform(busy.reject(486, first.now()))
        assert (await second.ringing()).request.uri.user == "112"


async def test_112_never_goes_where_the_prefix_1_goes(world: World) -> None:
    async with carriers(world), world.phone("101") as alice:
        assert await refused(alice, "112") == 404
    assert world.switch.control.shared.emergencies.count == 1


async def test_an_explanation_tells_the_number_and_by_which_rule(world: World) -> None:
    await companies(world)
    told = [step.text for step in (await asked(world, "praha-101", "00420600000001")).trace.read()]
    assert any("00420600000001 is 420600000001" in line for line in told)
    told = [step.text for step in (await asked(world, "praha-101", "302")).trace.read()]
    assert any("an extension within the company" in line for line in told)
    assert any("a call within Praha is free" in line for line in told)


async def test_a_message_by_extension_reaches_the_colleague_alone(world: World) -> None:
    await companies(world)
    async with world.phone("praha-101", PASSWORD) as petr, world.phone("ny-102", PASSWORD) as nora:
        await nora.register()
        uri = f"sip:302@{petr.switch[0]}:{petr.switch[1]}"
        request = petr.make("MESSAGE", uri, ("Content-Type", "text/plain"), body=b"hello")
        response = await petr.authenticated(request)
        assert response.status == 480  # the colleague has no phone


async def test_the_command_tells_which_number_is_dialled_and_whom_it_reaches(world: World, tmp_path: Path) -> None:
    await companies(world)
    file = write_configuration(tmp_path)
    store = f"store: {{dsn: '{world.switch.settings.store_dsn}'}}\n"
    file.write_text(file.read_text(encoding="utf-8") + store, encoding="utf-8")
    words = ("number", "--from", "praha-101", "--json", "00420777123001", "777123001", "302", "101", "112", "00112")
    done = await asyncio.to_thread(softswitch, file, *words)
    rows = {row["dialled"]: row for row in json.loads(done.stdout)}
    assert {rows[one]["number"] for one in ("00420777123001", "777123001")} == {"420777123001"}
    assert rows["00420777123001"]["shown"] == "777123001"
    assert rows["302"]["reached"] == "praha-102 of Praha"
    assert rows["101"]["reached"] == "the outside"
    assert "dials by extensions" in rows["101"]["why"]
    assert rows["112"]["number"] == "112"
    assert "no whole number" in rows["00112"]["why"]
