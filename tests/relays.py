# SPDX-License-Identifier: Apache-2.0
"""The media relays that calls are tried with: ours, and Debian's rtpengine in user space."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

import pytest

from media.app import run
from media.settings import MediaSettings
from tests.e2e.programs import need_program
from tests.patience import PATIENCE_SECONDS
from tests.ports import free_port, media_ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

__all__ = ["RELAYS", "builtin", "rtpengine", "through_both"]

RELAYS: Final = ("builtin", "rtpengine")
through_both: Final = pytest.mark.parametrize("system", RELAYS, indirect=True)
"""For end-to-end tests: each of them with either relay."""


@asynccontextmanager
async def builtin() -> AsyncIterator[tuple[str, int]]:
    """Ours, within this event loop."""
    ng = "127.0.0.1", free_port()
    settings = MediaSettings(ng=ng, rtp_host="127.0.0.1", rtp_ports=media_ports("relay"))
    ready, stop = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(run(settings, ready=ready.set, stop=stop, reloads=asyncio.Queue()))
    await asyncio.wait_for(ready.wait(), PATIENCE_SECONDS)
    try:
        yield ng
    finally:
        stop.set()
        await task


@contextmanager
def rtpengine() -> Iterator[tuple[str, int]]:
    """rtpengine without its kernel module; the test is skipped where it is not installed, in CI it fails."""
    program = need_program("rtpengine")
    port, (first, last) = free_port(), media_ports("rtpengine")
    command = [program, "--table=-1", "--foreground", "--log-stderr", "--log-level=4", "--interface=127.0.0.1"]
    command += [f"--listen-ng=127.0.0.1:{port}", f"--port-min={first}", f"--port-max={last}"]
    with subprocess.Popen([*command, "--config-file=none"], stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(("127.0.0.1", port), process)
            yield "127.0.0.1", port
        finally:
            process.terminate()


def _wait_for(address: tuple[str, int], process: subprocess.Popen[bytes]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.1)
        asking.connect(address)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            assert process.poll() is None, "rtpengine ended at once"
            try:
                asking.send(b"1 d7:command4:pinge")
                asking.recv(100)
            except OSError:
                time.sleep(0.05)
                continue
            return
    raise AssertionError("rtpengine answers nothing")
