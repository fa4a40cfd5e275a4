# SPDX-License-Identifier: Apache-2.0
"""The mark between switch and media server: what it vouches for, and for how long. Cases A4, L2, L11."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.sip.mark import HEADER, WINDOW_SECONDS, Chain, Marks
from switch.sip.message.message import Request
from switch.sip.message.parsing import parse_message

SECRET = b"thirty-two octets, or so it seems"
CHAIN = Chain(1, "number:+420;odd=x%", "2001:db8::7%eth0")


class Clock:
    """A wall clock and a monotonic one, which a step of the first leaves alone."""

    def __init__(self) -> None:
        self.wall = 1_800_000_000.0
        self.monotonic = 5_000.0

    def marks(self, side: str, secret: bytes = SECRET) -> Marks:
        """One side, which has just begun."""
        return Marks(secret, side, wall=lambda: self.wall, clock=lambda: self.monotonic)  # type: ignore[arg-type]

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.wall += seconds
        self.monotonic += seconds


def invite(**changes: str) -> Request:
    """An INVITE of the switch."""
    lines = {
        "Max-Forwards": "70",
        "From": '"Žofie \\"Z\\"" <sip:101@example.com>;tag=1',
        "To": "<sip:*98@example.com>",
        "Call-ID": "abc",
        "CSeq": "1 INVITE",
        "P-Asserted-Identity": "<sip:101@example.com>",
        "P-Served-User": "<sip:101@example.com>;sescase=orig",
        "Content-Type": "application/sdp",
        **changes,
    }
    return Request("INVITE", "sip:voicemail-access@127.0.0.1:5080;target=101", list(lines.items()), b"v=0\r\n")


def sent(request: Request) -> Request:
    """As it arrives."""
    request.headers.insert(0, ("Via", "SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1"))
    found = parse_message(request.to_bytes())
    assert isinstance(found, Request)
    return found


def marked(clock: Clock, **changes: str) -> tuple[Marks, Request]:
    """The media server, and what the switch sent it."""
    media, switch = clock.marks("media"), clock.marks("switch")
    request = invite(**changes)
    switch.put(request, CHAIN)
    return media, request


def test_a_mark_tells_who_began_the_call_and_counts_once() -> None:
    media, request = marked(Clock())
    arrived = sent(request)
    assert media.read(arrived) == CHAIN
    assert media.take(arrived) == CHAIN
    assert media.take(arrived) is None


@pytest.mark.parametrize(
    "change",
    [
        ("P-Served-User", "<sip:102@example.com>;sescase=orig"),
        ("P-Asserted-Identity", "<sip:102@example.com>"),
        ("From", "<sip:102@example.com>;tag=1"),
        ("To", "<sip:*97@example.com>"),
        ("Call-ID", "another"),
        ("Diversion", "<sip:102@example.com>;reason=no-answer"),
        ("History-Info", "<sip:102@example.com>;index=1"),
    ],
    ids=lambda change: change[0],
)
def test_whoever_changes_a_field_that_is_believed_has_no_mark(change: tuple[str, str]) -> None:
    media, request = marked(Clock())
    request.add(*change) if request.get(change[0]) is None else request.set(*change)
    assert media.read(sent(request)) is None


@pytest.mark.parametrize("name", ["P-Served-User", "p-served-user", "P-SERVED-USER", "privacy", "DIVERSION"])
def test_a_second_line_of_a_field_that_is_believed_breaks_the_mark(name: str) -> None:
    media, request = marked(Clock())
    line = b"\r\n%s: <sip:102@example.com>;tag=2\r\nMax-Forwards:" % name.encode()
    request.headers.insert(0, ("Via", "SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1"))
    arrived = parse_message(request.to_bytes().replace(b"\r\nMax-Forwards:", line, 1))
    assert isinstance(arrived, Request)
    assert media.read(arrived) is None


def test_another_mailbox_method_body_or_chain_has_no_mark() -> None:
    media, request = marked(Clock())
    arrived = sent(request)
    other = Request("INVITE", arrived.uri_text.replace("101", "102"), arrived.headers, arrived.body)
    assert media.read(other) is None
    assert media.read(Request("MESSAGE", arrived.uri_text, arrived.headers, arrived.body)) is None
    assert media.read(Request("INVITE", arrived.uri_text, arrived.headers, b"v=1\r\n")) is None
    arrived.set(HEADER, (arrived.get(HEADER) or "").replace("depth=1", "depth=0"))
    assert media.read(arrived) is None


def test_two_marks_none_and_nonsense_are_no_mark() -> None:
    media, request = marked(Clock())
    value = request.get(HEADER) or ""
    request.add(HEADER, value)
    assert media.read(sent(request)) is None
    for nonsense in (
        "",
        "mac=",
        ";mac=",
        "v=1",
        "v=1;at=x;mac=é",
        "v=1;at=²;depth=1;by=;from=;mac=" + "0" * 64,
        "x" * 5000,
    ):
        plain = invite()
        plain.add(HEADER, nonsense)
        assert media.read(plain) is None
    assert media.read(invite()) is None


def test_nobody_without_the_secret_makes_a_mark_and_no_side_takes_its_own() -> None:
    clock = Clock()
    request = invite()
    clock.marks("switch", b"another secret of the same length").put(request, CHAIN)
    assert clock.marks("media").read(request) is None
    own = invite()
    clock.marks("media").put(own, CHAIN)
    assert clock.marks("media").read(own) is None  # what the media server sent is not sent back to it
    with pytest.raises(ValueError, match="secret"):
        clock.marks("switch", b"")


def test_an_old_mark_one_of_the_future_and_one_of_an_earlier_life_are_none() -> None:
    clock = Clock()
    media, request = marked(clock)
    clock.wait(WINDOW_SECONDS + 0.1)
    assert media.read(request) is None
    clock.wait(-2 * WINDOW_SECONDS - 0.2)
    assert media.read(request) is None
    clock = Clock()
    _, request = marked(clock)
    clock.wait(1.0)
    assert clock.marks("media").read(request) is None  # it has just begun, and does not know what was taken before


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_step_of_the_wall_clock_stops_no_call(step: float) -> None:
    clock = Clock()
    media, switch = clock.marks("media"), clock.marks("switch")
    clock.wait(5)
    clock.wall += step
    request = invite()
    switch.put(request, CHAIN)
    clock.wait(0.01)
    assert media.take(request) == CHAIN


def test_clocks_that_differ_by_less_than_the_window_do_no_harm() -> None:
    clock = Clock()
    media, switch = clock.marks("media"), clock.marks("switch")
    clock.wait(3600)
    for skew in (-WINDOW_SECONDS + 1, WINDOW_SECONDS - 1):
        request = invite(**{"Call-ID": str(skew)})
        clock.wall += skew
        switch.put(request, CHAIN)
        clock.wall -= skew
        assert media.take(request) == CHAIN
        clock.wait(2 * WINDOW_SECONDS - 2)
        assert media.take(request) is None


NAMES = st.text(st.characters(exclude_characters='\r\n\0"\\', exclude_categories=["Cs", "Cc"]), max_size=20)


@given(display=NAMES, by=st.text(max_size=20))
def test_what_is_marked_arrives_marked_whatever_it_says(display: str, by: str) -> None:
    clock = Clock()
    media, switch = clock.marks("media"), clock.marks("switch")
    request = invite(From=f'"{display}" <sip:101@example.com>;tag=1')
    chain = Chain(2, by, by)
    switch.put(request, chain)
    assert media.take(sent(request)) == chain
