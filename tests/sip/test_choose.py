# SPDX-License-Identifier: Apache-2.0
"""The best response of a fork (RFC 3261 section 16.7 steps 6 and 7)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.sip.choose import best_response
from switch.sip.message.message import Response


def make(status: int, *headers: tuple[str, str]) -> Response:
    """A response with only what the choice looks at."""
    return Response(status, "", list(headers))


@pytest.mark.parametrize(
    ("statuses", "chosen"),
    [
        ([404], 404),
        ([486, 404], 486),
        ([503, 486], 486),
        ([486, 302], 302),
        ([404, 603, 302], 603),
        ([603, 600], 603),
        ([603, 200], 200),
        ([408, 480], 480),
        ([487, 408, 486], 486),
        ([486, 401], 401),
        ([486, 484], 484),
        ([415, 420], 415),
        ([503, 500], 500),
        ([503, 503], 503),
        ([408, 503], 408),
    ],
)
def test_the_choice(statuses: list[int], chosen: int) -> None:
    assert best_response([make(status) for status in statuses]).status == chosen


def test_a_challenge_carries_all_challenges_and_the_originals_stay_as_they_are() -> None:
    first = make(407, ("Proxy-Authenticate", 'Digest realm="a"'))
    second = make(401, ("WWW-Authenticate", 'Digest realm="b"'), ("WWW-Authenticate", 'Digest realm="c"'))
    other = make(404, ("WWW-Authenticate", 'Digest realm="not a challenge"'))
    chosen = best_response([first, other, second])
    assert chosen.status == 407
    assert chosen.headers == [*first.headers, *second.headers]
    assert len(first.headers) == 1


def test_a_lone_challenge_is_not_copied() -> None:
    challenge = make(401, ("WWW-Authenticate", 'Digest realm="a"'))
    assert best_response([make(404), challenge]) is challenge


def test_there_is_no_choice_without_responses() -> None:
    with pytest.raises(ValueError):
        best_response([])


@given(st.lists(st.integers(200, 699), min_size=1, max_size=8))
def test_a_2xx_wins_then_a_6xx_then_the_lowest_class(statuses: list[int]) -> None:
    chosen = best_response([make(status) for status in statuses]).status // 100
    classes = {status // 100 for status in statuses}
    expected = 2 if 2 in classes else 6 if 6 in classes else min(classes)
    assert chosen == expected
