# SPDX-License-Identifier: Apache-2.0
"""Streams: RFC 3261 section 18.3, RFC 5626 section 4.4.1."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from switch.sip.message.errors import ParseError
from switch.sip.message.framing import PING, StreamFramer
from switch.sip.message.validate import error_reply
from tests.sip.test_message import OPTIONS, options

BODY = options("Content-Length: 5", without="Content-Length") + b"\r\n\r\nx"
COMPACT = options("l :\t5", without="Content-Length") + b"hello"
FOLDED = options("Content-Length:", "  5 ", without="Content-Length") + b"hello"
TWICE = options("l: 5", "Content-Length: 5", without="Content-Length") + b"hello"
BROKEN = [
    options(without="Content-Length"),
    options("l: -1", without="Content-Length"),
    options("l: 1", "Content-Length: 2", without="Content-Length"),
    options("l: 70000", without="Content-Length"),
    options("l: 1x", without="Content-Length"),
]
PIECES = st.lists(
    st.sampled_from([OPTIONS, BODY, COMPACT, FOLDED, TWICE, b"\r\n", b"\r\n\r\n", b"\r", b"\n", b"junk", *BROKEN]),
    max_size=8,
)


def outcome(chunks: list[bytes]) -> tuple[list[bytes], str | None]:
    """What a framer makes of a stream cut in this way."""
    framer = StreamFramer()
    frames: list[bytes] = []
    for chunk in chunks:
        try:
            frames.extend(framer.feed(chunk))
        except ParseError as error:
            return frames, error.reason
    return frames, None


def frames_before_error(chunks: list[bytes]) -> tuple[list[bytes], str | None]:
    """As `outcome`, for chunks whose frames are taken one by one."""
    framer = StreamFramer()
    frames: list[bytes] = []
    for chunk in chunks:
        pieces = framer.feed(chunk)
        while True:
            try:
                frames.append(next(pieces))
            except StopIteration:
                break
            except ParseError as error:
                return frames, error.reason
    return frames, None


@given(PIECES, st.data())
@example([b"\r\n", b"\r", OPTIONS], None)
def test_how_a_stream_is_cut_changes_nothing(pieces: list[bytes], data: st.DataObject | None) -> None:
    stream = b"".join(pieces)
    whole = frames_before_error([stream])
    assert frames_before_error([stream[at : at + 1] for at in range(len(stream))]) == whole
    if data is not None and stream:
        cut = data.draw(st.integers(0, len(stream)))
        assert frames_before_error([stream[:cut], stream[cut:]]) == whole


def test_messages_come_out_whole_and_in_order() -> None:
    assert outcome([OPTIONS + BODY + COMPACT + FOLDED + TWICE]) == ([OPTIONS, BODY, COMPACT, FOLDED, TWICE], None)


def test_a_double_line_end_is_a_ping_and_a_single_one_nothing() -> None:
    assert outcome([b"\r\n\r\n"]) == ([PING], None)
    assert outcome([b"\r\n" + OPTIONS + b"\r\n\r\n\r\n" + OPTIONS]) == ([OPTIONS, PING, OPTIONS], None)
    assert outcome([b"\r\n", b"\r\n"]) == ([PING], None)


def test_tells_whether_a_message_is_incomplete() -> None:
    framer = StreamFramer()
    for data, incomplete in ((b"", False), (b"\r\n", False), (b"OPT", True), (OPTIONS[3:-1], True), (b"\n", False)):
        list(framer.feed(data))
        assert framer.is_incomplete is incomplete


@pytest.mark.parametrize("data", BROKEN)
def test_a_message_without_an_end_breaks_the_stream_and_is_answered(data: bytes) -> None:
    framer = StreamFramer()
    with pytest.raises(ParseError) as caught:
        list(framer.feed(data + OPTIONS))
    reply = error_reply(caught.value)
    assert reply is not None
    assert reply.status in (400, 513)
    assert list(framer.feed(OPTIONS)) == []
    assert not framer.is_incomplete


def test_what_comes_before_a_broken_message_comes_out() -> None:
    assert frames_before_error([OPTIONS + BROKEN[0]]) == ([OPTIONS], "missing Content-Length")


@pytest.mark.parametrize("size", [32_769, 40_000, 300_000])
def test_a_header_without_end_is_cut_off(size: int) -> None:
    framer = StreamFramer()
    with pytest.raises(ParseError) as caught:
        list(framer.feed(b"x" * size))
    assert caught.value.status == 513
    assert error_reply(caught.value) is None


def test_limits_are_exact() -> None:
    framer = StreamFramer(max_header_bytes=len(OPTIONS), max_message_bytes=len(OPTIONS))
    assert list(framer.feed(OPTIONS)) == [OPTIONS]
    with pytest.raises(ParseError):
        list(StreamFramer(max_header_bytes=len(OPTIONS) - 1).feed(OPTIONS))
    with pytest.raises(ParseError):
        list(StreamFramer(max_message_bytes=len(OPTIONS) - 1).feed(OPTIONS))


@pytest.mark.parametrize(
    "stream",
    [
        b"X" * 32_000,
        b"\r\n\r" * 10_000,
        b"\r\n" * 16_000,
        b"l:" * 16_000,
        b"\nl" + b" " * 32_000,
        b"l:\r\n " * 6_000,
        options("l: 30000", without="Content-Length") + b"\r\n\r\n" * 7_000,
    ],
)
def test_a_flood_in_single_bytes_costs_time_in_proportion(stream: bytes) -> None:
    framer = StreamFramer()
    started_at = process_time()
    for at in range(len(stream)):
        list(framer.feed(stream[at : at + 1]))
    assert process_time() - started_at < 2.0  # some 30 ms on a quiet machine; a quadratic search takes minutes
