# SPDX-License-Identifier: Apache-2.0
"""A media server on real sockets, for tests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest_asyncio

from billing_client.types import StoreUnavailable
from billing_client.vouchers.guessing import Guesses
from ivr.app import IvrProcess, World
from ivr.say.tones import WithTones
from ivr.settings import IvrSettings
from media.settings import EngineSettings
from media.sound.sound import Sound
from media.sound.tone import tone
from switch.sip.message.flow import Listen
from tests.patience import PATIENCE_SECONDS
from tests.ports import media_ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
    from pathlib import Path

    from billing_client.mailboxes.words import Deposit, DepositResult
    from ivr.server.runner import Application

__all__ = ["SECRET", "Composed", "Messages", "ToneePrompts"]

SECRET = b"what the switch and the media server share"


class ToneePrompts:
    """Prompts that are tones: "tone-440" is half a second of 440 Hz, "long-440" a minute of it."""

    def sounds(self, prompt: str, language: str) -> Sequence[Sound]:
        """See Prompts."""
        kind, _, hertz = prompt.partition("-")
        if kind not in ("tone", "long"):
            return []
        samples = np.array(tone(int(hertz), 60.0 if kind == "long" else 0.5), dtype=np.int16)
        return [Sound.from_samples(samples, 8000)]


class Messages:
    """A store of messages."""

    def __init__(self) -> None:
        self.kept: dict[str, Deposit] = {}
        self.away = False

    async def deposit(self, deposit: Deposit) -> DepositResult:
        """See Depositor."""
        if self.away:
            raise StoreUnavailable("away")
        self.kept.setdefault(deposit.message_id, deposit)
        return "stored"


class Composed:
    """What tests run on the media server."""

    def __init__(self) -> None:
        self.depositor = Messages()
        self.guesses = {"pin": Guesses()}
        self.prompts = WithTones(ToneePrompts())
        self.apps: dict[str, Application] = {}
        self.world: World | None = None

    def applications(self, world: World) -> Mapping[str, Application]:
        """See Composition."""
        self.world = world
        return dict(self.apps)

    def work(self) -> Sequence[Coroutine[object, object, None]]:
        """Nothing beside the calls."""
        return []

    async def close(self) -> None:
        """Nothing to let go of."""


Starter = "Callable[..., Awaitable[IvrProcess]]"


@pytest_asyncio.fixture
async def composed() -> Composed:
    """What is put together with the media server; add applications before it is started."""
    return Composed()


@pytest_asyncio.fixture
async def start(composed: Composed, tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[IvrProcess]]]:
    """Starts the media server; its switch is at `switch`."""
    started: list[IvrProcess] = []

    async def starter(**changes: object) -> IvrProcess:
        settings = {
            "listen": Listen("udp", "127.0.0.1", 0),
            "data_dir": tmp_path,
            "secret": SECRET,
            "media": EngineSettings(rtp_host="127.0.0.1", rtp_ports=media_ports("engine"), port_quarantine_seconds=0.0),
            **changes,
        }
        process = IvrProcess(IvrSettings(**settings), composed)  # type: ignore[arg-type]
        await process.start()
        started.append(process)
        return process

    yield starter
    for process in started:
        await asyncio.wait_for(process.close(), PATIENCE_SECONDS)
