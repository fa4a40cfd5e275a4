# SPDX-License-Identifier: Apache-2.0
"""Phones that call applications: SIP here, RTP by the callers of `bench.media`, written in C."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import select
import socket
import struct
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bench.machine import GENERATOR_CPU, on_cpu, prefer

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Call", "Phones", "Sound", "open_sound"]

SO_TIMESTAMPNS: Final = 35
RESEND_SECONDS: Final = 0.5
TRIES: Final = 6
BUFFER_BYTES: Final = 4 << 20
SDP: Final = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 8 101\r\n"
    "a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n"
)


@dataclass(frozen=True, slots=True)
class Sound:
    """The process that sends and takes the packets of all calls."""

    process: subprocess.Popen[str]
    first_port: int
    sockets: int

    def port_of(self, call: int) -> int:
        """Where this call's packets are to come."""
        return self.first_port + 2 * (call % self.sockets)

    def begin(self, call: int, port: int) -> None:
        """Send to this port from now on."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{call % self.sockets} {port}\n")
        self.process.stdin.flush()

    def measure(self) -> None:
        """No more calls: count after a second."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def result(self) -> dict[str, Any]:
        """What was counted; waits for it."""
        assert self.process.stdout is not None
        counted: dict[str, Any] = json.loads(self.process.stdout.read())
        return counted


@contextlib.contextmanager
def open_sound(program: str, *, first_port: int, sockets: int, seconds: float) -> Iterator[Sound]:
    """Start `program` (bench/media/callers.c) on the callers' processor."""
    command = [program, str(first_port), str(sockets), str(seconds)]
    with on_cpu(GENERATOR_CPU):
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        prefer(process.pid)
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise SystemExit(f"ports {first_port} to {first_port + 2 * sockets} are not free: see --first-port")
        try:
            yield Sound(process, first_port, sockets)
        finally:
            if process.poll() is None:
                process.kill()


@dataclass(slots=True)
class Call:
    """One call, from its first INVITE on."""

    index: int
    user: str
    callee: str
    began_ns: int = 0
    """When the first INVITE was handed to the kernel."""
    challenged_ns: int = 0
    """The kernel's stamp of the challenge."""
    authorized_ns: int = 0
    """When the INVITE with credentials was handed to the kernel."""
    answered_ns: int = 0
    """The kernel's stamp of the 200."""
    status: int = 0
    port: int = 0
    """Where its packets go to."""
    cseq: int = 1
    to: str = ""
    uri: str = ""
    routes: list[str] = field(default_factory=list)
    awaited: bytes = b""
    """A request that is sent again until it is answered."""
    due: float = 0.0
    tries: int = 0
    ended: bool = False


