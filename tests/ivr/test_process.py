# SPDX-License-Identifier: Apache-2.0
"""The media server as a process under `softswitch up`: reached through the switch, killed in the middle of a message.

One system serves all tests of a module: each takes accounts that no other uses.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import psycopg
import pytest

from media.sound.g711 import ulaw
from softswitch.config import load
from softswitch.processes.store import store_dsn
from softswitch.settings import ivr_settings
from switch.sip.mark import Chain, Marks
from switch.sip.session import Ended
from tests.e2e.hearing import find, resampled
from tests.ivr.rtp_phone import RtpPhone
from tests.softswitch.support import Up, write_configuration
from tests.switch.phone import Phone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from numpy.typing import NDArray

    from ivr.settings import IvrSettings
    from switch.sip.session import Answered

pytestmark = pytest.mark.asyncio

MESSAGES = """
SELECT count(*), coalesce(max(seconds), 0) FROM billing_voicemessage message
  JOIN billing_account account ON account.id = message.account_id WHERE account.number = %s"""


VOICEMAIL = """
UPDATE billing_account SET answering = answering || '{"mode": "ring_then_voicemail"}' WHERE number = %s"""


@dataclass(frozen=True)
class Running:
    """A system that runs."""

    up: Up
    dsn: str
    settings: IvrSettings

    async def send_to_voicemail(self, number: str) -> None:
        """Calls to this account go to its mailbox where no phone answers."""
        async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as connection:
            await connection.execute(VOICEMAIL, (number,))

    async def messages(self, number: str, wanted: int) -> float:
        """Wait until a mailbox has so many messages; the seconds of the longest."""
        async with asyncio.timeout(60):
            while True:
                async with await psycopg.AsyncConnection.connect(self.dsn) as connection:
                    row = await (await connection.execute(MESSAGES, (number,))).fetchone()
                assert row is not None
                if row[0] == wanted:
                    return float(row[1])
                await asyncio.sleep(0.2)

    @asynccontextmanager
    async def phone(self, number: str) -> AsyncIterator[tuple[Phone, RtpPhone]]:
        """A phone of an account, registered."""
        password = self.up.passwords()[number]
        async with Phone(number, password, self.settings.switch) as phone, RtpPhone() as rtp:
            await phone.register()
            yield phone, rtp


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`softswitch up` with its demo tenant."""
    file = write_configuration(tmp_path_factory.mktemp("up"))
    configuration = load(file)
    with Up(file) as up:
        up.wait_for("Ctrl-C ends everything")
        yield Running(up, store_dsn(configuration), ivr_settings(configuration))


async def connect(phone: Phone, rtp: RtpPhone, number: str) -> Answered:
    """Call a number and talk to who answers."""
    await phone.call(number, body=rtp.sdp)
    answered = await phone.connected()
    assert answered.response.sdp is not None
    rtp.talk_to(answered.response.sdp)
    return answered


async def test_a_phone_reaches_an_application_through_switch_and_relay(running: Running) -> None:
    async with running.phone("101") as (phone, rtp):
        answered = await connect(phone, rtp, "*43")
        await asyncio.sleep(0.5)
        rtp.press("1")  # enough of what is said first
        await asyncio.sleep(1.5)
        rtp.say(700)
        await asyncio.sleep(1.5)
        rtp.say(0)
        await rtp.until_hears(700, seconds=20)
        phone.perform(answered.session.bye(phone.now()))


async def test_a_message_for_an_account_without_a_phone_reaches_its_mailbox(running: Running) -> None:
    await running.send_to_voicemail("102")
    async with running.phone("101") as (phone, rtp):
        answered = await connect(phone, rtp, "102")
        await rtp.until_hears(1000, seconds=40)
        await asyncio.sleep(0.5)
        rtp.say(700)
        await asyncio.sleep(5)
        phone.perform(answered.session.bye(phone.now()))
    assert await running.messages("102", 1) >= 4


def speech(seconds: float) -> NDArray[np.int16]:
    """Noise in syllables, as loud as somebody who speaks, as a telephone carries it."""
    random = np.random.default_rng(7)
    noise = np.convolve(random.standard_normal(int(seconds * 8000)), np.hanning(9), "same")
    syllables = np.repeat(random.uniform(0.3, 1.0, int(seconds * 5) + 1), 1600)[: len(noise)]
    spoken = noise * syllables
    return np.asarray(spoken / np.abs(spoken).max() * 15000, np.int16)


