# SPDX-License-Identifier: Apache-2.0
"""SIP messages as a phone sent and received them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SipMessage"]


@dataclass(frozen=True, slots=True)
class SipMessage:
    """One message on the wire."""

    at: float
    """Monotonic seconds, the same clock in all processes of a machine."""
    is_sent: bool
    peer: str
    """host:port of the other side."""
    text: str

    @property
    def start_line(self) -> str:
        return self.text.partition("\n")[0].strip()

    @property
    def is_request(self) -> bool:
        return not self.start_line.startswith("SIP/2.0 ")

    @property
    def method(self) -> str:
        """The request's method, or that of the request which a response answers."""
        return self.start_line.split()[0] if self.is_request else self.header("CSeq").split()[-1]

    @property
    def status(self) -> int:
        """0 for a request."""
        return 0 if self.is_request else int(self.start_line.split()[1])

    def headers(self, name: str) -> list[str]:
        """The values of a header, in order."""
        head = self.text.replace("\r\n", "\n").partition("\n\n")[0]
        found = (line.partition(":") for line in head.split("\n")[1:])
        return [value.strip() for field, _, value in found if field.strip().lower() == name.lower()]

    def header(self, name: str) -> str:
        """The first value; empty where there is none."""
        return next(iter(self.headers(name)), "")

    @property
    def body(self) -> str:
        return self.text.replace("\r\n", "\n").partition("\n\n")[2]

    @property
    def summary(self) -> str:
        """What a line of a ladder says: `INVITE`, `200 OK (INVITE)`; with SDP where there is some."""
        first = self.method if self.is_request else f"{self.start_line[8:]} ({self.method})"
        return f"{first} + SDP" if self.header("Content-Type").lower() == "application/sdp" else first
