# SPDX-License-Identifier: Apache-2.0
"""The message lamp: phones that subscribe and phones that do not know how many messages wait, whatever is restarted."""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import asyncpg
import pytest
import pytest_asyncio

from billing_client.mailboxes.mailboxes import StoreMailboxes
from billing_client.mailboxes.words import Deposit, Sound
from billing_client.store import Store
from switch.app import Switch
from switch.sip.message.flow import Listen
from switch.sip.user_agent import Arrived
from tests.patience import PATIENCE_SECONDS
from tests.store.proxy import Proxy
from tests.switch.money.test_settlement import switch_of
from tests.switch.phone import Phone
from tests.switch.test_requests import uri

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from billing_client.mailboxes.words import MessageCounts
    from switch.settings import SwitchSettings
    from switch.sip.message.message import Request, Response
    from tests.switch.conftest import World

pytestmark = pytest.mark.asyncio

QUIET_SECONDS = 0.8
EVENT = ("Event", "message-summary")


@pytest_asyncio.fixture
async def mailboxes(settings: SwitchSettings) -> AsyncIterator[StoreMailboxes]:
    """The door that messages come in by."""
    door = await StoreMailboxes.connect(settings.store_dsn, node="messages", connections=1)
    yield door
    await door.close()


async def deposit(mailboxes: StoreMailboxes, number: str, *, urgent: bool = False) -> str:
    """A new message; returns its id."""
    message_id = str(uuid.uuid4())
    message = Deposit(
        message_id=message_id,
        mailbox=number,
        caller="42075553333",
        caller_name="",
        received_at=datetime.now(UTC),
        sound=Sound("wav", b"RIFF", 1.0),
        urgent=urgent,
    )
    assert await mailboxes.deposit(message) == "stored"
    return message_id


def subscription(
    phone: Phone, world: World, user: str | None = None, *lines: tuple[str, str], expires: int = 600
) -> Request:
    """A SUBSCRIBE of a phone."""
    contact = ("Contact", f"<sip:{phone.user}@{phone.address}>")
    given = lines if any(name == "Event" for name, _ in lines) else (EVENT, *lines)
    return phone.make(
        "SUBSCRIBE", uri(world, phone.user if user is None else user), contact, *given, ("Expires", str(expires))
    )


async def subscribe(phone: Phone, world: World, user: str | None = None, *, expires: int = 600) -> Response:
    """Subscribe to the phone's own lamp."""
    response = await phone.authenticated(subscription(phone, world, user, expires=expires))
    assert response.status == 200, response
    assert response.get("Expires") == str(expires)
    return response


def renewal(phone: Phone, world: World, first: Response, cseq: int, expires: int = 600) -> Request:
    """A SUBSCRIBE within the dialog."""
    request = subscription(phone, world, expires=expires)
    request.uri_text = uri(world)
    for name in ("From", "To", "Call-ID"):
        request.set(name, first.get(name) or "")
    request.set("CSeq", f"{cseq} SUBSCRIBE")
    return request


async def notified(phone: Phone, status: int = 200) -> Request:
    """The next NOTIFY to a phone, answered."""
    while True:
        arrived = await phone.expect(Arrived, PATIENCE_SECONDS)
        if arrived.request.method == "NOTIFY":
            response = arrived.request.response(status, to_tag="there")
            phone.perform(phone.agent.layer.respond(arrived.transaction, response, phone.now()))
            return arrived.request


async def shows(phone: Phone, voice: str) -> Request:
    """Wait until the phone is told this; returns the NOTIFY."""
    while True:
        request = await notified(phone)
        lines = dict(line.split(": ", 1) for line in request.body.decode().splitlines())
        assert lines["Messages-Waiting"] == ("no" if lines["Voice-Message"].startswith("0/") else "yes")
        if lines["Voice-Message"] == voice:
            return request


async def is_quiet(phone: Phone) -> bool:
    """Whether no NOTIFY comes for a while."""
    try:
        await phone.expect(Arrived, QUIET_SECONDS)
    except TimeoutError:
        return True
    return False


