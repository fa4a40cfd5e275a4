# SPDX-License-Identifier: Apache-2.0
"""SIPp, which plays any phone or carrier that a script describes."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING, Any, Final, Self

import psutil

from tests.e2e.programs import need_program
from tests.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.script import Script
    from tests.e2e.tenant import Subscriber

__all__ = ["Sipp"]

SECONDS: Final = 40


class Sipp:
    """One SIPp that plays one script once; a context manager that leaves no process behind."""

    def __init__(
        self,
        script: Script,
        directory: Path,
        *,
        proxy: str = "",
        host: str = "127.0.0.1",
        port: int = 0,
        subscriber: Subscriber | None = None,
        dials: str = "",
        seconds: int = SECONDS,
    ) -> None:
        """Without `proxy` it waits for a call; `subscriber` calls from an account, with its credentials.

        It gives up after `seconds`.
        """
        program = need_program("sipp")
        self._directory = directory
        self._seconds = seconds
        self._directory.mkdir(parents=True)
        self._messages = self._directory / "messages.log"
        file = self._directory / "scenario.xml"
        file.write_text(script.xml(), encoding="utf-8")
        words = [program, *([proxy] if proxy else []), "-sf", str(file)]
        words += ["-m", "1", "-i", host, "-p", str(port or free_port()), "-mi", host, "-nostdin"]
        words += ["-timeout", f"{seconds}s", "-timeout_error", "-recv_timeout", f"{seconds}000"]
        words += ["-trace_msg", "-message_file", str(self._messages), "-trace_err", "-error_file", str(self._errors)]
        if subscriber is not None:
            words += ["-au", subscriber.number, "-ap", subscriber.password, "-key", "caller", subscriber.number]
        if dials:
            words += ["-s", dials]
        with (self._directory / "screen.log").open("wb") as screen:
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=screen, stderr=subprocess.STDOUT, cwd=self._directory
            )
        if not proxy:
            self._wait_listening()

    @property
    def _errors(self) -> Path:
        return self._directory / "errors.log"

    def _wait_listening(self) -> None:
        """Waits until it can be called."""
        process = psutil.Process(self._process.pid)
        deadline = time.monotonic() + SECONDS
        while not process.net_connections("udp"):
            assert self._process.poll() is None, self.story
            assert time.monotonic() < deadline, self.story
            time.sleep(0.02)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def wait(self) -> None:
        """Waits for the scenario's end; fails with its messages where it did not go as written."""
        status = self._process.wait(self._seconds + 5)
        assert status == 0, f"{self._directory.name} ended with {status}\n{self.story}"

    @property
    def messages(self) -> str:
        """All messages that it sent and received."""
        return self._messages.read_text(encoding="utf-8", errors="replace") if self._messages.exists() else ""

    @property
    def story(self) -> str:
        """What a person needs to see why a scenario failed."""
        files = (self._errors, self._directory / "screen.log")
        return "\n".join(
            [*(file.read_text(errors="replace")[-3000:] for file in files if file.exists()), self.messages]
        )
