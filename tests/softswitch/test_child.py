# SPDX-License-Identifier: Apache-2.0
"""A supervised process, whatever the machine has to do beside it."""

from __future__ import annotations

import asyncio
import signal
import sys

import pytest

from softswitch.processes import child as children
from softswitch.processes.child import Child, ChildFailedError
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.asyncio

SLOW = """
import os, sys, time
time.sleep(1)
os.write(int(sys.argv[1]), b"ready")
os.close(int(sys.argv[1]))
time.sleep(600)
"""


def slow(ready_descriptor: int) -> list[str]:
    """A process that is ready after a second."""
    return [sys.executable, "-c", SLOW, str(ready_descriptor)]


async def test_a_process_that_takes_long_to_be_ready_is_given_more_time_at_each_try(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On a starved machine a media server that was ready after 34 s was ended at 30 s, again and again."""
    monkeypatch.setattr(children, "FIRST_PAUSE_SECONDS", 0.01)
    child = Child("slow", slow)
    await child.start()
    monkeypatch.setattr(children, "READY_SECONDS", 0.1)
    monkeypatch.setattr(children, "MOST_PATIENCE", 1000.0)
    keeping = asyncio.create_task(child.keep_running())
    child.send_signal(signal.SIGKILL)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while "slow runs again" not in caplog.messages:  # noqa: ASYNC110 (its log tells)
            await asyncio.sleep(0.02)
    assert child.restarts > 1
    assert caplog.messages[1:4:2] == ["slow is not ready after 0.1 s", "slow is not ready after 0.2 s"]
    await child.stop()
    await keeping


async def test_the_first_start_that_takes_too_long_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "READY_SECONDS", 0.1)
    child = Child("slow", slow)
    with pytest.raises(ChildFailedError, match=r"slow is not ready after 0\.1 s"):
        await child.start()
    assert not child.is_alive
