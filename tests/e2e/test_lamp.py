# SPDX-License-Identifier: Apache-2.0
"""The message lamps of real phones follow the mailbox, over restarts of the phone and of the switch."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from billing_client.mailboxes.mailboxes import StoreMailboxes
from billing_client.mailboxes.words import Deposit, Sound
from tests.e2e.baresip import Baresip
from tests.e2e.system import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import Phones
    from tests.e2e.system import System
    from tests.e2e.tenant import Subscriber

pytestmark = pytest.mark.phones

STARTS, MOST_SUBSCRIBES = 10, 20
EMPTY, ONE, TWO, HEARD = "0/0 (0/0)", "1/0 (0/0)", "2/0 (0/0)", "0/2 (0/0)"


class Mailbox:
    """A mailbox, as whoever leaves and hears messages moves it."""

    def __init__(self, system: System, number: str) -> None:
        self._dsn = system.dsn
        self._number = number

    def deposit(self) -> None:
        """Somebody leaves a message."""
        asyncio.run(self._deposit())

    def hear(self) -> None:
        """Its owner listens to all of them."""
        asyncio.run(self._hear())

    async def _deposit(self) -> None:
        door = await StoreMailboxes.connect(self._dsn, node="e2e-messages", connections=1)
        message = Deposit(
            message_id=str(uuid.uuid4()),
            mailbox=self._number,
            caller="42075553333",
            caller_name="",
            received_at=datetime.now(UTC),
            sound=Sound("wav", b"RIFF", 1.0),
        )
        assert await door.deposit(message) == "stored"
        await door.close()

    async def _hear(self) -> None:
        door = await StoreMailboxes.connect(self._dsn, node="e2e-messages", connections=1)
        messages = await door.messages(self._number, "new")
        await door.move([message.message_id for message in messages], "old")
        await door.close()


def kill_switch(system: System) -> None:
    """The switch dies and is started again."""
    time.sleep(0.5)  # subscriptions and registrations are written a few times a second
    mark = len(system.log)
    system.process("switch").kill()
    system.wait_for_log("switch runs again", mark)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("subscribes", [True, False], ids=["subscribes", "only registers"])
def test_the_lamp_of_pjsua(system: System, phones: Phones, transport: str, subscribes: bool) -> None:
    subscriber = system.subscriber()
    mailbox = Mailbox(system, subscriber.number)
    phone = phones.registered(subscriber, transport=transport, subscribes=subscribes)
    phone.wait_lamp(EMPTY)
    mailbox.deposit()
    phone.wait_lamp(ONE)
    assert phone.lamp["Messages-Waiting"] == "yes"
    assert phone.lamp["Message-Account"] == f"sip:{subscriber.number}@{DOMAIN}"

    phone.kill()
    again = phones.registered(subscriber, transport=transport, subscribes=subscribes)
    again.wait_lamp(ONE)
    mailbox.deposit()
    again.wait_lamp(TWO)
    mailbox.hear()
    again.wait_lamp(HEARD)
    assert again.lamp["Messages-Waiting"] == "no"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("subscribes", [True, False], ids=["subscribes", "only registers"])
def test_the_lamp_of_pjsua_after_the_switch_was_killed(
    system: System, phones: Phones, transport: str, subscribes: bool
) -> None:
    subscriber = system.subscriber()
    mailbox = Mailbox(system, subscriber.number)
    phone = phones.registered(subscriber, transport=transport, subscribes=subscribes)
    phone.wait_lamp(EMPTY)
    kill_switch(system)
    mailbox.deposit()
    if transport == "tcp":
        assert phone.register() == 200  # as it does by itself in time: nobody else can open its connection again
    phone.wait_lamp(ONE)
    assert sum(message.method == "SUBSCRIBE" for message in phone.messages if message.is_sent) <= 2
    mailbox.hear()
    phone.wait_lamp("0/1 (0/0)")


@contextmanager
def subscribing(system: System, subscriber: Subscriber, directory: Path, transport: str) -> Iterator[Baresip]:
    """A baresip that watches its lamp.

    Now and then baresip 1.0.0 comes up in a loop of its own: thousands of SUBSCRIBEs, a new Call-ID each, before it
    reads the answer to the first. Such a one is ended and started again in the same directory: so it stays the same
    instance (RFC 5626 4.1) and its contact replaces the one before.
    """
    for _ in range(STARTS):
        with Baresip(subscriber, system.proxy, DOMAIN, directory, transport=transport, subscribes=True) as phone:

            def runs_away(phone: Baresip = phone) -> bool:
                return phone.log.count("mwi: subscribing") > MOST_SUBSCRIBES

            if phone.registers(unless=runs_away):
                time.sleep(0.5)
                if not runs_away():
                    yield phone
                    return
    raise AssertionError(f"baresip ran away {STARTS} times")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_the_lamp_of_baresip(system: System, tmp_path: Path, transport: str) -> None:
    subscriber = system.subscriber()
    mailbox = Mailbox(system, subscriber.number)
    with subscribing(system, subscriber, tmp_path / "phone", transport) as phone:
        phone.wait_lamp(EMPTY)
        mailbox.deposit()
        phone.wait_lamp(ONE)
    with subscribing(system, subscriber, tmp_path / "phone", transport) as phone:
        phone.wait_lamp(ONE)
        mailbox.deposit()
        phone.wait_lamp(TWO)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_the_lamp_of_baresip_after_the_switch_was_killed(system: System, tmp_path: Path, transport: str) -> None:
    subscriber = system.subscriber()
    mailbox = Mailbox(system, subscriber.number)
    with subscribing(system, subscriber, tmp_path / "baresip", transport) as phone:
        phone.wait_lamp(EMPTY)
        kill_switch(system)  # that nothing waits it knows already
        mailbox.deposit()
        phone.wait_lamp(ONE)


def test_baresip_that_only_registers(system: System, tmp_path: Path) -> None:
    subscriber = system.subscriber()
    with Baresip(subscriber, system.proxy, DOMAIN, tmp_path / "baresip") as phone:
        phone.wait_lamp(EMPTY)
