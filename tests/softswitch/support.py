# SPDX-License-Identifier: Apache-2.0
"""What the tests of the program share: configurations on free ports, and a real `up` in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import psutil

from tests.ports import free_port, media_ports

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from pathlib import Path

START_SECONDS = 120.0
"""A system starts in ten seconds of processor time; a machine with two cores may have much else to do."""


def write_configuration(directory: Path, **changes: str) -> Path:
    """A configuration whose ports are all free; `changes` replace values by key as written there."""
    first_rtp, last_rtp = media_ports("system")
    values = {
        "sip": str(free_port()),
        "control": str(free_port()),
        "ivr": str(free_port()),
        "metrics": str(free_port()),
        "ivr_metrics": str(free_port()),
        "carrier_a": str(free_port()),
        "carrier_b": str(free_port()),
        "node": "test1",
        "ring_seconds": "30",
        **changes,
    }
    text = """\
node: {node}
domains: [sip.example.com]
data_dir: ./var
sip:
  listen: [udp:127.0.0.1:{sip}, tcp:127.0.0.1:{sip}]
  ring_seconds: {ring_seconds}
  drain_seconds: 2
media:
  server: {{listen: "udp:127.0.0.1:{ivr}"}}
  control: udp:127.0.0.1:{control}
  listen: 127.0.0.1
  rtp_ports: {first_rtp}-{last_rtp}
metrics: {{switch: 127.0.0.1:{metrics}, ivr: 127.0.0.1:{ivr_metrics}}}
demo: {{enabled: true, carriers: [udp:127.0.0.1:{carrier_a}, udp:127.0.0.1:{carrier_b}]}}
ivr: {{access_numbers: {{"*43": echo, "*98": voicemail, "*99": recharge, "18005550100": calling_card}}}}
"""
    file = directory / "config.yaml"
    file.write_text(text.format(first_rtp=first_rtp, last_rtp=last_rtp, **values), encoding="utf-8")
    return file


def command(file: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "softswitch", "--config", str(file), *words]


def softswitch(file: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end."""
    return subprocess.run(command(file, *words), capture_output=True, text=True, timeout=START_SECONDS, check=False)


class Up:
    """A running `softswitch up`; used as a context manager, it leaves no process behind."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lines: list[str] = []
        self._process = subprocess.Popen(
            command(file, "up"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Up:
        return self

    def __exit__(self, *_: object) -> None:
        children = self.processes()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for child in children:
            if child.is_running():
                child.kill()
        self._reader.join(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def output(self) -> str:
        return "".join(self._lines)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line)

    def wait_for(self, text: str) -> None:
        """Waits until a text was printed; fails with the output where the process ends before."""
        self._wait(lambda: text in self.output, text)

    def wait_until(self, is_true: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
        self._wait(is_true, what, seconds)

    def _wait(self, is_true: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not is_true():
            ended = self._process.poll() is not None
            assert not ended or is_true(), f"ended without {what!r}:\n{self.output}"
            assert time.monotonic() < deadline, f"no {what!r} after {seconds:.0f} s:\n{self.output}"
            time.sleep(0.05)

    def processes(self) -> list[psutil.Process]:
        """Every process below it."""
        try:
            return psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def child(self, name: str) -> psutil.Process:
        """The running process of one of our programs (switch, media, ivr, carrier) or `postgres`."""
        found = [one for one in self.processes() if _is(one, name)]
        assert found, f"no {name} among {self.processes()}"
        return found[0]

    def servers(self) -> list[psutil.Process]:
        """The PostgreSQL that runs now, if one does."""
        return [one for one in self.processes() if _is(one, "postgres")]

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """Waits for its end; returns the exit status."""
        return self._process.wait(START_SECONDS)

    def passwords(self) -> dict[str, str]:
        """The demo accounts' passwords as printed."""
        return dict(re.findall(r"^(\d{3,11})\s+([a-z2-9]{12})\s", self.output, re.MULTILINE))


def _is(process: psutil.Process, name: str) -> bool:
    try:
        words = process.cmdline()
    except psutil.NoSuchProcess:
        return False
    return name in words if name != "postgres" else process.name() == "postgres" and "-D" in words
