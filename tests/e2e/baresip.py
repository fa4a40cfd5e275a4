# SPDX-License-Identifier: Apache-2.0
"""baresip, a phone of another make, without a screen or a sound card.

It is driven over TCP (ctrl_tcp: JSON objects in netstrings). It sends a sine (module ausine), or its loudspeaker is
plugged into its microphone (aubridge): then whoever talks to it hears himself, which proves both directions at once.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from softswitch.phone import PhoneError
from tests.e2e.programs import need_program
from tests.patience import PATIENCE_SECONDS
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.tenant import Subscriber

__all__ = ["Baresip"]

MODULES: Final = tuple(Path(folder) / "baresip" / "modules" for folder in ("/usr/lib", "/usr/local/lib"))
CONFIGURATION: Final = """\
sip_listen 127.0.0.1:0
audio_source ausine,{hertz}
audio_player aubridge,0
audio_alert aubridge,alert
ausrc_srate 48000
auplay_srate 48000
ausrc_channels 2
auplay_channels 2
ctrl_tcp_listen 127.0.0.1:{control}
module_path {modules}
module g711.so
module g722.so
module ausine.so
module aubridge.so
module uuid.so
module_tmp account.so
module_app ctrl_tcp.so
module_app menu.so
module_app mwi.so
"""
ACCOUNT: Final = (
    '<sip:{number}@{domain}>;auth_user={number};auth_pass={password};outbound="sip:{proxy};transport={transport}"'
    ";regint=300;audio_codecs=PCMU/8000/1,PCMA/8000/1,G722/16000/1;answermode=manual;mwi={mwi};ptime=20\n"
)


def _modules() -> Path:
    found = [folder for folder in (*MODULES, *Path("/usr/lib").glob("*/baresip/modules")) if folder.is_dir()]
    assert found, "baresip is installed, its modules are not"
    return found[0]


class Baresip:
    """One baresip; a context manager that leaves no process behind."""

    def __init__(
        self,
        subscriber: Subscriber,
        proxy: str,
        domain: str,
        directory: Path,
        *,
        hertz: int = 440,
        transport: str = "udp",
        subscribes: bool = False,
    ) -> None:
        program = need_program("baresip")
        directory.mkdir(parents=True, exist_ok=True)
        self.number = subscriber.number
        self.events: list[dict[str, Any]] = []
        self._directory = directory
        self._changed = threading.Condition()
        self._replies = 0
        self._bridges = 0
        control = free_port()
        (directory / "config").write_text(CONFIGURATION.format(hertz=hertz, control=control, modules=_modules()))
        (directory / "accounts").write_text(
            ACCOUNT.format(
                number=self.number,
                password=subscriber.password,
                domain=domain,
                proxy=proxy,
                transport=transport,
                mwi="yes" if subscribes else "no",
            )
        )
        (directory / "contacts").touch()
        with self._log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [program, "-f", str(directory), "-s"], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            self._socket = self._connect(control)
            self._reader = threading.Thread(target=self._read, daemon=True)
            self._reader.start()
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join(PATIENCE_SECONDS)
        self._socket.close()

    @property
    def _log_file(self) -> Path:
        return self._directory / "baresip.log"

    @property
    def log(self) -> str:
        """All that it printed, SIP messages included."""
        return self._log_file.read_text(encoding="utf-8", errors="replace")

    # control ----------------------------------------------------------------------------------------------------
    def _connect(self, port: int) -> socket.socket:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
            except ConnectionRefusedError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise PhoneError(f"baresip does not start: {self.log}") from None
                time.sleep(0.05)

    def _read(self) -> None:
        self._socket.settimeout(None)
        with self._socket.makefile("rb") as stream:
            while length := self._read_length(stream.read):
                message = json.loads(stream.read(length))
                stream.read(1)
                with self._changed:
                    if message.get("response"):
                        self._replies += 1
                    else:
                        self.events.append(message)
                    self._changed.notify_all()

    @staticmethod
    def _read_length(read: Callable[[int], bytes]) -> int:
        """The number that a netstring begins with; 0 at the end of the stream."""
        digits = b""
        try:
            while (byte := read(1)) not in (b":", b""):
                digits += byte
        except OSError:
            return 0
        return int(digits or b"0")

    def order(self, command: str, words: str = "") -> None:
        """Gives an order and waits until it has been taken."""
        replies = self._replies
        data = json.dumps({"command": command, "params": words, "token": "1"}).encode()
        self._socket.sendall(b"%d:%s," % (len(data), data))
        self._wait(lambda: self._replies > replies, f"reply to {command}")

    def wait_event(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Waits until an event has happened `count` times; returns the last of them."""

        def happened() -> list[dict[str, Any]]:
            return [event for event in self.events if event.get("type") == kind]

        self._wait(lambda: len(happened()) >= count, kind)
        return happened()[count - 1]

    def _wait(self, is_true: Callable[[], bool], what: str) -> None:
        with self._changed:
            if not self._changed.wait_for(is_true, PATIENCE_SECONDS):
                kinds = [event.get("type") for event in self.events]
                raise PhoneError(f"baresip {self.number}: no {what} within {PATIENCE_SECONDS:g} s; events: {kinds}")

    # verbs ------------------------------------------------------------------------------------------------------
    def wait_registered(self) -> None:
        """It registers as it starts, perhaps before anybody listens to its events: its log tells."""
        self.registers(unless=lambda: False)

    def registers(self, unless: Callable[[], bool]) -> bool:
        """Waits until it has registered; False if that came first which makes waiting useless."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "} 200 OK (" not in self.log:
            if unless():
                return False
            if time.monotonic() > deadline:
                raise PhoneError(f"baresip {self.number} does not register: {self.log[-2000:]}")
            time.sleep(0.05)
        return True

    def wait_log(self, words: str) -> None:
        """Waits until it has said so."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while words not in self.log:
            if time.monotonic() > deadline:
                raise PhoneError(f"baresip {self.number} does not say {words!r}")
            time.sleep(0.05)

    @property
    def lamp(self) -> list[str]:
        """What its lamp was told, oldest first: "new/old (urgent new/urgent old)"."""
        return re.findall(r"^Voice-Message: ([^\r\n]*)", self.log, re.MULTILINE)

    def wait_lamp(self, voice: str, count: int = 1) -> None:
        """Waits until the lamp was last told so many messages, the `count`th time that it was told anything."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(self.lamp) < count or self.lamp[-1] != voice:
            if time.monotonic() > deadline:
                raise PhoneError(f"baresip {self.number}: no lamp {voice}, but {self.lamp}")
            time.sleep(0.05)

    def dial(self, number: str, domain: str) -> None:
        self.order("dial", f"sip:{number}@{domain}")

    def answer(self) -> None:
        """Waits for a call and answers it."""
        self.wait_event("CALL_INCOMING")
        self.order("accept")

    def wait_answered(self) -> None:
        self.wait_event("CALL_ESTABLISHED")

    def hang_up(self) -> None:
        self.order("hangup")

    def hold(self) -> None:
        self.order("hold")

    def resume(self) -> None:
        self.order("resume")

    def play(self, hertz: int) -> None:
        """Sends a sine."""
        self.order("ausrc", f"ausine,{hertz}")

    def echo(self) -> None:
        """Sends back what it hears; a bridge is good for one start of the player only, so each time a new one."""
        self._bridges += 1
        self.order("auplay", f"aubridge,{self._bridges}")
        self.order("ausrc", f"aubridge,{self._bridges}")

    @property
    def codecs(self) -> list[str]:
        """The codecs that its decoder was set to, in order."""
        return re.findall(r"Set audio decoder: (\w+)", self.log)