async def written(world: World) -> list[str]:
    """The accounts of the subscriptions in the store, once all is written."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while world.switch.lamp.unwritten:  # noqa: ASYNC110 (nothing announces it)
            await asyncio.sleep(0.02)
    return [row["account"] for row in await world.sql.fetch("SELECT account FROM billing_subscription ORDER BY 1")]


# subscribing ----------------------------------------------------------------------------------------------------------
async def test_a_subscriber_is_told_at_once_even_that_there_is_nothing(world: World) -> None:
    async with world.phone("101") as alice:
        request = subscription(alice, world)
        challenged = await alice.request(request.copy())
        assert challenged.status == 401
        assert challenged.get("WWW-Authenticate") is not None
        response = await subscribe(alice, world)
        notify = await shows(alice, "0/0 (0/0)")
        assert notify.get("Subscription-State") == "active;expires=600"
        assert notify.get("Event") == "message-summary"
        assert notify.get("Content-Type") == "application/simple-message-summary"
        assert b"Message-Account: sip:101@127.0.0.1\r\n" in notify.body
        assert (notify.call_id, notify.from_tag) == (response.call_id, response.to_tag)
        assert await written(world) == ["101"]


async def test_the_lamp_follows_the_mailbox(world: World, mailboxes: StoreMailboxes) -> None:
    async with world.phone("101") as alice:
        await subscribe(alice, world)
        await shows(alice, "0/0 (0/0)")
        first = await deposit(mailboxes, "101")
        await shows(alice, "1/0 (0/0)")
        second = await deposit(mailboxes, "101", urgent=True)
        await shows(alice, "2/0 (1/0)")
        await mailboxes.move([second], "old")
        await shows(alice, "1/1 (0/1)")
        await mailboxes.delete([first, second])
        await shows(alice, "0/0 (0/0)")
        await deposit(mailboxes, "102")
        assert await is_quiet(alice)


async def test_a_burst_of_messages_is_told_in_few_words(world: World, mailboxes: StoreMailboxes) -> None:
    async with world.phone("101") as alice:
        await subscribe(alice, world)
        await shows(alice, "0/0 (0/0)")
        for _ in range(20):
            await deposit(mailboxes, "101")
        await shows(alice, "20/0 (0/0)")
        notifies = [message for message in alice.received if message.cseq_method == "NOTIFY"]
        assert len(notifies) < 20


@pytest.mark.parametrize("user", ["*97", "*98", ""])
async def test_the_number_of_the_mailbox_means_the_phones_own(world: World, user: str) -> None:
    async with world.phone("101") as alice:
        await subscribe(alice, world, user)
        notify = await shows(alice, "0/0 (0/0)")
        assert b"sip:101@" in notify.body


@pytest.mark.parametrize(
    ("user", "lines", "status"),
    [
        ("102", (), 403),
        ("777", (), 404),
        ("101", (("Event", "presence"),), 489),
        ("101", (("Accept", "application/pidf+xml"),), 406),
    ],
)
async def test_what_is_not_for_this_phone_is_refused(
    world: World, user: str, lines: tuple[tuple[str, str], ...], status: int
) -> None:
    async with world.phone("101") as alice:
        response = await alice.authenticated(subscription(alice, world, user, *lines))
        assert response.status == status
        assert len(world.switch.lamp) == 0


async def test_a_short_subscription_is_refused_and_says_what_would_do(world: World) -> None:
    async with world.phone("101") as alice:
        response = await alice.authenticated(subscription(alice, world, expires=5))
        assert (response.status, response.get("Min-Expires")) == (423, "60")


async def test_a_wrong_password_is_challenged_again(world: World) -> None:
    async with world.phone("101", "wrong") as mallory:
        assert (await mallory.authenticated(subscription(mallory, world))).status == 401


async def test_a_renewal_is_told_again_and_an_end_for_the_last_time(world: World) -> None:
    async with world.phone("101") as alice:
        first = await subscribe(alice, world)
        await shows(alice, "0/0 (0/0)")
        assert (await alice.authenticated(renewal(alice, world, first, 10))).status == 200
        await shows(alice, "0/0 (0/0)")
        assert (await alice.authenticated(renewal(alice, world, first, 5))).status == 500
        assert (await alice.authenticated(renewal(alice, world, first, 20, expires=0))).status == 200
        assert (await notified(alice)).get("Subscription-State") == "terminated;reason=timeout"
        assert (await alice.authenticated(renewal(alice, world, first, 30))).status == 481
        assert await written(world) == []
        assert len(world.switch.lamp) == 0


async def test_a_subscription_cannot_be_taken_over_by_another_account(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        first = await subscribe(alice, world)
        await shows(alice, "0/0 (0/0)")
        assert (await bob.authenticated(renewal(bob, world, first, 10, expires=0))).status == 403
        assert len(world.switch.lamp) == 1


async def test_an_alias_means_the_mailbox_of_its_account(world: World, mailboxes: StoreMailboxes) -> None:
    await world.sql.execute(
        "INSERT INTO billing_alias (name, account_id, allow_authentication)"
        " SELECT 'alice', id, true FROM billing_account WHERE number = '101'"
    )
    async with world.phone("101") as number, world.phone("alice", world.passwords["101"]) as alias:
        await subscribe(number, world, "alice")
        await shows(number, "0/0 (0/0)")
        await alias.register()
        await shows(alias, "0/0 (0/0)")
        await deposit(mailboxes, "101")
        notifies = await asyncio.gather(shows(number, "1/0 (0/0)"), shows(alias, "1/0 (0/0)"))
        assert [b"sip:101@" in notify.body for notify in notifies] == [True, True]


class NattedPhone(Phone):
    """A phone that knows only the address that it has behind its NAT."""

    @property
    def address(self) -> str:
        return "192.168.1.5:5060"


async def test_a_phone_behind_nat_is_told_where_it_is_registered_now(world: World, mailboxes: StoreMailboxes) -> None:
    password = world.passwords["101"]
    async with (
        NattedPhone("101", password, world.address) as alice,
        NattedPhone("101", password, world.address) as moved,
    ):
        await subscribe(alice, world)
        notify = await shows(alice, "0/0 (0/0)")
        assert notify.uri_text == "sip:101@192.168.1.5:5060"
        await moved.register()  # its NAT gives it another port
        await deposit(mailboxes, "101")
        told = await shows(moved, "1/0 (0/0)")
        assert (told.call_id, told.to_tag) == (notify.call_id, notify.to_tag)


async def test_a_fetch_gets_the_state_and_leaves_nothing_behind(world: World, mailboxes: StoreMailboxes) -> None:
    await deposit(mailboxes, "101")
    async with world.phone("101") as alice:
        await subscribe(alice, world, expires=0)
        notify = await shows(alice, "1/0 (0/0)")
        assert notify.get("Subscription-State") == "terminated;reason=timeout"
        assert await written(world) == []


async def test_many_subscriptions_of_one_account_give_way_to_new_ones(world: World) -> None:
    async with world.phone("101") as alice:
        for _ in range(25):
            await subscribe(alice, world)
        assert len(world.switch.lamp) == 20
        await shows(alice, "0/0 (0/0)")
        assert await written(world) == ["101"] * 20


async def test_what_it_holds_can_be_looked_at(world: World) -> None:
    async with world.phone("101") as alice:
        await subscribe(alice, world)
        await shows(alice, "0/0 (0/0)")
        pages = world.switch.pages.all()
        assert b"softswitch_subscriptions 1.0" in pages["/metrics"]()[2]
        (held,) = json.loads(pages["/debug/state"]()[2])["subscriptions"]
        assert (held["account"], held["state"], held["cseq"]) == ("101", "active", 1)


# phones that do not subscribe -------------------------------------------------------------------------------------
async def test_a_phone_that_registers_is_told_without_asking(world: World, mailboxes: StoreMailboxes) -> None:
    await deposit(mailboxes, "101")
    async with world.phone("101") as alice, world.phone("101") as other:
        await alice.register()
        notify = await shows(alice, "1/0 (0/0)")
        assert (notify.get("Subscription-State"), notify.to_tag) == ("active", None)
        assert notify.uri_text == f"sip:101@{alice.address}"
        await other.register()
        await shows(other, "1/0 (0/0)")
        await deposit(mailboxes, "101")
        await asyncio.gather(shows(alice, "2/0 (0/0)"), shows(other, "2/0 (0/0)"))


async def test_a_phone_that_subscribes_is_not_told_twice(world: World, mailboxes: StoreMailboxes) -> None:
    async with world.phone("101") as alice:
        await alice.register()
        await subscribe(alice, world)
        await shows(alice, "0/0 (0/0)")
        await asyncio.sleep(QUIET_SECONDS)
        await deposit(mailboxes, "101")
        assert (await shows(alice, "1/0 (0/0)")).to_tag is not None
        assert await is_quiet(alice)


async def test_a_phone_that_has_forgotten_its_subscription_is_told_all_the_same(world: World) -> None:
    async with world.phone("101") as alice:
        await subscribe(alice, world)
        await notified(alice, 481)
        await alice.register()
        notify = await shows(alice, "0/0 (0/0)")
        assert notify.to_tag is None
        assert await written(world) == []


async def test_a_phone_that_could_not_be_told_is_when_it_registers_again(world: World) -> None:
    async with world.phone("101") as alice:
        request = alice.make(
            "REGISTER", uri(world), ("Contact", f"<sip:101@{alice.address}>;expires=300"), to="sip:101@127.0.0.1"
        )
        assert (await alice.authenticated(request)).status == 200
        await notified(alice, 503)
        request.set("CSeq", f"{request.cseq + 5} REGISTER")
        assert (await alice.authenticated(request)).status == 200
        await shows(alice, "0/0 (0/0)")
        request.set("CSeq", f"{request.cseq + 5} REGISTER")
        assert (await alice.authenticated(request)).status == 200
        assert await is_quiet(alice)


# restarts -------------------------------------------------------------------------------------------------------------
@pytest.fixture
def fixed(settings: SwitchSettings) -> SwitchSettings:
    """Settings to start a switch with again: the port is found at its first start."""
    return replace(settings, listen=(Listen("udp", "127.0.0.1", 0),))


def again(settings: SwitchSettings, world: World) -> SwitchSettings:
    """The same switch once more, where its phones look for it."""
    return replace(settings, listen=(Listen("udp", *world.address),))


async def test_after_a_restart_subscribers_are_told_at_once_in_their_dialogs(
    fixed: SwitchSettings, demo_template: tuple[str, dict[str, str]], mailboxes: StoreMailboxes
) -> None:
    dsn, passwords = fixed.store_dsn, demo_template[1]
    async with switch_of(fixed, dsn, passwords) as world:
        settings = again(fixed, world)
        alice = await world.phone("101").__aenter__()
        first = await subscribe(alice, world)
        before = await shows(alice, "0/0 (0/0)")
    try:
        await deposit(mailboxes, "101")
        for _ in range(2):
            async with switch_of(settings, dsn, passwords) as world:
                after = await shows(alice, "1/0 (0/0)")
                assert (after.call_id, after.from_tag, after.to_tag) == (before.call_id, before.from_tag, before.to_tag)
                assert after.cseq > before.cseq
                before = after
        async with switch_of(settings, dsn, passwords) as world:
            await shows(alice, "1/0 (0/0)")
            assert (await alice.authenticated(renewal(alice, world, first, 10, expires=0))).status == 200
            assert (await notified(alice)).get("Subscription-State") == "terminated;reason=timeout"
            assert await written(world) == []
    finally:
        await alice.__aexit__()


async def test_after_a_restart_subscribers_without_messages_are_told_so_and_the_store_is_not_asked(
    fixed: SwitchSettings, demo_template: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case H8: so who is gone is noticed, whoever has no messages."""
    dsn, passwords = fixed.store_dsn, demo_template[1]
    async with switch_of(fixed, dsn, passwords) as world:
        settings = again(fixed, world)
        alice = await world.phone("101").__aenter__()
        await subscribe(alice, world)
        before = await shows(alice, "0/0 (0/0)")

    async def refused(_store: Store, numbers: Sequence[str]) -> dict[str, MessageCounts]:
        raise AssertionError(f"asked about {numbers}")

    monkeypatch.setattr(Store, "message_counts", refused)
    try:
        async with switch_of(settings, dsn, passwords) as world:
            after = await notified(alice, 481)
            assert (after.call_id, after.cseq > before.cseq) == (before.call_id, True)
            assert b"Voice-Message: 0/0 (0/0)" in after.body
            async with asyncio.timeout(PATIENCE_SECONDS):
                while await written(world):  # noqa: ASYNC110 (nothing announces it)
                    await asyncio.sleep(0.02)
    finally:
        await alice.__aexit__()


