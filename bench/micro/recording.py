# SPDX-License-Identifier: Apache-2.0
"""What recording one call costs by itself: `python -m bench.micro.recording`, microseconds of one processor.

While the call is set up: a reference to each of its messages and a tuple for each of its reasons. After it: masking,
packing, and the row for the store. `python -m bench.sip.recording` measures the same in a whole switch.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from billing_client.traces import CallTrace, trace_columns
from switch.sip.message.flow import Flow
from switch.sip.message.parsing import parse_message
from switch.trace.ladder import Ladders
from switch.trace.recorder import pack, write_record
from switch.trace.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from switch.trace.ladder import Ladder

CALLS = 300
ROUNDS = 20
FLOW = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.9", 5062))
NOW = datetime(2026, 11, 22, tzinfo=UTC)
SDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 6000 RTP/AVP 8\r\n"
DIGEST = (
    'Proxy-Authorization: Digest username="1000001", realm="example.com", nonce="0123456789abcdef0123456789abcdef", '
    'uri="sip:1000002@example.com", response="0123456789abcdef0123456789abcdef", algorithm=MD5, cnonce="abc", nc=1'
)
ALLOW = "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, MESSAGE, NOTIFY, SUBSCRIBE, REFER"


def message(first: str, leg: str, cseq: str, *lines: str, body: str = "") -> bytes:
    """A message as phones write it."""
    head = [
        first,
        f"Via: SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bK{leg}-{cseq[0]};rport",
        "Max-Forwards: 70",
        "From: <sip:1000001@example.com>;tag=0123456789abcdef",
        "To: <sip:1000002@example.com>;tag=fedcba9876543210",
        f"Call-ID: {leg}-0123456789abcdef@192.0.2.9",
        f"CSeq: {cseq}",
        "Contact: <sip:1000001@192.0.2.9:5062>",
        *lines,
        *(["Content-Type: application/sdp"] if body else []),
        f"Content-Length: {len(body)}",
    ]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


def story() -> list[tuple[str, bool, bytes]]:
    """The messages of an answered call: leg, whether we send it, the bytes."""
    invite, ok = "INVITE sip:1000002@example.com SIP/2.0", "SIP/2.0 200 OK"
    return [
        ("a", False, message(invite, "a", "2 INVITE", DIGEST, ALLOW, body=SDP)),
        ("a", True, message("SIP/2.0 100 Trying", "a", "2 INVITE")),
        ("b", True, message(invite, "b", "1 INVITE", ALLOW, "Supported: 100rel, timer", body=SDP)),
        ("b", False, message("SIP/2.0 100 Trying", "b", "1 INVITE")),
        ("b", False, message("SIP/2.0 180 Ringing", "b", "1 INVITE")),
        ("a", True, message("SIP/2.0 180 Ringing", "a", "2 INVITE", ALLOW)),
        ("b", False, message(ok, "b", "1 INVITE", ALLOW, body=SDP)),
        ("b", True, message("ACK sip:1000002@example.com SIP/2.0", "b", "1 ACK")),
        ("a", True, message(ok, "a", "2 INVITE", ALLOW, "Supported: 100rel, timer", body=SDP)),
        ("a", False, message("ACK sip:1000002@example.com SIP/2.0", "a", "2 ACK")),
        ("a", False, message("BYE sip:1000002@example.com SIP/2.0", "a", "3 BYE")),
        ("a", True, message(ok, "a", "3 BYE")),
        ("b", True, message("BYE sip:1000002@example.com SIP/2.0", "b", "2 BYE")),
        ("b", False, message(ok, "b", "2 BYE")),
    ]


def reasons() -> Trace:
    """As many as an answered call has, with as much in them."""
    trace = Trace()
    for _ in range(8):
        trace.add(
            "rate", "{destination} by prefix {prefix}: {price} {currency} a minute, then {next} by {step} s",
            destination="Czech Republic", prefix="420", price=Decimal("0.05"), currency="USD", next=Decimal("0.05"),
            step=6,
        )  # fmt: skip
    return trace


def record(ladders: Ladders) -> Callable[[], Ladder]:
    """The work while calls run."""
    messages = [(leg, sent, data, parse_message(data)) for leg, sent, data in story()]
    other = messages[2][3].call_id

    def run() -> Ladder:
        _, _, first, invite = messages[0]
        ladders.received(invite, FLOW, first)
        ladder = ladders.begin(invite.call_id)
        ladders.add_leg(ladder, other)
        for _, sent, data, parsed in messages[1:]:
            if sent:
                ladders.sent(data, FLOW)
            else:
                ladders.received(parsed, FLOW, data)
        return ladder

    return run


def finish(trace: Trace, ladder: Ladder) -> int:
    """The work after a call; returns the size of the record."""
    body = write_record(trace, ladder)
    row = CallTrace(
        call_id="c", account="101", caller="101", dialled="102", started_at=NOW, answered_at=NOW, ended_at=NOW,
        cause=16, sip_status=200, ended_by="caller", keys=("101", "102", *ladder.call_ids), body=body,
    )  # fmt: skip
    trace_columns([row])
    return len(body)


def best(work: Callable[[], object]) -> float:
    """Microseconds of one call of `work`: the best of several rounds."""
    found = []
    for _ in range(ROUNDS):
        began_at = time.perf_counter()
        for _ in range(CALLS):
            work()
        found.append((time.perf_counter() - began_at) / CALLS)
    return 1e6 * min(found)


def main() -> None:
    """Print what each part costs."""
    ladders = Ladders(pack)
    run = record(ladders)
    print(f"messages, while the call runs  {best(lambda: ladders.end(run())):7.1f} us")
    print(f"reasons, while the call runs   {best(reasons):7.1f} us")

    def whole() -> None:
        ladder = run()
        ladders.end(ladder)
        finish(reasons(), ladder)

    print(f"all, with the work afterwards  {best(whole):7.1f} us")
    ladder = run()
    raw = sum(len(data) for _, _, data in story())
    print(f"messages of a call {raw} bytes, its record {finish(reasons(), ladder)} bytes")


if __name__ == "__main__":
    main()
