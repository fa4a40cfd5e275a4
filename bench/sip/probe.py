# SPDX-License-Identifier: Apache-2.0
"""The delay that a switch adds to a call's set-up: from an INVITE with credentials going in to the INVITE coming out.

The probe is caller and callee at once. It takes the instant at which its INVITE is handed to the kernel, and the
kernel's time stamp of the INVITE that arrives at the callee; on the loopback interface both are the instants at which
the switch's socket gets and sends them, however late this process is scheduled. The callee is busy, so that the probe
adds little load. `python -m bench.sip.probe` prints the delays in milliseconds as JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import select
import socket
import struct
import time
from dataclasses import dataclass, field

__all__ = ["main"]

SO_TIMESTAMPNS = 35
PATIENCE_SECONDS = 5.0


@dataclass
class Probe:
    """Calls the accounts whose phone it is."""

    port: int
    """Of the phone."""
    target: tuple[str, int]
    password: str
    delays_ms: list[float] = field(default_factory=list)
    lost: int = 0
    _nonce: str = ""
    _count: int = 0
    _sent_at: dict[str, int] = field(default_factory=dict)
    _serial: int = 0

    def __post_init__(self) -> None:
        self._caller = self._open(0)
        self._callee = self._open(self.port)

    @staticmethod
    def _open(port: int) -> socket.socket:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        opened.bind(("127.0.0.1", port))
        return opened

    def run(self, numbers: list[str], rate: float, seconds: float) -> None:
        """Call one of `numbers` after the other, each from the next one."""
        began = time.monotonic()
        calls = int(rate * seconds)
        for index in range(calls):
            callee, caller = numbers[index % len(numbers)], numbers[(index + 1) % len(numbers)]
            self._listen(began + index / rate)
            if callee in self._sent_at:
                self.lost += 1
            self._invite(caller, callee)
        self._listen(time.monotonic() + PATIENCE_SECONDS, idle=True)
        self.lost += len(self._sent_at)

    def _invite(self, caller: str, callee: str) -> None:
        self._serial += 1
        host, port = self._caller.getsockname()
        uri = f"sip:{callee}@{self.target[0]}:{self.target[1]}"
        sdp = (
            f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
            "m=audio 44000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
        )
        lines = [
            f"INVITE {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bKprobe{random.getrandbits(64):x};rport",
            "Max-Forwards: 70",
            f"From: <sip:{caller}@{self.target[0]}>;tag=p{self._serial}",
            f"To: <sip:{callee}@{self.target[0]}>",
            f"Call-ID: probe-{random.getrandbits(64):x}",
            "CSeq: 1 INVITE",
            f"Contact: <sip:{caller}@{host}:{port}>",
            *([self._authorization(caller, uri)] if self._nonce else []),
            "Content-Type: application/sdp",
            f"Content-Length: {len(sdp)}",
        ]
        message = ("\r\n".join(lines) + "\r\n\r\n" + sdp).encode()
        self._sent_at[callee] = time.time_ns()
        self._caller.sendto(message, self.target)

    def _authorization(self, user: str, uri: str) -> str:
        self._count += 1
        realm = self.target[0]
        one = _md5(f"{user}:{realm}:{self.password}")
        response = _md5(f"{one}:{self._nonce}:{self._count:08x}:probe:auth:{_md5(f'INVITE:{uri}')}")
        return (
            f'Proxy-Authorization: Digest username="{user}", realm="{realm}", nonce="{self._nonce}", uri="{uri}", '
            f'response="{response}", algorithm=MD5, qop=auth, nc={self._count:08x}, cnonce="probe"'
        )

    def _listen(self, until: float, *, idle: bool = False) -> None:
        """Serve both sockets until then; `idle`: or until nothing is awaited any more."""
        while (wait := until - time.monotonic()) > 0 and not (idle and not self._sent_at):
            for ready in select.select((self._caller, self._callee), (), (), min(wait, 0.2))[0]:
                data, control, _, sender = ready.recvmsg(65535, 128)
                message = data.decode("utf-8", "replace")
                if ready is self._callee and message.startswith("INVITE "):
                    self._arrived(message, _stamp(control), sender)
                elif ready is self._caller:
                    self._answered(message, sender)

    def _arrived(self, message: str, at: int, sender: tuple[str, int]) -> None:
        found = re.match(r"INVITE sip:(\w+)@", message)
        sent_at = self._sent_at.pop(found[1], None) if found else None
        if sent_at is not None:
            self.delays_ms.append((at - sent_at) / 1e6)
        self._callee.sendto(_reply(message, "486 Busy Here"), sender)

    def _answered(self, message: str, sender: tuple[str, int]) -> None:
        status = message.split(" ", 2)[1]
        if status < "200":
            return
        self._caller.sendto(_ack(message, sender), sender)
        callee = _header(message, "To").partition("sip:")[2].partition("@")[0]
        if status == "407":
            self._sent_at.pop(callee, None)
            nonce = re.search(r'nonce="([^"]+)"', message)
            if nonce:
                self._nonce, self._count = nonce[1], 0


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _stamp(control: list[tuple[int, int, bytes]]) -> int:
    seconds, nanoseconds = struct.unpack("qq", control[0][2][:16])
    return int(seconds * 1_000_000_000 + nanoseconds)


def _header(message: str, name: str) -> str:
    found = re.search(rf"^{name}: *(.*?)\r$", message, re.MULTILINE | re.IGNORECASE)
    return found[1] if found else ""


def _reply(request: str, status: str) -> bytes:
    head = request.partition("\r\n\r\n")[0].split("\r\n")[1:]
    lines = [line for line in head if line.partition(":")[0].lower() in ("via", "from", "call-id", "cseq")]
    lines = [f"SIP/2.0 {status}", *lines, f"To: {_header(request, 'To')};tag=busy", "Content-Length: 0"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _ack(response: str, target: tuple[str, int]) -> bytes:
    """The ACK to a failure, which goes where the INVITE went (RFC 3261 section 17.1.1.3)."""
    callee = _header(response, "To").partition("sip:")[2].partition("@")[0]
    lines = [
        f"ACK sip:{callee}@{target[0]}:{target[1]} SIP/2.0",
        "Via: " + re.sub(r";(rport|received)(=[^;]*)?", "", _header(response, "Via")),
        "Max-Forwards: 70",
        *(f"{name}: {_header(response, name)}" for name in ("From", "To", "Call-ID")),
        "CSeq: 1 ACK",
        "Content-Length: 0",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def main() -> None:
    """Probe a switch."""
    parser = argparse.ArgumentParser(prog="bench.sip.probe", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="where the called accounts are registered")
    parser.add_argument("--target", type=int, required=True, help="SIP port of the switch")
    parser.add_argument("--first", type=int, required=True, help="number of the first account")
    parser.add_argument("--accounts", type=int, required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--rate", type=float, default=25.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    probe = Probe(options.port, ("127.0.0.1", options.target), options.password)
    probe.run([str(options.first + index) for index in range(options.accounts)], options.rate, options.seconds)
    print(json.dumps({"lost": probe.lost, "delays_ms": sorted(round(delay, 3) for delay in probe.delays_ms)}))


if __name__ == "__main__":
    main()