async def test_after_a_restart_phones_that_did_not_subscribe_are_told_too(
    fixed: SwitchSettings, demo_template: tuple[str, dict[str, str]], mailboxes: StoreMailboxes
) -> None:
    dsn, passwords = fixed.store_dsn, demo_template[1]
    async with switch_of(fixed, dsn, passwords) as world:
        settings = again(fixed, world)
        alice = await world.phone("101").__aenter__()
        await alice.register()
        await shows(alice, "0/0 (0/0)")
    try:
        await deposit(mailboxes, "101")
        async with switch_of(settings, dsn, passwords):
            await shows(alice, "1/0 (0/0)")
    finally:
        await alice.__aexit__()


async def test_a_renewal_in_the_moment_of_the_start_waits_until_the_subscriptions_are_read(
    fixed: SwitchSettings, demo_template: tuple[str, dict[str, str]]
) -> None:
    dsn, passwords = fixed.store_dsn, demo_template[1]
    async with switch_of(fixed, dsn, passwords) as world:
        settings = again(fixed, world)
        alice = await world.phone("101").__aenter__()
        first = await subscribe(alice, world)
        await shows(alice, "0/0 (0/0)")
        request = renewal(alice, world, first, 10)
    later = Switch(settings)
    locking = await asyncpg.connect(dsn)
    try:
        async with locking.transaction():
            await locking.execute("LOCK TABLE billing_subscription")
            await later.start()
            renewing = asyncio.create_task(alice.authenticated(request))
            await asyncio.sleep(0.3)
            assert len(later.lamp) == 0
            assert not renewing.done()
        assert (await renewing).status == 200
        await shows(alice, "0/0 (0/0)")
    finally:
        await locking.close()
        await later.close()
        await alice.__aexit__()


