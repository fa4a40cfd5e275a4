# SPDX-License-Identifier: Apache-2.0
"""`make demo`: two real phones, a paid call between them, its ladder and its money, on a system of its own.

The system runs in a temporary directory on ports that are free, so the demo disturbs nothing and leaves nothing behind.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from softswitch.phone.ladder import ladder
from softswitch.phone.phone import Phone, PhoneError, phone_missing
from softswitch.phone.settings import PhoneSettings
from softswitch.processes.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from softswitch.phone.phone import Call
    from softswitch.phone.trace import SipMessage

__all__ = ["main"]

CALLER, CALLEE = "101", "201"
CALLER_HERTZ, CALLEE_HERTZ = 440, 880
TALK_SECONDS: Final = 3.0
START_SECONDS: Final = 90.0
STOP_SECONDS: Final = 20.0
DOMAIN: Final = "sip.example.com"
CONFIGURATION: Final = """\
domains: [{domain}]
sip: {{listen: ["udp:127.0.0.1:{0}", "tcp:127.0.0.1:{0}"], drain_seconds: 0}}
media:
  server: {{listen: "udp:127.0.0.1:{5}"}}
  control: "udp:127.0.0.1:{1}"
  listen: 127.0.0.1
  rtp_ports: 28000-28099
metrics: {{switch: "127.0.0.1:{2}", ivr: "127.0.0.1:{6}"}}
demo: {{enabled: true, carriers: ["udp:127.0.0.1:{3}", "udp:127.0.0.1:{4}"]}}
"""


class DemoError(Exception):
    """The demo cannot go on; the text says why."""


class Stage:
    """The system of the demo, and what is told about it."""

    def __init__(self, file: Path, port: int, out: Console) -> None:
        self.proxy = f"127.0.0.1:{port}"
        self._file = file
        self._out = out

    def tell(self, text: str) -> None:
        """A step, in words."""
        self._out.print(text, highlight=False)

    def _run(self, *words: str) -> str:
        command = [sys.executable, "-m", "softswitch", "--config", str(self._file), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DemoError(f"softswitch {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def show(self, *words: str) -> None:
        """What an administrator sees who types a command."""
        self.tell(f"\n[dim]$ softswitch {' '.join(words)}[/dim]")
        self._out.print(self._run(*words).rstrip(), markup=False, highlight=False, soft_wrap=True)

    def rows(self, *words: str) -> list[dict[str, Any]]:
        """The same for a program."""
        found: list[dict[str, Any]] = json.loads(self._run(*words, "--json"))
        return found


@contextmanager
def _system(out: Console) -> Iterator[Stage]:
    """A Softswitch of its own that runs for as long as the block."""
    with tempfile.TemporaryDirectory(prefix="softswitch-demo-") as name:
        directory = Path(name)
        ports = [free_port() for _ in range(7)]
        file, log = directory / "config.yaml", directory / "up.log"
        file.write_text(CONFIGURATION.format(*ports, domain=DOMAIN), encoding="utf-8")
        with log.open("wb") as output:
            command = [sys.executable, "-m", "softswitch", "--config", str(file), "up"]
            process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        try:
            _wait_running(process, log)
            yield Stage(file, ports[0], out)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_running(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while "Softswitch is running" not in (words := log.read_text(encoding="utf-8")):
        if process.poll() is not None or time.monotonic() > deadline:
            raise DemoError(f"the system does not start:\n{words}")
        time.sleep(0.1)


def _talk(stage: Stage, caller: Phone, callee: Phone) -> None:
    """One paid call from its beginning to its record."""
    stage.show("accounts", CALLER)
    stage.tell(f"\n{CALLER} calls {CALLEE}, which costs 0.60 a minute, charged by the second ...")
    call = caller.call(CALLEE)
    incoming = callee.incoming()
    call.wait_ringing()
    stage.tell(f"  {CALLEE} rings and shows {incoming.caller}")
    incoming.answer()
    call.wait_answered()
    incoming.wait_answered()
    stage.tell(f"  {CALLEE} answers; media flow through the relay as {call.media.codec}")
    call.play(CALLER_HERTZ)
    incoming.play(CALLEE_HERTZ)
    _tell_what_is_heard(stage, incoming, CALLER_HERTZ)
    _tell_what_is_heard(stage, call, CALLEE_HERTZ)
    stage.show("calls")
    stage.show("accounts", CALLER)
    time.sleep(TALK_SECONDS)
    call.hang_up()
    caller.wait_message(lambda message: message.method == "BYE" and message.status == 200)
    stage.tell(f"\n{CALLER} hangs up. What the two phones sent and received:\n")
    stage.tell(ladder((CALLER, _calls(caller)), (CALLEE, _calls(callee))))
    while not stage.rows("xdrs", CALLER):
        time.sleep(0.1)
    stage.show("xdrs", CALLER)
    stage.show("accounts", CALLER)


def _calls(phone: Phone) -> list[SipMessage]:
    """What a phone sent and received; registrations are another story."""
    return [message for message in phone.messages if message.method != "REGISTER"]


def _tell_what_is_heard(stage: Stage, side: Call, hertz: int) -> None:
    if not side.hears(hertz):
        raise DemoError(f"{side.phone} does not hear the {hertz} Hz of the other side")
    stage.tell(f"  {side.phone.settings.number} hears {side.recording and side.recording.latest()}")


def _play(out: Console) -> None:
    out.print("Starting a Softswitch in a directory of its own ...", style="dim")
    with _system(out) as stage, tempfile.TemporaryDirectory(prefix="softswitch-phones-") as directory:
        passwords = {row["number"]: row["password"] for row in stage.rows("demo")}

        def phone(number: str) -> Phone:
            settings = PhoneSettings(number=number, password=passwords[number], proxy=stage.proxy, domain=DOMAIN)
            return Phone(settings, Path(directory) / number)

        with phone(CALLER) as caller, phone(CALLEE) as callee:
            for one in (caller, callee):
                code = one.register()
                if code != 200:
                    raise DemoError(f"{one.settings.number} cannot register: {code}")
            stage.show("registrations")
            _talk(stage, caller, callee)


def main() -> int:
    """Plays the demo; returns the exit status."""
    out = Console(width=None if os.isatty(1) else 110)
    missing = phone_missing()
    if missing:
        out.print(f"The demo needs a real phone. {missing}")
        return 1
    try:
        _play(out)
    except (DemoError, PhoneError) as error:
        out.print(f"The demo failed: {error}", markup=False, highlight=False)
        return 1
    except KeyboardInterrupt:
        return 1
    out.print("\nAll of it has ended, nothing is left behind. [bold]make run[/bold] starts one for your own phone.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
