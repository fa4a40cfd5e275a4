# SPDX-License-Identifier: Apache-2.0
"""What phones and gateways see of the life cycle of accounts, and of the names that accounts go by."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from billing_client.parties import Parties, Subscriber
from billing_client.rules.lifecycle import LifeTerms
from switch.access.reach import PartyMemory
from switch.access.subscribers import Subscribers
from switch.sip.session import Acknowledged, Failed
from switch.sip.user_agent import Invited
from tests.patience import PATIENCE_SECONDS
from tests.switch.explain.test_explained import asked
from tests.switch.routing.test_gateways import carriers
from tests.switch.routing.test_plan import ALICE

if TYPE_CHECKING:
    from switch.settings import SwitchSettings
    from tests.switch.conftest import World
    from tests.switch.phone import Phone

pytestmark = pytest.mark.asyncio

EXPIRED = "UPDATE billing_account SET expiry_date = '2020-03-20' WHERE number = $1"
REASON = "account expired on 2020-03-20: its expiry date"
ALIAS = (
    "INSERT INTO billing_alias (name, account_id, allow_authentication)"
    " SELECT $1, id, $2 FROM billing_account WHERE number = '101'"
)
EMERGENCY = "420600000112"


@pytest.fixture
def settings(settings: SwitchSettings) -> SwitchSettings:
    """With an emergency number that the sample carrier would take."""
    return replace(settings, emergency_numbers=(EMERGENCY,))


async def alias(world: World, name: str, *, registers: bool) -> None:
    """Give account 101 another name, and wait until the switch knows its addresses."""
    await world.sql.execute(ALIAS, name, registers)
    await world.routes_reloaded()


async def registration(phone: Phone) -> int:
    """The status that a registration gets."""
    request = phone.make(
        "REGISTER",
        f"sip:{phone.switch[0]}",
        ("Contact", f"<sip:{phone.user}@{phone.address}>"),
        to=f"sip:{phone.user}@{phone.switch[0]}",
    )
    return (await phone.authenticated(request)).status


async def test_a_registered_phone_whose_account_expires_calls_nobody_not_even_for_help(world: World) -> None:
    """The specification: "Account with the "Expired" status can no longer access any services, including
    emergency calls." """
    async with world.phone("101") as alice, world.phone("102") as bob:
        await alice.register()
        await bob.register()
        await world.sql.execute(EXPIRED, "101")
        for number in ("102", EMERGENCY, "420999999999"):
            await alice.call(number)
            response = (await alice.expect(Failed)).response
            assert response.status == 403
            assert REASON in (response.get("Reason") or "")
        with pytest.raises(TimeoutError):
            await bob.expect(Invited, 0.1)
    await world.settled()


async def test_an_expired_account_does_not_register(world: World) -> None:
    await world.sql.execute(EXPIRED, "101")
    async with world.phone("101") as alice:
        assert await registration(alice) == 403