async def test_what_expired_meanwhile_is_gone(
    fixed: SwitchSettings, demo_template: tuple[str, dict[str, str]], mailboxes: StoreMailboxes
) -> None:
    dsn, passwords = fixed.store_dsn, demo_template[1]
    async with switch_of(fixed, dsn, passwords) as world, world.phone("101") as alice:
        settings = again(fixed, world)
        await subscribe(alice, world)
        await written(world)
        await world.sql.execute("UPDATE billing_subscription SET expires_at = now() - interval '1 second'")
    async with switch_of(settings, dsn, passwords) as world:
        assert len(world.switch.lamp) == 0
        assert await written(world) == []


async def test_while_the_store_is_away_subscribers_wait_for_the_state(
    settings: SwitchSettings, demo_template: tuple[str, dict[str, str]]
) -> None:
    async with (
        Proxy(settings.store_dsn) as proxy,
        switch_of(replace(settings, store_dsn=proxy.dsn), settings.store_dsn, demo_template[1]) as world,
        world.phone("101") as alice,
    ):
        first = await subscribe(alice, world)
        await shows(alice, "0/0 (0/0)")
        proxy.refuses = True
        proxy.cut()
        assert (await alice.authenticated(renewal(alice, world, first, 10))).status == 200
        await subscribe(alice, world)
        assert await is_quiet(alice)
        proxy.refuses = False
        proxy.thaw()
        await shows(alice, "0/0 (0/0)")
        await shows(alice, "0/0 (0/0)")
        assert await written(world) == ["101", "101"]