async def heard_message(running: Running, mailbox: str, spoken: bytes, loses: frozenset[int]) -> NDArray[np.int16]:
    """Leave a message, and hear it again on the owner's phone."""
    await running.send_to_voicemail(mailbox)
    async with running.phone("101") as (phone, rtp):
        rtp.loses = loses
        answered = await connect(phone, rtp, mailbox)
        await asyncio.sleep(1.0)
        rtp.press("#")
        await rtp.until_hears(1000)  # the beep
        await asyncio.sleep(0.5)
        rtp.speak(spoken)
        await asyncio.sleep(len(spoken) / 8000 + 0.5)
        assert not rtp.is_speaking
        phone.perform(answered.session.bye(phone.now()))
    await running.messages(mailbox, 1)
    async with running.phone(mailbox) as (owner, rtp):
        answered = await connect(owner, rtp, "*98")
        await asyncio.sleep(1.0)
        rtp.press("1")
        await asyncio.sleep(0.5)
        rtp.press("#")  # no envelope
        await asyncio.sleep(len(spoken) / 8000 + 4.0)
        owner.perform(answered.session.bye(owner.now()))
        return np.asarray(rtp.heard, np.int16)


async def test_a_message_is_heard_sample_for_sample_as_it_was_left(running: Running) -> None:
    said = ulaw(speech(4.0).tolist())
    heard = ulaw((await heard_message(running, "104", said, frozenset())).tolist())
    middle = said[4000:-4000]  # a recording may lack what came before the first packet, or after the last
    assert middle in heard


async def test_a_message_that_lost_every_twentieth_packet_is_heard_at_its_length(running: Running) -> None:
    sound = speech(4.0)
    lost = frozenset(range(9, 200, 20))
    heard = await heard_message(running, "201", ulaw(sound.tolist()), lost)
    found = find(np.asarray(heard, np.float64), resampled(sound, 8000))
    assert found.score > 0.85
    assert find(np.asarray(heard, np.float64), resampled(sound[24000:], 8000)).at_seconds == pytest.approx(
        found.at_seconds + 3.0, abs=0.005
    )


async def test_an_application_calls_out_through_the_switch(running: Running) -> None:
    async with running.phone("101") as (phone, rtp), running.phone("201") as (called, called_rtp):
        answered = await connect(phone, rtp, "*98")
        await asyncio.sleep(1)
        rtp.press("34201#")  # advanced options, a call out, and its destination
        invited = await called.ringing()
        assert invited.request.from_.uri.user == "101"
        assert invited.request.sdp is not None
        called_rtp.talk_to(invited.request.sdp)
        called.perform(invited.accept(called.now(), body=called_rtp.sdp))
        rtp.say(300)
        called_rtp.say(700)
        await called_rtp.until_hears(300)
        await rtp.until_hears(700)
        phone.perform(answered.session.bye(phone.now()))
        await called.expect(Ended)


async def test_a_kill_in_the_middle_of_a_message_keeps_what_was_said(running: Running) -> None:
    server = (running.settings.listen.host, running.settings.listen.port)
    async with Phone("switch", "", server) as phone, RtpPhone() as rtp:
        uri = f"sip:voicemail@{server[0]}:{server[1]};target=sip%3A103%40sip.example.com;cause=408"
        request = phone.make("INVITE", uri, ("Content-Type", "application/sdp"), body=rtp.sdp)
        marks = Marks(running.settings.secret, "switch", wall=time.time, clock=time.monotonic)
        marks.put(request, Chain(1, "account:101"))
        phone.perform(phone.agent.invite(request, phone.flow, natted=False, owner=phone).start(phone.now()))
        answered = await phone.connected()
        assert answered.response.sdp is not None
        rtp.talk_to(answered.response.sdp)
        async with asyncio.timeout(60):
            while not list(running.settings.recordings.glob("*.rec")):  # the greeting is over, and a voice was heard
                rtp.say(700)
                await asyncio.sleep(0.05)
        await asyncio.sleep(4)
        running.up.child("ivr").kill()
    await asyncio.to_thread(running.up.wait_for, "ivr runs again")
    assert await running.messages("103", 1) >= 3
    await asyncio.sleep(1)
    assert await running.messages("103", 1) >= 3
    assert list(running.settings.recordings.iterdir()) == []