class Phones:
    """All of them on one socket."""

    def __init__(self, target: tuple[str, int], password: str, sound: Sound) -> None:
        self.calls: dict[str, Call] = {}
        self._target = target
        self._password = password
        self._sound = sound
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.bind(("127.0.0.1", 0))
        self._run = f"{time.time_ns():x}"

    @property
    def standing(self) -> list[Call]:
        """Calls that were answered and have not been ended."""
        return [call for call in self.calls.values() if call.status == 200 and not call.ended]

    def call(self, index: int, user: str, callee: str) -> None:
        """Begin a call."""
        host, port = self._target
        call = Call(index, user, callee, uri=f"sip:{callee}@{host}:{port}", to=f"<sip:{callee}@{host}>")
        self.calls[f"ivr-{self._run}-{index}"] = call
        call.began_ns = time.time_ns()
        self._invite(call, [])

    def hang_up(self, call: Call) -> None:
        """End a call."""
        call.cseq, call.ended = call.cseq + 1, True
        self._await(call, self._request(call, "BYE", call.cseq))

    def serve(self, until: float) -> None:
        """Read and send again, until this instant of the monotonic clock."""
        while (wait := until - time.monotonic()) > 0:
            if select.select((self._socket,), (), (), min(wait, 0.1))[0]:
                data, control, _, _ = self._socket.recvmsg(65535, 128)
                seconds, nanoseconds = struct.unpack("qq", control[0][2][:16])
                self._receive(data.decode("utf-8", "replace"), seconds * 1_000_000_000 + nanoseconds)
            else:
                self._resend()

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def _resend(self) -> None:
        now = time.monotonic()
        for call in self.calls.values():
            if call.awaited and now >= call.due and call.tries < TRIES:
                call.due, call.tries = now + RESEND_SECONDS * 2**call.tries, call.tries + 1
                self._socket.sendto(call.awaited, self._target)

    def _await(self, call: Call, message: bytes) -> None:
        call.awaited, call.due, call.tries = message, time.monotonic() + RESEND_SECONDS, 0
        self._socket.sendto(message, self._target)

    def _invite(self, call: Call, headers: list[str]) -> None:
        body = SDP.format(port=self._sound.port_of(call.index))
        self._await(call, self._request(call, "INVITE", call.cseq, headers, body))

    def _request(
        self, call: Call, method: str, cseq: int, headers: list[str] | None = None, body: str = "", branch: str = ""
    ) -> bytes:
        host, port = self._socket.getsockname()
        lines = [
            f"{method} {call.uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{self._run}{call.index}-{cseq}{branch or method};rport",
            *(f"Route: {route}" for route in call.routes),
            "Max-Forwards: 70",
            f"From: <sip:{call.user}@{self._target[0]}>;tag=f{self._run}{call.index}",
            f"To: {call.to}",
            f"Call-ID: ivr-{self._run}-{call.index}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:{call.user}@{host}:{port}>",
            *(headers or []),
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()

    def _receive(self, message: str, at_ns: int) -> None:
        head, _, body = message.partition("\r\n\r\n")
        if not head.startswith("SIP/2.0 "):
            if not head.startswith("ACK "):
                self._socket.sendto(_answer(head), self._target)
            return
        call = self.calls.get(_header(head, "Call-ID"))
        status = int(head.split(" ", 2)[1])
        number, _, method = _header(head, "CSeq").partition(" ")
        if call is None or int(number) != call.cseq:
            return
        call.awaited = b""
        if method == "INVITE" and status >= 200:
            self._final(call, status, head, body, at_ns)

    def _final(self, call: Call, status: int, head: str, body: str, at_ns: int) -> None:
        if status == 200:
            call.to, call.uri = _header(head, "To"), re.findall(r"<([^>]+)>", _header(head, "Contact"))[0]
            call.routes = list(reversed(re.findall(r"^Record-Route: *(.*?)\r?$", head, re.MULTILINE)))
            self._socket.sendto(self._request(call, "ACK", call.cseq, branch="ack"), self._target)
            found = re.search(r"^m=audio (\d+)", body, re.MULTILINE)
            if not call.port and found:
                call.status, call.port, call.answered_ns = status, int(found[1]), at_ns
                self._sound.begin(call.index, call.port)
            return
        before, call.to = call.to, _header(head, "To")
        self._socket.sendto(self._request(call, "ACK", call.cseq, branch="INVITE"), self._target)
        call.to = before
        if status == 407 and call.cseq == 1:
            call.cseq, call.challenged_ns = 2, at_ns
            call.authorized_ns = time.time_ns()
            self._invite(call, [self._authorization(call, _header(head, "Proxy-Authenticate"))])
        else:
            call.status = status

    def _authorization(self, call: Call, challenge: str) -> str:
        asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        one = _md5(f"{call.user}:{asked['realm']}:{self._password}")
        response = _md5(f"{one}:{asked['nonce']}:00000001:bench:auth:{_md5(f'INVITE:{call.uri}')}")
        return (
            f'Proxy-Authorization: Digest username="{call.user}", realm="{asked["realm"]}", nonce="{asked["nonce"]}", '
            f'uri="{call.uri}", response="{response}", algorithm=MD5, qop=auth, nc=00000001, cnonce="bench"'
        )


def _answer(request: str) -> bytes:
    kept = ("via", "from", "to", "call-id", "cseq")
    lines = [line for line in request.split("\r\n")[1:] if line.partition(":")[0].lower() in kept]
    return "\r\n".join(["SIP/2.0 200 OK", *lines, "Content-Length: 0", "", ""]).encode()


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _header(head: str, name: str) -> str:
    found = re.search(rf"^{name}: *(.*?)\r?$", head, re.MULTILINE | re.IGNORECASE)
    return found[1] if found else ""
