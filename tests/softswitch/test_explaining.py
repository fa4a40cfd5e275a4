# SPDX-License-Identifier: Apache-2.0
"""Calls shown to people: the golden ladder, the ticket without numbers, the capture file; typed times; rating again."""

from __future__ import annotations

import ipaddress
import shutil
import struct
import subprocess
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.replay.rerating import talked_seconds
from billing_client.rules.books import Rate
from billing_client.rules.rating import billed_seconds, cost
from softswitch.cli.times import Instant
from softswitch.explaining.ladder import ladder, legs, summary
from softswitch.explaining.pcap import pcap
from softswitch.explaining.ticket import mask_number, mask_numbers, ticket
from switch.sip.message.flow import Flow
from switch.trace.ladder import Crossing

GOLDEN = Path(__file__).with_name("golden")
BEGAN = datetime(2026, 11, 22, 12, tzinfo=UTC)
PHONE = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.101", 5062))
CARRIER = Flow("udp", ("192.0.2.1", 5060), ("198.51.100.7", 5060))
SECOND = Flow("tcp", ("2001:db8::1", 5060), ("2001:db8::7", 5060))
SDP = b"v=0\r\no=101 1 1 IN IP4 192.0.2.101\r\ns=-\r\nc=IN IP4 192.0.2.101\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n"
CALL = {
    "call_id": "0123456789abcdef",
    "caller": "420777123456",
    "dialled": "420600000001",
    "account": "101",
    "started_at": BEGAN,
    "answered_at": None,
    "ended_at": BEGAN + timedelta(seconds=3),
    "cause": 17,
    "sip_status": 486,
    "ended_by": "callee",
}


def message(first: str, cseq: str, leg: str, body: bytes = b"", *lines: str) -> bytes:
    """A SIP message of the story."""
    head = [
        first,
        f"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-{leg}",
        'From: "Alice 420777123456" <sip:420777123456@example.com>;tag=f',
        "To: <sip:420600000001@example.com;user=phone>",
        f"Call-ID: 4207771234567-{leg}@192.0.2.101",
        f"CSeq: {cseq}",
        *lines,
    ]
    if body:
        head.append("Content-Type: application/sdp")
    return "\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body


def story() -> list[Crossing]:
    """A carrier that fails, another one that is busy."""
    invite = message("INVITE sip:420600000001@198.51.100.7 SIP/2.0", "1 INVITE", "b1", SDP)
    again = message("INVITE sip:420600000001@[2001:db8::7] SIP/2.0", "1 INVITE", "b2", SDP + b"a=sendonly\r\n")
    asked = message(
        "INVITE sip:420600000001@example.com SIP/2.0", "2 INVITE", "a", SDP, "P-Asserted-Identity: <tel:+420777123456>"
    )
    return [
        Crossing(0.0, False, "a", PHONE, asked),
        Crossing(0.001, True, "a", PHONE, message("SIP/2.0 100 Trying", "2 INVITE", "a")),
        Crossing(0.004, True, "b1", CARRIER, invite),
        Crossing(0.504, True, "b1", CARRIER, invite),
        Crossing(0.9, False, "b1", CARRIER, message("SIP/2.0 503 Service Unavailable", "1 INVITE", "b1")),
        Crossing(0.901, True, "b1", CARRIER, message("ACK sip:420600000001@198.51.100.7 SIP/2.0", "1 ACK", "b1")),
        Crossing(0.902, True, "b2", SECOND, again),
        Crossing(1.2, False, "b2", SECOND, message("SIP/2.0 486 Busy Here", "1 INVITE", "b2")),
        Crossing(1.201, True, "a", PHONE, message("SIP/2.0 486 Busy Here", "2 INVITE", "a")),
        Crossing(1.3, False, "a", PHONE, message("ACK sip:420600000001@example.com SIP/2.0", "2 ACK", "a")),
    ]


def golden(name: str, text: str) -> None:
    """Compare with the file of this name."""
    assert text == (GOLDEN / name).read_text(encoding="utf-8")


def test_the_ladder_looks_as_it_should() -> None:
    drawn = "\n".join([*legs(story()), "", ladder(story()), ""])
    golden("ladder.txt", drawn)
    assert all(80 <= len(line) <= 110 for line in ladder(story()).splitlines())


def test_a_ticket_for_a_carrier_shows_no_number() -> None:
    text = ticket(CALL, story())
    golden("ticket.txt", text)
    for number in ("420777123456", "420600000001"):
        assert number not in text.replace("4207771234567-", "")


