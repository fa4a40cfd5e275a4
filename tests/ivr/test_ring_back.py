# SPDX-License-Identifier: Apache-2.0
"""Missed calls that are rung back, over real sockets: a phone of ours is the switch."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import pytest

from ivr.apps.selfcare.callback import callback
from ivr.apps.selfcare.desk import Desk
from ivr.apps.selfcare.settings import CardSettings
from switch.sip.session import Ended
from tests.ivr.rtp_phone import RtpPhone
from tests.ivr.selfcare_memory import MemorySelfCare, debit
from tests.ivr.test_server import Callee, Caller
from tests.patience import PATIENCE_SECONDS
from tests.switch.phone import Phone

if TYPE_CHECKING:
    from ivr.app import IvrProcess
    from ivr.verbs import CallDetails, DialRequest, Ivr
    from tests.ivr.conftest import Composed
    from tests.ivr.test_server import Starter

pytestmark = pytest.mark.asyncio

ANI = "42073723123"
KNOWN = (
    ("P-Asserted-Identity", f"<sip:{ANI}@sip.example.com>"),
    ("P-Served-User", "<sip:101@sip.example.com>;sescase=orig"),
)
TARGET = ";target=sip%3A101%40sip.example.com"


async def call_back_server(
    composed: Composed, start: Starter, switch: Phone, seen: list[CallDetails], **settings: float
) -> IvrProcess:
    """A media server whose calling card is a tone of 700 Hz; access number *98."""

    async def card(call: Ivr) -> None:
        seen.append(call.details)
        await call.answer()
        await call.play("long-700")

    def ring_back(request: DialRequest, details: CallDetails, *, after_seconds: float, ring_seconds: float) -> bool:
        assert composed.world is not None
        return composed.world.ring_back(request, details, after_seconds=after_seconds, ring_seconds=ring_seconds)

    options = {"callback_seconds": 0.1, "callback_ring_seconds": 5.0, **settings}
    selfcare = MemorySelfCare({"101": debit()})
    cards = {"*98": CardSettings(**options)}  # type: ignore[arg-type]
    desk = Desk(selfcare=selfcare, vouchers=None, settings=cards, ring_back=ring_back)
    composed.apps |= {"callback": partial(callback, desk=desk), "calling_card": card}
    return await start(switch=switch.local, domain="sip.example.com")


async def test_a_missed_call_is_refused_and_rung_back_with_the_calling_card(composed: Composed, start: Starter) -> None:
    seen: list[CallDetails] = []
    async with Phone("x", "", ("127.0.0.1", 9)) as sip, RtpPhone() as rtp:
        process = await call_back_server(composed, start, sip, seen)
        async with Caller(process) as caller:
            await caller.invite("callback", *KNOWN, params=TARGET)
            assert await caller.failed() == 486
            await caller.invite("callback", *KNOWN, params=TARGET)  # impatient: rung back once
            assert await caller.failed() == 486
        phone = Callee(process)
        phone.sip, phone.rtp = sip, rtp
        request = await phone.is_called()
        assert (request.uri.user, request.from_.uri.user) == (ANI, "*98")
        assert request.get("P-Served-User") == "<sip:101@sip.example.com>;sescase=orig;vouched=number;charged=accepted"
        await phone.answer()
        await rtp.until_hears(700)
        assert len(process.server.calls) == 1
        sip.perform(phone.invited.session().bye(sip.now()))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while process.server.calls:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    [details] = seen
    assert (details.application, details.account, details.caller) == ("calling_card", "101", ANI)
    assert process.server.started["calling_card"] == 1


async def test_who_does_not_answer_may_try_again(composed: Composed, start: Starter) -> None:
    async with Phone("x", "", ("127.0.0.1", 9)) as sip:
        process = await call_back_server(composed, start, sip, [])
        async with Caller(process) as caller:
            for _ in range(2):
                await caller.invite("callback", *KNOWN, params=TARGET)
                assert await caller.failed() == 486
                invite = await sip.ringing()
                sip.perform(invite.reject(486, sip.now()))
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while process.server._ringing_back:  # noqa: ASYNC110
                        await asyncio.sleep(0.02)


async def test_a_server_that_ends_rings_nobody_back(composed: Composed, start: Starter) -> None:
    async with Phone("x", "", ("127.0.0.1", 9)) as sip, RtpPhone() as rtp:
        process = await call_back_server(composed, start, sip, [])
        async with Caller(process) as caller:
            await caller.invite("callback", *KNOWN, params=TARGET)
            assert await caller.failed() == 486
            phone = Callee(process)
            phone.sip, phone.rtp = sip, rtp
            await phone.is_called()
            await phone.answer()
            await rtp.until_hears(700)
            await process.server.drain(0.1)
            await sip.expect(Ended)
        assert not process.server._ringing_back
    async with Phone("x", "", ("127.0.0.1", 9)) as sip:
        process = await call_back_server(composed, start, sip, [], callback_seconds=60.0)
        async with Caller(process) as caller:
            await caller.invite("callback", *KNOWN, params=TARGET)
            assert await caller.failed() == 486
            async with asyncio.timeout(PATIENCE_SECONDS):
                await process.server.drain(0.1)
