# SPDX-License-Identifier: Apache-2.0
"""A phone and its calls: orders to its process, and what the process tells, gathered."""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from softswitch.phone.sound import HEAR_SECONDS, Recording
from softswitch.phone.trace import SipMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from softswitch.phone.settings import PhoneSettings

__all__ = ["Call", "CallFailedError", "MediaState", "Phone", "PhoneError", "PhoneMissingError", "phone_missing"]

PATIENCE_SECONDS: Final = 40.0
"""More than the 32 seconds that SIP tries to send something again (RFC 3261 17.1.2.2): then the library tells of it."""
QUIT_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 40.0
USER: Final = re.compile(r"sips?:([^@;>]*)@")


class PhoneError(Exception):
    """The phone could not do what it was told, or what was waited for did not happen."""


class PhoneMissingError(PhoneError):
    """There is no phone on this machine; the text says what to do."""


def phone_missing() -> str:
    """Why there is no phone here; empty when there is one."""
    if importlib.util.find_spec("pjsua2") is not None:
        return ""
    if sys.version_info >= (3, 13):
        return "pjsua2 has wheels for Python 3.11 and 3.12 only: make clean, then make PYTHON=python3.12"
    return "pjsua2 is not installed: make install-test"


class CallFailedError(Exception):
    """The call ended instead of being answered."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.code} {self.reason}"


@dataclass(frozen=True, slots=True)
class MediaState:
    """What was last agreed on."""

    status: str = "none"
    """none, active, held here, held there, failed."""
    codec: str = ""
    sends: bool = False
    receives: bool = False


@dataclass(slots=True)
class Call:
    """One call; its fields follow what the phone tells."""

    phone: Phone
    identity: int
    caller: str = ""
    """The From URI of an incoming call, with its display name."""
    dialled: str = ""
    state: str = "calling"
    """calling, incoming, early, connecting, confirmed, ended."""
    code: int = 0
    reason: str = ""
    media: MediaState = field(default_factory=MediaState)
    media_changes: int = 0
    digits: list[tuple[str, str]] = field(default_factory=list)
    """Digits heard, and how they came: rfc4733 or info."""
    answered_at: float | None = None
    """Monotonic seconds; the same clock in all processes of a machine."""
    ended_at: float | None = None
    recording: Recording | None = None

    def apply(self, event: Mapping[str, Any]) -> None:
        """Takes over what the phone told."""
        match event["event"]:
            case "state":
                self.state, self.code, self.reason = event["state"], event["code"], event["reason"]
                if self.state == "confirmed" and self.answered_at is None:
                    self.answered_at = event["at"]
                if self.state == "ended":
                    self.ended_at = event["at"]
            case "media":
                self.media = MediaState(event["status"], event["codec"], event["sends"], event["receives"])
                self.media_changes += 1
                self.recording = Recording(Path(event["recording"]))
            case "digit":
                self.digits.append((event["digit"], event["way"]))

    # what to wait for -------------------------------------------------------------------------------------------
    @property
    def caller_number(self) -> str:
        """The user part of the caller's URI."""
        found = USER.search(self.caller)
        return found[1] if found else ""

    @property
    def is_ended(self) -> bool:
        return self.state == "ended"

    def wait(self, is_true: Callable[[Call], bool], what: str, seconds: float = ANSWER_SECONDS) -> None:
        """Waits until something holds; raises PhoneError when it does not come true in time."""
        self.phone.wait(lambda: is_true(self), what, seconds)

    def wait_ringing(self, seconds: float = ANSWER_SECONDS) -> None:
        self.wait(lambda call: call.state in ("early", "confirmed", "ended"), "ringing", seconds)
        self._raise_if_ended()

    def wait_answered(self, seconds: float = ANSWER_SECONDS) -> None:
        """Waits until both sides are connected; raises CallFailedError when the call ends instead."""
        self.wait(lambda call: call.state in ("confirmed", "ended"), "answered", seconds)
        self._raise_if_ended()
        self.wait(lambda call: call.media.status != "none" or call.is_ended, "media", seconds)

    def wait_ended(self, seconds: float = ANSWER_SECONDS) -> int:
        """Waits for the end; returns the last status code."""
        self.wait(lambda call: call.is_ended, "ended", seconds)
        return self.code

    def wait_media(self, status: str, codec: str = "", seconds: float = ANSWER_SECONDS) -> None:
        """Waits for a state of the media, and for a codec if one is named."""

        def reached(call: Call) -> bool:
            return call.media.status == status and codec in ("", call.media.codec)

        self.wait(reached, f"media {status} {codec}".rstrip(), seconds)

    def wait_digits(self, digits: str, seconds: float = ANSWER_SECONDS) -> None:
        self.wait(lambda call: "".join(digit for digit, _ in call.digits).endswith(digits), f"digits {digits}", seconds)

    def hears(self, hertz: float, *, seconds: float = HEAR_SECONDS) -> bool:
        """Whether a pure tone comes in within the time."""
        return self.recording is not None and self.recording.hears(hertz, seconds=seconds)

    def hears_nothing(self, *, seconds: float = HEAR_SECONDS) -> bool:
        """Whether it becomes silent within the time."""
        return self.recording is None or self.recording.hears_nothing(seconds=seconds)

    def _raise_if_ended(self) -> None:
        if self.is_ended:
            raise CallFailedError(self.code, self.reason)

    # orders -----------------------------------------------------------------------------------------------------
    def answer(self, code: int = 200) -> None:
        """Answers; a code below 200 is a provisional answer, one above is a refusal."""
        self.phone.order("answer", call=self.identity, code=code)

    def hang_up(self, code: int = 0) -> None:
        """BYE, or CANCEL, or a refusal with `code`."""
        self.phone.order("hang_up", call=self.identity, code=code)

    def hold(self) -> None:
        self.phone.order("hold", call=self.identity)

    def resume(self) -> None:
        self.phone.order("resume", call=self.identity)

    def transfer(self, number: str) -> None:
        """Gives the call away to a number (REFER)."""
        self.phone.order("transfer", call=self.identity, uri=self.phone.uri(number))

    def transfer_to(self, other: Call) -> None:
        """Gives the call away to who is at the other end of another one (REFER with Replaces)."""
        self.phone.order("transfer_to", call=self.identity, other=other.identity)

    def change_codecs(self, codecs: Sequence[str], *, method: str = "INVITE", late_offer: bool = False) -> None:
        """Offers other codecs with a re-INVITE or an UPDATE; `late_offer`: lets the other side offer."""
        self.phone.order("change", call=self.identity, codecs=list(codecs), method=method, late_offer=late_offer)

    def play(self, hertz: int) -> None:
        """Sends a tone until the next order; 0: silence."""
        self.phone.order("play", call=self.identity, hertz=hertz)

    def send_digits(self, digits: str, *, way: str = "rfc4733") -> None:
        """Sends DTMF in RTP (`rfc4733`), in INFO requests (`info`), or as the tones themselves (`inband`)."""
        self.phone.order("digits", call=self.identity, digits=digits, way=way)

    def packets(self) -> dict[str, int]:
        """RTP packets so far: sent, received, lost."""
        counted = self.phone.order("packets", call=self.identity)
        return {str(name): int(count) for name, count in counted.items()}


