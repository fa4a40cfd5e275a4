# SPDX-License-Identifier: Apache-2.0
"""What the switch remembers of callers, sources and names is bounded in number, and in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from switch.access import guesses, lately, pace, unheard
from switch.access.emergency import EmergencyCalls
from switch.access.guesses import Guesses
from switch.access.lately import Lately
from switch.access.occupancy import Occupancy
from switch.access.pace import Pace
from switch.access.unheard import Unheard
from switch.settings import Limits, MessageSettings
from switch.sip.mark import Chain, Marks
from switch.sip.message.flow import Flow
from switch.sip.message.message import Request

if TYPE_CHECKING:
    import pytest

SECRET = b"what the switch and the media server share"


def invite(number: int = 0, agent: str = "phone") -> Request:
    lines = [
        ("Via", f"SIP/2.0/UDP 192.0.2.1:{1024 + number};branch=z9hG4bK{number}"),
        ("From", "<sip:101@192.0.2.1>;tag=a"),
        ("To", "<sip:102@192.0.2.1>"),
        ("Call-ID", f"call-{number}"),
        ("CSeq", "1 INVITE"),
        ("User-Agent", agent),
    ]
    return Request("INVITE", "sip:102@192.0.2.1", lines, b"")


def test_what_happened_lately_is_kept_of_so_many_names_and_for_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lately, "MOST_NAMES", 100)
    memory = Lately(2, 60.0)
    for number in range(1000):
        memory.happened([f"name {number}"], 0.0)
    assert len(memory) == 100
    memory.happened(["name 999"], 1.0)
    assert memory.is_full("name 999", 59.0)
    assert not memory.is_full("name 999", 60.0)
    memory.happened(["another"], 61.0)
    assert len(memory) == 1


def test_emergency_calls_that_ended_are_not_held() -> None:
    calls = EmergencyCalls()
    for number in range(1000):
        assert calls.begin(f"call {number}", ["101"], 0.0) is None
        calls.ended(f"call {number}")
    assert calls.begin("one", ["101"], 0.0) is None


def test_messages_are_counted_of_so_many_in_a_period(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "MOST_COUNTED", 100)
    now = 0.0
    counts = Pace(lambda: MessageSettings(from_one=1, per_seconds=60.0), lambda: now)
    for number in range(1000):
        assert counts.wait([number]) is None
    assert len(counts) == 100
    assert counts.wait([999]) is not None
    now = 60.0
    assert counts.wait([999]) is None
    assert len(counts) == 1


def test_callers_without_a_password_are_remembered_by_a_few_short_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unheard, "_MOST_HOSTS", 10)
    memory = Unheard()
    for number in range(100):
        flow = Flow("udp", ("192.0.2.1", 5060), (f"198.51.100.{number}", 5060))
        for sender in range(20):
            memory.acknowledged(invite(sender, "x" * 10_000), flow)
    assert len(memory) == 10
    assert memory.senders <= 10 * 8


def test_addresses_that_know_a_password_are_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Guesses()
    for number in range(100):
        known.succeeded("101", f"198.51.100.{number}", float(number))
    known.succeeded("101", "198.51.100.0", 200.0)  # again: it is the last to go
    assert known.known == 100
    known.succeeded("102", "203.0.113.1", guesses._KNOWN_SECONDS + 150.0)
    assert known.known == 2
    monkeypatch.setattr(guesses, "_MAX_KNOWN", 5)
    for number in range(100):
        known.succeeded(str(number), "203.0.113.1", guesses._KNOWN_SECONDS + 151.0)
    assert known.known == 5


def test_applications_are_counted_while_their_calls_last() -> None:
    occupancy = Occupancy()
    for number in range(1000):
        assert occupancy.enter(str(number), Chain(0, "account:101", "192.0.2.1"), "app", Limits()) is None
        occupancy.leave(str(number))
    assert occupancy.total == len(occupancy) == 0


def test_marks_are_remembered_as_long_as_they_could_be_shown_again() -> None:
    now = 1000.0
    switch, media = (Marks(SECRET, side, wall=lambda: now, clock=lambda: now) for side in ("switch", "media"))
    for number in range(1000):
        request = invite(number)
        switch.put(request, Chain(1, "account:101"))
        assert media.take(request) is not None
        now += 1.0
    assert len(media) <= 62
