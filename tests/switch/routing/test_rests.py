# SPDX-License-Identifier: Apache-2.0
"""What a carrier says of itself, and for how long it counts. Case J5 and its neighbours."""

from __future__ import annotations

import pytest

from switch.routing.carriers.rests import Rests
from switch.sip.message.flow import Hop
from switch.sip.message.message import Response

EAST, WEST = Hop("udp", "192.0.2.1", 5060), Hop("udp", "192.0.2.2", 5060)


def failed(
    rests: Rests, status: int, after: str | None = None, *, local: bool = False, hop: Hop = EAST
) -> float | None:
    """How long an address rests that fails at 1000 s; None: not at all."""
    response = Response(status, "", [] if after is None else [("Retry-After", after)])
    rest = rests.failed("carrier", hop, response, 1000.0, local=local)
    return None if rest is None else rest.until - 1000.0


@pytest.mark.parametrize(
    ("status", "after", "seconds"),
    [
        (503, "60", 60.0),
        (503, " 120 (I'm in a meeting);duration=3600", 120.0),
        (503, "18000;duration=3600", 3600.0),
        (503, "99999999999999999999", 10.0),
        (503, None, 10.0),
        (503, "soon", 10.0),
        (503, "-1", 10.0),
        (503, "٦٠", 10.0),
        (503, "", 10.0),
        (503, "0", None),
        *((status, "60", None) for status in (302, 401, 404, 407, 408, 480, 486, 500, 502, 504, 513, 600, 603)),
    ],
)
def test_only_what_is_about_the_carrier_itself_counts(status: int, after: str | None, seconds: float | None) -> None:
    assert failed(Rests(), status, after) == seconds


@pytest.mark.parametrize(("status", "seconds"), [(408, 30.0), (503, 30.0), (487, None)])
def test_who_gives_no_sign_of_life_rests_for_half_a_minute(status: int, seconds: float | None) -> None:
    assert failed(Rests(), status, local=True) == seconds


def test_each_address_of_a_name_rests_for_itself_and_no_longer_than_it_said() -> None:
    rests = Rests()
    failed(rests, 503, "60")
    assert rests.at(EAST, 1059.9) is not None
    assert rests.at(WEST, 1000.0) is None
    assert rests.at(EAST, 1060.0) is None
    assert [rest.address for rest in rests.of("carrier", 1059.9)] == ["192.0.2.1:5060"]
    assert rests.of("another", 1059.9) == []
    assert rests.all(1060.0) == []


@pytest.mark.parametrize("status", [486, 500])
def test_any_other_answer_ends_the_rest(status: int) -> None:
    rests = Rests()
    failed(rests, 503, "60")
    failed(rests, status)
    assert rests.at(EAST, 1001.0) is None
    failed(rests, 503, "60")
    rests.lives(EAST)
    assert rests.all(1001.0) == []


def test_the_memory_is_bounded() -> None:
    rests = Rests()
    for number in range(10_050):
        failed(rests, 503, hop=Hop("udp", "192.0.2.1", number))
    assert len(rests.all(1001.0)) <= 10_000
