# SPDX-License-Identifier: Apache-2.0
"""Calls of the relay and sessions of the media server go with their last use: the collector never comes by there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from media.sound.codec import G722, PCMA, PCMU
from media.sound.sound import Sound
from media.sound.tone import tone
from tests.growth import Growth
from tests.media.phones import audio

if TYPE_CHECKING:
    from tests.media.phones import Desk, Phone

CALLS = 100


def call(desk: Desk, caller: Phone, callee: Phone) -> None:
    """A call in which both are heard, with keys and sound kept back meanwhile, and something played at its end."""
    desk.connect(caller, callee)
    for phone in (caller, callee):
        phone.send(3)
        phone.send_rtcp()
        desk.flow()
    desk.ask("block media", call_id="call", from_tag="a")
    desk.ask("unblock media", call_id="call", from_tag="a")
    desk.signal("offer", audio(caller), to_tag="b")
    desk.signal("answer", audio(callee), to_tag="b")
    desk.ask("delete", call_id="call", from_tag="a")
    desk.now += 60  # cookies are kept for a while, ports rest
    desk.advance(1)


def test_a_relayed_call_leaves_nothing(desk: Desk, caller: Phone, callee: Phone) -> None:
    growth = Growth()
    with growth.uncollected():
        for _ in range(20):
            call(desk, caller, callee)
        growth.begin()
        for _ in range(CALLS):
            call(desk, caller, callee)
        assert growth.by_kind(CALLS) == {}


def test_calls_that_are_refused_leave_nothing(desk: Desk, caller: Phone) -> None:
    growth = Growth()
    with growth.uncollected():
        for round_ in range(2):
            for _ in range(CALLS):
                desk.ask("offer", call_id="call", from_tag="a", sdp=audio(caller))
                desk.ask("answer", call_id="call", from_tag="x", to_tag="y", sdp=audio(caller))
                desk.ask("delete", call_id="call", from_tag="a")
                desk.advance(25)
            if not round_:
                growth.begin()
        assert growth.by_kind(CALLS) == {}


def test_a_sound_that_was_played_leaves_nothing() -> None:
    """A voicemail message is read for one caller; its samples go with the last who plays it."""
    samples = np.array(tone(440, 0.1), dtype=np.int16)
    growth = Growth()
    with growth.uncollected():
        for round_ in range(2):
            for _ in range(CALLS):
                sound = Sound.from_samples(samples, 8000)
                assert all(sound.frames(codec) for codec in (PCMU, PCMA, G722))
            del sound
            if not round_:
                growth.begin()
        assert growth.by_kind(CALLS) == {}
