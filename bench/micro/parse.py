# SPDX-License-Identifier: Apache-2.0
"""What one SIP message costs: parse, serialise, answer. Run: `python bench/micro/parse.py`."""

from __future__ import annotations

import sys
import timeit
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from switch.sip.message.address import NameAddr
from switch.sip.message.framing import StreamFramer
from switch.sip.message.message import Request
from switch.sip.message.parsing import parse_message
from switch.sip.message.uri import Uri

if TYPE_CHECKING:
    from collections.abc import Callable

SDP = (
    b"v=0\r\no=alice 53655765 2353687637 IN IP4 192.0.2.101\r\ns=-\r\nc=IN IP4 192.0.2.101\r\nt=0 0\r\n"
    b"m=audio 49172 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)
INVITE = (
    b"INVITE sip:15551002@sip.example.com SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.101:5060;branch=z9hG4bK-524287-1---ba4f;rport\r\n"
    b"Max-Forwards: 70\r\n"
    b"Contact: <sip:15551001@192.0.2.101:5060;transport=udp>\r\n"
    b"To: <sip:15551002@sip.example.com>\r\n"
    b'From: "Alice" <sip:15551001@sip.example.com>;tag=9fxced76sl\r\n'
    b"Call-ID: 3848276298220188511@192.0.2.101\r\n"
    b"CSeq: 1 INVITE\r\n"
    b"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO\r\n"
    b"Content-Type: application/sdp\r\n"
    b"Supported: timer, 100rel\r\n"
    b"User-Agent: Example 1.0\r\n"
    b"Content-Length: %d\r\n\r\n" % len(SDP)
) + SDP


def microseconds(action: Callable[[], object], number: int = 20_000, repeats: int = 5) -> float:
    """The best of several runs, per call."""
    return min(timeit.repeat(action, number=number, repeat=repeats)) / number * 1e6


def main() -> None:
    request = parse_message(INVITE)
    assert isinstance(request, Request)
    forwarded = request.copy()

    def parse_of_strangers() -> None:
        Uri.forget()
        NameAddr.forget()
        parse_message(INVITE)

    framer = StreamFramer()
    for what, action in (
        (f"parse_message, {len(INVITE)} bytes of INVITE", lambda: parse_message(INVITE)),
        ("parse_message, no address seen before", parse_of_strangers),
        ("StreamFramer.feed, one message", lambda: list(framer.feed(INVITE))),
        ("Request.to_bytes", forwarded.to_bytes),
        ("Request.response 180", lambda: request.response(180, to_tag="4b2f")),
        ("Request.copy", request.copy),
    ):
        print(f"{what:45} {microseconds(action):6.2f} us")


if __name__ == "__main__":
    main()
