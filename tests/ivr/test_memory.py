# SPDX-License-Identifier: Apache-2.0
"""Calls of the media server go with their last use: a cycle would stay, as the collector is kept from looking."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ivr.say.tones import WithTones
from media.settings import EngineSettings
from media.sound.sound import Sound
from media.sound.tone import tone
from switch.settings import Limits
from switch.sip.mark import Chain, Marks
from tests.growth import Growth
from tests.ivr.conftest import SECRET
from tests.patience import PATIENCE_SECONDS
from tests.ports import media_ports
from tests.quick import QuickPhone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from ivr.app import IvrProcess
    from ivr.verbs import Ivr
    from switch.sip.message.message import Request
    from tests.ivr.conftest import Composed

    Starter = Callable[..., Awaitable[IvrProcess]]

pytestmark = pytest.mark.asyncio

CALLS = 200
AT_A_TIME = 20
MOST_SECONDS = 0.1
"""How long a caller stays who hangs up himself."""


class Short:
    """A prompt that is over at once, and one that is not; made once, as those of a library are."""

    def __init__(self) -> None:
        self._sounds = {
            name: [Sound.from_samples(np.array(tone(440, seconds), dtype=np.int16), 8000)]
            for name, seconds in (("short", 0.04), ("long", 10.0))
        }

    def sounds(self, prompt: str, language: str) -> Sequence[Sound]:
        """See Prompts."""
        return self._sounds.get(prompt, ())


async def hears(call: Ivr) -> None:
    await call.answer()
    await call.play("short")


async def types(call: Ivr) -> None:
    await call.answer()
    await call.ask("long", digits=4)


async def leaves_a_message(call: Ivr) -> None:
    await call.answer()
    await call.record(most_seconds=20, beep=False, spool=call.details.call_id)


async def hears_a_message(call: Ivr) -> None:
    await call.answer()
    recording = await call.record(most_seconds=0.1, beep=False)
    await call.play("short", recording.audio)


async def is_refused(call: Ivr) -> None:
    await call.hangup(404, cause=1)


async def breaks(call: Ivr) -> None:
    raise LookupError(call.details.call_id)


async def dials(call: Ivr) -> None:
    await call.answer()
    await call.dial("102", account="101", caller="101", ring_seconds=5.0)


APPLICATIONS = (hears, types, leaves_a_message, hears_a_message, is_refused, breaks, dials)


@pytest.mark.parametrize("application", APPLICATIONS, ids=lambda one: one.__name__)
async def test_a_call_of_an_application_leaves_nothing(
    composed: Composed, start: Starter, application: Callable[[Ivr], Awaitable[None]]
) -> None:
    """By tens of thousands of calls the media server grew by 8 KB each."""
    composed.prompts = WithTones(Short())
    composed.apps["app"] = application
    most = Limits(per_account=1000, per_number=1000, per_address=1000, total=1000)
    media = EngineSettings(rtp_host="127.0.0.1", rtp_ports=media_ports("engine"), port_quarantine_seconds=0.0)
    marks = Marks(SECRET, "switch", wall=time.time, clock=time.monotonic)

    def mark(request: Request) -> None:
        marks.put(request, Chain(1, "account:101", "192.0.2.7"))

    async with QuickPhone(("127.0.0.1", 0)) as phone:
        host, _, port = phone.address.partition(":")
        process = await start(limits=most, media=media, switch=(host, int(port)))
        phone.target, phone.mark = process.bound, mark
        growth = Growth()
        with growth.uncollected():
            await calls(process, phone, AT_A_TIME)
            composed.depositor.kept.clear()
            growth.begin()
            await calls(process, phone, CALLS)
            composed.depositor.kept.clear()
            assert growth.by_kind(CALLS) == {}


async def calls(process: IvrProcess, phone: QuickPhone, number: int) -> None:
    """So many calls, until nothing of them is kept by right: transactions have ended, messages are delivered."""
    host, port = process.bound
    uri = f"sip:app@{host}:{port};target=sip%3A101%40x"
    for _ in range(0, number, AT_A_TIME):
        await asyncio.gather(*(phone.call(uri, most_seconds=MOST_SECONDS) for _ in range(AT_A_TIME)))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while process.server.calls or process.outbox.waiting:  # noqa: ASYNC110 (nothing announces it)
            await asyncio.sleep(0.02)
    for minutes in range(1, 4):
        process.core.perform(process.core.agent.handle_timer(process.core.now() + 60 * minutes))
    await asyncio.sleep(0.05)