class Phone:
    """One phone in a process of its own; a context manager that leaves no process behind."""

    def __init__(self, settings: PhoneSettings, directory: Path) -> None:
        """`directory` takes recordings and the log; raises PhoneMissingError or PhoneError."""
        missing = phone_missing()
        if missing:
            raise PhoneMissingError(missing)
        self.settings = settings
        self.messages: list[SipMessage] = []
        """All SIP messages, in order."""
        self.calls: list[Call] = []
        """All calls, in order."""
        self.address = ""
        self.is_registered = False
        self.registration_code = 0
        self.lamp: dict[str, str] = {}
        """What the message lamp was told last, by header name, such as "Voice-Message": "1/0 (0/0)"."""
        self._current: dict[int, Call] = {}
        self._taken = 0
        self._registrations = 0
        self._replies: dict[int, Mapping[str, Any]] = {}
        self._serials = itertools.count(1)
        self._changed = threading.Condition()
        self._has_ended = False
        directory.mkdir(parents=True, exist_ok=True)
        self._log_file = directory / "phone.log"
        self._start(directory)

    def _start(self, directory: Path) -> None:
        with self._log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "softswitch.phone.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C in a terminal is the driver's, which ends the phone in order
            )
        self._reader = threading.Thread(target=self._read, name=f"phone {self.settings.number}", daemon=True)
        self._reader.start()
        settings = asdict(self.settings)
        settings["domain"] = self.settings.domain or self.settings.proxy.rpartition(":")[0]
        self._send(settings | {"directory": str(directory)})
        try:
            self.wait(lambda: bool(self.address), "the phone's start", PATIENCE_SECONDS)
        except PhoneError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hangs up, unregisters, and ends the process whatever happens."""
        if self._process.poll() is None:
            try:
                self._send({"id": 0, "do": "quit"})
                self._process.wait(QUIT_SECONDS)
            except (BrokenPipeError, subprocess.TimeoutExpired):
                self._process.kill()
        self._process.wait()
        self._reader.join(QUIT_SECONDS)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def kill(self) -> None:
        """Ends the process as a power cut does: nothing is said on the network."""
        self._process.kill()
        self._process.wait()

    # what the process tells -------------------------------------------------------------------------------------
    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = json.loads(line)
            with self._changed:
                self._apply(event)
                self._changed.notify_all()
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    def _apply(self, event: Mapping[str, Any]) -> None:
        match event["event"]:
            case "ready":
                self.address = event["address"]
            case "message":
                self.messages.append(SipMessage(event["at"], event["sent"], event["peer"], event["text"]))
            case "registration":
                self.is_registered, self.registration_code = event["active"], event["code"]
                self._registrations += 1
            case "lamp":
                lines = [line.partition(":") for line in event["text"].splitlines()]
                self.lamp = {name.strip(): value.strip() for name, _, value in lines if name.strip()}
            case "incoming":
                self._add(Call(self, event["call"], event["caller"], event["dialled"], "incoming"))
            case "done" | "failed":
                self._replies[event["id"]] = event
            case "state" | "media" | "digit":
                # the library tells of a call of ours before it has told us its number
                call = self._current.get(event["call"]) or self._add(Call(self, event["call"]))
                call.apply(event)
                if call.is_ended:
                    self._current.pop(call.identity, None)

    def _add(self, call: Call) -> Call:
        self._current[call.identity] = call
        self.calls.append(call)
        return call

    def wait(self, is_true: Callable[[], bool], what: str, seconds: float) -> None:
        """Waits until something holds; raises PhoneError with the phone's state when it does not in time."""
        with self._changed:
            if self._changed.wait_for(lambda: is_true() or self._has_ended, seconds) and is_true():
                return
        raise PhoneError(f"{self}: no {what} within {seconds:g} s{self._why()}")

    def wait_message(self, is_wanted: Callable[[SipMessage], bool], seconds: float = PATIENCE_SECONDS) -> SipMessage:
        """Waits for a SIP message; returns the first that is wanted, also one that is there already."""
        self.wait(lambda: any(map(is_wanted, self.messages)), "such message", seconds)
        return next(filter(is_wanted, self.messages))

    def wait_lamp(self, voice: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Waits until the lamp shows so many messages: "new/old (urgent new/urgent old)"."""
        self.wait(lambda: self.lamp.get("Voice-Message") == voice, f"lamp {voice} (but {self.lamp})", seconds)

    def _why(self) -> str:
        calls = "; ".join(f"call {call.identity}: {call.state} {call.code} {call.reason}" for call in self.calls)
        messages = "".join(f"\n  {'->' if message.is_sent else '<-'} {message.summary}" for message in self.messages)
        words = ""
        if self._has_ended:
            lines = self._log_file.read_text(encoding="utf-8", errors="replace").splitlines()
            words = "\nthe phone has ended: " + "\n".join(lines[-5:])
        return f"; {calls or 'no calls'}{messages}{words}"

    def __str__(self) -> str:
        return f"phone {self.settings.number} at {self.address or '?'}"

    # orders -----------------------------------------------------------------------------------------------------
    def _send(self, order: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()

    def order(self, verb: str, **fields: Any) -> Any:
        """Gives an order and waits until it has been carried out; raises PhoneError when it cannot be."""
        serial = next(self._serials)
        try:
            self._send({"id": serial, "do": verb, **fields})
        except BrokenPipeError:
            raise PhoneError(f"{self} has ended{self._why()}") from None
        self.wait(lambda: serial in self._replies, f"reply to {verb}", PATIENCE_SECONDS)
        reply = self._replies.pop(serial)
        if reply["event"] == "failed":
            raise PhoneError(f"{self}: {verb}: {reply['text']}")
        return reply.get("result")

    def register(self) -> int:
        """Registers; returns the status code of the last answer."""
        return self._renew(renew=True)

    def unregister(self) -> int:
        """Takes the registration back."""
        return self._renew(renew=False)

    def _renew(self, *, renew: bool) -> int:
        before = self._registrations
        self.order("register", renew=renew)
        self.wait(lambda: self._registrations > before, "answer to REGISTER", PATIENCE_SECONDS)
        return self.registration_code

    def uri(self, number: str) -> str:
        """A number as the phone dials it; a SIP URI as it is."""
        return number if number.startswith("sip:") else f"sip:{number}@{self.settings.domain or self.settings.proxy}"

    def call(self, number: str, *, late_offer: bool = False, headers: Mapping[str, str] | None = None) -> Call:
        """Calls a number, or a whole SIP URI; returns at once."""
        before = len(self.calls)
        self.order("call", uri=self.uri(number), late_offer=late_offer, headers=dict(headers or {}))
        self.wait(lambda: len(self.calls) > before, "call", PATIENCE_SECONDS)
        return self.calls[before]

    def incoming(self, seconds: float = PATIENCE_SECONDS) -> Call:
        """Waits for the next incoming call."""
        self.wait(lambda: self._next_incoming() is not None, "incoming call", seconds)
        call = self._next_incoming()
        assert call is not None
        self._taken = self.calls.index(call) + 1
        return call

    def _next_incoming(self) -> Call | None:
        return next((call for call in self.calls[self._taken :] if call.caller), None)

    def quiet_for(self, seconds: float) -> bool:
        """Whether no call comes in for a while."""
        time.sleep(seconds)
        return self._next_incoming() is None
