# SPDX-License-Identifier: Apache-2.0
"""The media server as a process under `softswitch up`: what a kill in the middle of a message leaves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psycopg
import pytest

from softswitch.config import load
from softswitch.settings import ivr_settings
from softswitch.store import store_dsn
from tests.ivr.rtp_phone import RtpPhone
from tests.softswitch.support import Up, write_configuration
from tests.switch.phone import Phone

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(150)]

MESSAGES = "SELECT count(*), coalesce(max(seconds), 0) FROM billing_voicemessage"


async def messages(file: Path, dsn: str, wanted: int) -> float:
    """Wait until the store has so many messages; the seconds of the longest."""
    async with asyncio.timeout(60):
        while True:
            async with await psycopg.AsyncConnection.connect(dsn) as connection:
                row = await (await connection.execute(MESSAGES)).fetchone()
            assert row is not None
            if row[0] == wanted:
                return float(row[1])
            await asyncio.sleep(0.2)


async def test_a_kill_in_the_middle_of_a_message_keeps_what_was_said(tmp_path: Path) -> None:
    file = write_configuration(tmp_path)
    configuration = load(file)
    settings = ivr_settings(configuration)
    server = (settings.listen.host, settings.listen.port)
    with Up(file) as up:
        await asyncio.to_thread(up.wait_for, "Ctrl-C ends everything")
        dsn = store_dsn(configuration)
        async with Phone("switch", "", server) as phone, RtpPhone() as rtp:
            uri = f"sip:voicemail@{server[0]}:{server[1]};target=sip%3A101%40sip.example.com;cause=408"
            request = phone.make("INVITE", uri, ("Content-Type", "application/sdp"), body=rtp.sdp)
            phone.perform(phone.agent.invite(request, phone.flow, natted=False, owner=phone).start(phone.now()))
            answered = await phone.connected()
            assert answered.response.sdp is not None
            rtp.talk_to(answered.response.sdp)
            async with asyncio.timeout(60):
                while not list(settings.recordings.glob("*.rec")):  # the greeting is over, and a voice was heard
                    rtp.say(700)
                    await asyncio.sleep(0.05)
            await asyncio.sleep(4)
            up.child("ivr").kill()
        await asyncio.to_thread(up.wait_for, "ivr runs again")
        assert await messages(file, dsn, 1) >= 3
        await asyncio.sleep(1)
        assert await messages(file, dsn, 1) >= 3
        assert list(settings.recordings.iterdir()) == []