def test_call_ids_stay_whole_so_that_the_carrier_finds_the_call() -> None:
    assert "Call-ID: 4207771234567-b1@192.0.2.101" in ticket(CALL, story())


def test_masked_numbers_tell_the_network_and_short_ones_nothing() -> None:
    assert mask_number("420777123456") == "42077xxxxx56"
    assert mask_number("101") == "1xx"
    assert mask_numbers('"Bob" <sip:102@h>, tel:+44123456789 at 192.0.2.1:5060', ["102"]) == (
        '"xxx" <sip:1xx@h>, tel:+44123xxxx89 at 192.0.2.1:5060'
    )


def test_an_empty_ladder_says_so() -> None:
    assert ladder([]) == "(no messages were kept)"


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_whatever_was_on_the_wire_can_be_drawn(data: bytes) -> None:
    drawn = ladder([Crossing(0.0, False, "a", PHONE, data)])
    assert summary(data) is not None
    assert drawn.count("\n") == 1


def packets(capture: bytes) -> list[tuple[float, str, str, bytes]]:
    """The UDP packets of a capture file: time, ends, payload; checksums are verified."""
    magic, major, minor, *_rest, link = struct.unpack_from("<IHHiIII", capture)
    assert (magic, major, minor, link) == (0xA1B2C3D4, 2, 4, 101)
    found, position = [], 24
    while position < len(capture):
        seconds, micros, size, full = struct.unpack_from("<IIII", capture, position)
        packet = capture[position + 16 : position + 16 + size]
        assert size == full == len(packet)
        position += 16 + size
        length = 20 if packet[0] >> 4 == 4 else 40
        ends = packet[12:20] if length == 20 else packet[8:40]
        hosts = [str(ipaddress.ip_address(ends[: len(ends) // 2])), str(ipaddress.ip_address(ends[len(ends) // 2 :]))]
        ports = struct.unpack_from("!HH", packet, length)
        udp = packet[length:]
        pseudo = ends + struct.pack("!IHBB", len(udp), 0, 0, 17)
        assert ones(pseudo + udp) == 0xFFFF
        if length == 20:
            assert ones(packet[:20]) == 0xFFFF
        found.append((seconds + micros / 1e6, f"{hosts[0]}:{ports[0]}", f"{hosts[1]}:{ports[1]}", udp[8:]))
    return found


def ones(data: bytes) -> int:
    """The ones' complement sum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_a_capture_holds_every_message_with_its_ends_and_time(tmp_path: Path) -> None:
    file = tmp_path / "call.pcap"
    file.write_bytes(pcap(story(), BEGAN))
    found = packets(file.read_bytes())
    assert [payload for *_, payload in found] == [crossing.data for crossing in story()]
    assert found[0][1:3] == ("192.0.2.101:5062", "192.0.2.1:5060")
    assert found[2][1:3] == ("192.0.2.1:5060", "198.51.100.7:5060")
    assert found[6][1:3] == ("2001:db8::1:5060", "2001:db8::7:5060")
    assert found[3][0] == pytest.approx(BEGAN.timestamp() + 0.504)
    if shutil.which("tshark") is not None:
        read = subprocess.run(["tshark", "-r", str(file), "-Y", "sip"], capture_output=True, text=True, check=True)
        assert len(read.stdout.splitlines()) == len(story())


def test_times_are_typed_as_spans_or_dates() -> None:
    now = datetime.now(UTC)
    assert abs(Instant().convert("90m", None, None) - (now - timedelta(minutes=90))) < timedelta(seconds=5)
    assert Instant().convert("2026-11-22T23:10+00:00", None, None) == datetime(2026, 11, 22, 23, 10, tzinfo=UTC)


increments = st.integers(1, 120)


@settings(deadline=None)
@given(
    seconds=st.decimals(Decimal("0.001"), 7200, places=3),
    drift=st.decimals(Decimal("-0.9"), Decimal("0.9"), places=3),
    first=increments,
    following=increments,
    price=st.decimals(0, 10, places=5),
)
def test_rated_by_the_rates_that_it_was_charged_by_a_call_costs_what_it_did(
    seconds: Decimal, drift: Decimal, first: int, following: int, price: Decimal
) -> None:
    rate = Rate(1, "", "", "", Decimal("0.1"), first, following, price, price, BEGAN, None)
    charged = billed_seconds(rate, seconds)
    record = {
        "billed_seconds": charged,
        "first_increment": first,
        "next_increment": following,
        "talked": max(Decimal(0), seconds + drift),
    }
    talked = talked_seconds(record)
    assert billed_seconds(rate, talked) == charged
    assert cost(rate, talked) == cost(rate, seconds)