async def test_an_expired_account_is_not_called_and_strangers_do_not_hear_when_it_expired(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        await alice.register()
        await world.sql.execute(EXPIRED, "101")
        await bob.call("101")
        response = (await bob.expect(Failed)).response
        assert response.status == 480
        assert "account expired" in (response.get("Reason") or "")
        assert "2020" not in (response.get("Reason") or "")
        with pytest.raises(TimeoutError):
            await alice.expect(Invited, 0.1)
    await world.settled()


async def test_a_longer_life_takes_effect_at_once(world: World) -> None:
    """The specification: "you can change the expiration date that was set earlier or extend the existing
    availability period" """
    await world.sql.execute(EXPIRED, "101")
    async with world.phone("101") as alice:
        assert await registration(alice) == 403
        await world.sql.execute("UPDATE billing_account SET expiry_date = '2999-03-20' WHERE number = '101'")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await registration(alice) != 200:  # noqa: ASYNC110 (nothing announces it)
                await asyncio.sleep(0.02)


async def test_an_answered_call_is_written_as_a_use_of_who_paid(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await alice.call("102")
        await bob.answer()
        answered = await alice.connected()
        await bob.expect(Acknowledged)
        alice.perform(answered.session.bye(alice.now()))
        (xdr,) = await world.settled()
    used = await world.sql.fetch(
        "SELECT a.number, u.first_used_at, u.last_used_at"
        " FROM billing_accountuse u JOIN billing_account a ON a.id = u.account_id"
    )
    assert [tuple(row) for row in used] == [("101", xdr["answered_at"], xdr["ended_at"])]


async def test_what_would_become_of_a_call_is_told_for_any_day(world: World) -> None:
    await world.sql.execute("UPDATE billing_account SET expiry_date = '2999-03-20' WHERE number = '101'")
    async with world.phone("102") as bob:
        await bob.register()
        today = await asked(world, "101", "102")
        assert today.refusal is None
        later = await asked(world, "101", "102", at=datetime(2999, 3, 20, tzinfo=UTC))
        assert later.refusal is not None
        assert later.refusal.text == "caller's account expired on 2999-03-20: its expiry date"
        called = await asked(world, "102", "101", at=datetime(2999, 3, 20, tzinfo=UTC))
        assert any("its expiry date" in reason for reason in called.trace)


async def test_who_is_remembered_expires_while_the_store_is_away() -> None:
    now = datetime(2027, 3, 26, 23, 59, 59, tzinfo=UTC)
    memory = PartyMemory()
    mortal = replace(ALICE, life=LifeTerms(after_last_use_days=25, last_used_at=now - timedelta(days=25)))
    memory.keep("101", "102", Parties(mortal, None, ()), 0)
    remembered = memory.recall("101", "102", now).caller
    assert remembered is not None
    assert remembered.refusal is None
    gone = memory.recall("101", "102", now + timedelta(seconds=1)).caller
    assert gone is not None
    assert gone.refusal == "account expired on 2027-03-27: 25 days after its last use"


async def test_a_remembered_subscriber_is_asked_for_anew_when_its_time_is_over() -> None:
    now = datetime(2027, 3, 19, 23, 59, 59, tzinfo=UTC)
    life = LifeTerms(expiry_date=(now + timedelta(days=1)).date())

    class Store:
        async def subscriber(self, name: str) -> Subscriber:
            return Subscriber(name, 1, "101", "secret", None, (), life)

    subscribers = Subscribers(Store(), lambda: 0.0, utc=lambda: now)  # type: ignore[arg-type]
    await subscribers.find("101")
    assert subscribers.kept("101") is not None
    now += timedelta(seconds=1)
    assert subscribers.kept("101") is None
    last = subscribers.last_known("101")
    assert last is not None
    assert last.usable == "account expired on 2027-03-20: its expiry date"


async def test_a_telephone_elsewhere_calls_us_whatever_became_of_its_account(world: World) -> None:
    await alias(world, "42073000001@pstn", registers=False)
    await world.sql.execute(EXPIRED, "101")
    async with carriers(world) as (first, _), world.phone("102") as bob:
        await bob.register()
        from_line = ("P-Asserted-Identity", "<sip:42073000001@carrier>")
        await first.call("102", from_line, authenticate=False)
        await bob.answer()
        await first.connected()
        await first.call("101", from_line, authenticate=False)
        assert (await first.expect(Failed)).response.status == 480


# Aliases


async def test_an_alias_that_authenticates_registers_and_is_called_by_itself(world: World) -> None:
    """The specification: "you must register this alias on an IP phone; if the alias is not registered the
    incoming calls to the corresponding phone number will be dropped" """
    await alias(world, "42077", registers=True)
    password = world.passwords["101"]
    async with world.phone("101") as main, world.phone("42077", password) as own, world.phone("102") as bob:
        await main.register()
        await bob.call("42077")
        dropped = (await bob.expect(Failed)).response
        assert dropped.status == 480
        assert "42077 is not registered" in (dropped.get("Reason") or "")
        assert await registration(own) == 200
        await bob.call("42077")
        await own.answer()
        await bob.connected()
        with pytest.raises(TimeoutError):
            await main.expect(Invited, 0.1)


async def test_a_call_to_an_alias_that_is_not_registered_is_not_forwarded_either(world: World) -> None:
    await world.sql.execute(
        'UPDATE billing_account SET answering = \'{"forward": {"unregistered": {"to": "102"}}}\' WHERE number = \'101\''
    )
    await alias(world, "42077", registers=True)
    async with world.phone("102") as bob, world.phone("103") as carol:
        await bob.register()
        await carol.call("42077")
        assert (await carol.expect(Failed)).response.status == 480
        await carol.call("101")
        await bob.answer()
        await carol.connected()


@pytest.mark.parametrize("switch", ["alias", "customer"])
async def test_an_alias_without_authentication_does_not_register_and_does_not_call(world: World, switch: str) -> None:
    """The specification: "independent registrations for each additional alias created under the main account will
    be prevented [...]. In this case, incoming calls to the alias will be routed to the main account. Outgoing
    calls using the alias cannot be made." """
    await alias(world, "42077", registers=switch == "customer")
    await world.sql.execute("UPDATE billing_customer SET alias_authentication = $1", switch == "alias")
    password = world.passwords["101"]
    async with world.phone("101") as main, world.phone("42077", password) as own, world.phone("102") as bob:
        assert await registration(main) == 200
        await bob.register()
        assert await registration(own) == 403
        await own.call("102")
        assert (await own.expect(Failed)).response.status == 403
        message = own.make("MESSAGE", f"sip:102@{own.switch[0]}", ("Content-Type", "text/plain"), body=b"hello")
        assert (await own.authenticated(message)).status == 403
        await bob.call("42077")
        await main.answer()
        await bob.connected()


async def test_a_wrong_password_for_such_an_alias_hears_what_every_wrong_password_hears(world: World) -> None:
    await alias(world, "42077", registers=False)
    async with world.phone("42077", "guess") as guesser, world.phone("nobody", "guess") as nobody:
        assert await registration(guesser) == await registration(nobody) == 401


# Addresses


async def test_a_gateway_calls_from_its_address_without_a_password(world: World) -> None:
    """The specification: "a customer's VoIP gateway could be an account identified by its IP address" """
    async with world.phone("102") as bob, world.phone("pbx") as gateway:
        await bob.register()
        await gateway.call("102")  # it is asked for a password
        assert (await gateway.expect(Failed)).response.status == 407
        await alias(world, "127.0.0.1", registers=True)
        await gateway.call("102", authenticate=False)
        incoming = await bob.answer()
        assert incoming.request.from_.uri.user == "101"
        answered = await gateway.connected()
        (call,) = world.switch.control.calls.values()
        assert any("known by its address 127.0.0.1" in reason for reason in call.trace)
        gateway.perform(answered.session.bye(gateway.now()))
        (xdr,) = [row for row in await world.settled() if row["answered_at"]]
    account = await world.sql.fetchval("SELECT number FROM billing_account WHERE id = $1", xdr["account_id"])
    assert account == "101"


async def test_a_phone_behind_the_address_that_gives_a_password_is_itself(world: World) -> None:
    await alias(world, "127.0.0.1", registers=True)
    async with world.phone("102") as bob, world.phone("103") as carol:
        await bob.register()
        request = carol.make("MESSAGE", f"sip:102@{carol.switch[0]}", ("Content-Type", "text/plain"), body=b"hello")
        assert (await carol.request(request)).status == 403  # it would be written in the name of account 103
        assert await registration(bob) == 200  # a registration is never without a password


async def test_an_address_of_an_expired_account_calls_nobody(world: World) -> None:
    await alias(world, "127.0.0.1", registers=True)
    await world.sql.execute(EXPIRED, "101")
    async with world.phone("pbx") as gateway:
        await gateway.call("102", authenticate=False)
        assert (await gateway.expect(Failed)).response.status == 403


async def test_a_call_from_an_address_is_explained(world: World) -> None:
    await alias(world, "192.0.2.10", registers=True)
    explanation = await asked(world, "", "102", source="192.0.2.10:5060")
    assert any("101 is known by its address 192.0.2.10" in reason for reason in explanation.trace)
