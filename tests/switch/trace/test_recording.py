# SPDX-License-Identifier: Apache-2.0
"""What is kept of calls, without a switch: masking, ladders, reasons, and a recorder that never stands in the way."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing_client.types import StoreUnavailable
from switch.settings import TraceSettings
from switch.sip.message.flow import Flow
from switch.sip.message.parsing import parse_message
from switch.trace.ladder import FIRST_MESSAGES, LAST_MESSAGES, Crossing, Ladders, read_crossings, write_crossings
from switch.trace.masking import mask
from switch.trace.recorder import (
    LINGER_SECONDS,
    MOST_WAITING,
    SETTLED_SECONDS,
    Ended,
    Recorder,
    pack,
    read_record,
    unpack,
    write_record,
)
from switch.trace.trace import MOST_PIECES, STEPS_AT_A_TIME, Trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing_client.traces import CallTrace

FLOW = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.9", 5062))
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def message(call_id: str = "c1", *lines: str, body: bytes = b"") -> bytes:
    """A request of a phone."""
    head = [
        "INVITE sip:102@example.com SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bK1",
        "From: <sip:101@example.com>;tag=1",
        "To: <sip:102@example.com>",
        f"Call-ID: {call_id}",
        "CSeq: 1 INVITE",
        *lines,
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


# masking ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("lines", "hidden"),
    [
        (['Authorization: Digest username="101", realm="r", nonce="n1", response="abcdef01"'], ["abcdef01", "n1"]),
        (['proxy-authorization:Digest response=abcdef01,cnonce="c9"'], ["abcdef01", "c9"]),
        (['PROXY-AUTHORIZATION : Digest\r\n response="abcdef01",\r\n\tcnonce="c9"'], ["abcdef01", "c9"]),
        (["Authorization: Basic c2VjcmV0"], ["c2VjcmV0"]),
        (["Authorization: Bearer tokentoken"], ["tokentoken"]),
        (['Authentication-Info: nextnonce="n2", rspauth="abcdef01"'], ["n2", "abcdef01"]),
        (["Contact: <sip:101:pass123@192.0.2.9>"], ["pass123"]),
        (["Contact: <SIPS:101:pass123@192.0.2.9>"], ["pass123"]),
    ],
)
def test_credentials_are_taken_out(lines: list[str], hidden: list[str]) -> None:
    masked = mask(message("c1", *lines)).decode()
    for secret in hidden:
        assert secret not in masked
    assert "Call-ID: c1" in masked
    assert masked.endswith("Content-Length: 0\r\n\r\n")


def test_who_a_digest_answer_is_for_stays_visible() -> None:
    masked = mask(message("c1", 'Authorization: Digest username="101", realm="r", uri="sip:x", response="abc"'))
    assert b'Authorization: Digest username="101", realm="r", uri="sip:x", response=[masked]\r\n' in masked


@pytest.mark.parametrize(
    "line",
    [
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:SECRETSECRET|2^20|1:32",
        "a=ice-pwd:SECRETSECRET",
        "k=base64:SECRETSECRET",
        "a=key-mgmt:mikey SECRETSECRET",
    ],
)
def test_media_keys_are_taken_out_and_the_length_stays(line: str) -> None:
    body = f"v=0\r\n{line}\r\na=sendrecv\r\n".encode()
    whole = message("c1", "Content-Type: application/sdp", body=body)
    masked = mask(whole)
    assert b"SECRET" not in masked
    assert len(masked) == len(whole)
    assert masked.endswith(b"a=sendrecv\r\n")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/dtmf-relay", b"Signal=7\r\nDuration=160\r\n"),
        ("application/dtmf", b"7"),
        ("Application/DTMF", b"7"),
        ("application/vnd.nortelnetworks.digits", b"d=7\r\n"),
        ("application/kpml-response+xml", b'<kpml-response digits="7"/>'),
    ],
)
def test_typed_digits_are_taken_out(kind: str, body: bytes) -> None:
    masked = mask(message("c1", "Accept: application/sdp", f"Content-Type: {kind}", body=body))
    assert b"7" not in masked.partition(b"\r\n\r\n")[2]


def test_a_phone_that_merely_mentions_digits_keeps_its_session_description() -> None:
    whole = message(
        "c1", "Allow-Events: telephone-event", "Content-Type: application/sdp", body=b"v=0\r\nc=IN IP4 1\r\n"
    )
    assert mask(whole) == whole


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_masking_takes_anything(data: bytes) -> None:
    assert mask(mask(data)) == mask(data)


# ladders ------------------------------------------------------------------------------------------------------------
def test_messages_are_kept_by_the_call_ids_of_their_legs() -> None:
    ladders = Ladders(pack, clock=lambda: 1.0)
    invite = message("c1")
    ladders.received(parse_message(invite), FLOW, invite)
    ladder = ladders.begin("c1")
    ladders.add_leg(ladder, "c2")
    ladders.sent(message("c2"), FLOW)
    ladders.sent(message("strange"), FLOW)
    ladders.received(parse_message(message("c2")), FLOW, message("c2"))
    ladder.squeeze()
    found = [crossing for piece in ladder.packed for crossing in read_crossings(unpack(piece))]
    assert [(one.leg, one.is_sent, one.data) for one in found] == [
        ("a", False, invite),
        ("b1", True, message("c2")),
        ("b1", False, message("c2")),
    ]
    ladders.end(ladder)
    assert len(ladders) == 0


def test_a_new_call_with_the_call_id_of_an_old_one_is_recorded_by_itself() -> None:
    ladders = Ladders(pack)
    old, new = ladders.begin("c1"), ladders.begin("c1")
    ladders.end(old)
    ladders.sent(message("c1"), FLOW)
    assert (len(old), len(new)) == (0, 1)


def test_of_very_many_messages_the_first_and_the_last_are_kept() -> None:
    ladder = Ladders(pack).begin("c1")
    for number in range(1000):
        ladder.add(Crossing(float(number), True, "a", FLOW, b"x"))
    assert len(ladder) == FIRST_MESSAGES + LAST_MESSAGES
    assert ladder.dropped == 1000 - FIRST_MESSAGES - LAST_MESSAGES
    ladder.squeeze()
    assert [one.at for one in read_crossings(unpack(ladder.packed[0]))][-1] == pytest.approx(999 - ladder.began_at)


def test_a_ladder_has_the_address_that_the_peer_sees_not_that_of_a_socket_bound_to_all() -> None:
    ladders = Ladders(pack)
    ladders.seen_at = lambda flow: ("192.0.2.1", flow.local[1])
    ladder = ladders.begin("c1")
    ladder.add(Crossing(0.0, True, "a", Flow("udp", ("0.0.0.0", 5060), ("198.51.100.7", 5060)), b"x"))
    ladder.squeeze()
    (read,) = read_crossings(unpack(ladder.packed[0]))
    assert read.flow == Flow("udp", ("192.0.2.1", 5060), ("198.51.100.7", 5060))


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=200)), max_size=10))
def test_what_is_written_is_read_back(messages: list[tuple[bool, bytes]]) -> None:
    crossings = [Crossing(1.5, sent, "b1", FLOW, data) for sent, data in messages]
    read = list(read_crossings(unpack(pack(write_crossings(crossings, 1.0)))))
    assert read == [Crossing(0.5, sent, "b1", FLOW, mask(data)) for sent, data in messages]


def test_reasons_survive_storage_word_for_word() -> None:
    trace = Trace(clock=lambda: 5.0)
    trace.add("rate", "{price} since {since} {braces}", price=Decimal("0.10"), since=NOW.date(), braces="{x}")
    trace.add("end", "no data { at all")
    record = read_record(write_record(trace, None))
    assert [step.text for step in record.steps] == list(trace) == ["0.10 since 2026-11-22 {x}", "no data { at all"]


def test_a_long_call_squeezes_its_reasons_and_keeps_a_limited_number() -> None:
    trace = Trace(clock=lambda: 5.0)
    for number in range(60):
        trace.add("funds", "slice {slice}", slice=number)
    trace.squeeze()
    assert trace.steps == []
    assert list(trace) == [f"slice {number}" for number in range(60)]
    for number in range(60, 2000):
        trace.add("funds", "slice {slice}", slice=number)
    trace.add("end", "over")
    assert len(trace) + trace.dropped == 2001
    assert len(trace) <= MOST_PIECES * STEPS_AT_A_TIME + STEPS_AT_A_TIME
    assert list(trace)[-1] == "over"


@pytest.mark.asyncio
async def test_a_call_that_is_talked_on_costs_little_memory() -> None:
    now = [0.0]
    recorder = Recorder(TraceSettings(), Shelf(), clock=lambda: now[0], utc=lambda: NOW)
    trace, ladder = Trace(), recorder.begin("c1")
    trace.add("answer", "answered")
    recorder.ladders.sent(message("c1"), FLOW)
    recorder.answered(trace, ladder)
    await recorder._squeeze(SETTLED_SECONDS - 0.1)
    assert (len(trace.steps), len(ladder or "")) == (1, 1)
    await recorder._squeeze(SETTLED_SECONDS)
    assert (len(trace.steps), len(ladder or "")) == (0, 0)


# the recorder -------------------------------------------------------------------------------------------------------
class Shelf:
    """A store that takes records, or does not."""

    def __init__(self) -> None:
        self.taken: list[CallTrace] = []
        self.is_away = False

    async def write_traces(self, traces: Sequence[CallTrace]) -> None:
        """Take a batch."""
        if self.is_away:
            raise StoreUnavailable("away")
        self.taken += traces

    async def prune_traces(self, before: datetime, most: int) -> int:
        """Nothing is old."""
        return 0


def ended(number: int) -> Ended:
    """A call that is over."""
    return Ended(
        call_id=f"call{number}", account="101", caller="101", dialled="102", started_at=NOW, answered_at=None,
        ended_at=NOW, cause=16, status=487, ended_by="caller",
    )  # fmt: skip


@pytest.mark.asyncio
async def test_a_record_waits_for_the_last_messages_of_its_call() -> None:
    shelf, now = Shelf(), [100.0]
    recorder = Recorder(TraceSettings(), shelf, clock=lambda: now[0], utc=lambda: NOW)
    ladder = recorder.begin("c1")
    recorder.ended(ended(1), Trace(), ladder)
    await recorder._write(now[0] + LINGER_SECONDS - 0.1)
    assert shelf.taken == []
    recorder.ladders.sent(message("c1"), FLOW)
    await recorder._write(now[0] + LINGER_SECONDS)
    (taken,) = shelf.taken
    assert len(read_record(taken.body).crossings) == 1
    assert set(taken.keys) == {"101", "102", "c1"}
    assert len(recorder.ladders) == 0


@pytest.mark.asyncio
async def test_records_are_dropped_and_counted_while_the_store_is_away() -> None:
    shelf = Shelf()
    shelf.is_away = True
    recorder = Recorder(TraceSettings(), shelf, clock=lambda: 0.0, utc=lambda: NOW)
    recorder.ended(ended(1), Trace(), recorder.begin("c1"))
    await recorder.flush()
    assert (recorder.dropped, recorder.written, len(recorder.ladders)) == (1, 0, 0)


@pytest.mark.asyncio
async def test_more_calls_than_can_be_written_are_dropped_not_kept() -> None:
    recorder = Recorder(TraceSettings(), Shelf(), clock=lambda: 0.0, utc=lambda: NOW)
    for number in range(MOST_WAITING + 3):
        recorder.ended(ended(number), Trace(), recorder.begin(f"c{number}"))
    assert recorder.dropped == 3
    assert len(recorder.ladders) == MOST_WAITING


@pytest.mark.asyncio
async def test_nothing_is_kept_when_it_is_switched_off() -> None:
    shelf = Shelf()
    recorder = Recorder(TraceSettings(enabled=False), shelf, clock=lambda: 0.0, utc=lambda: NOW)
    assert recorder.begin("c1") is None
    recorder.ended(ended(1), Trace(), None)
    await recorder.flush()
    assert shelf.taken == []
    assert asyncio.all_tasks() == {asyncio.current_task()}
