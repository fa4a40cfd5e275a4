# SPDX-License-Identifier: Apache-2.0
"""The basic call: RFC 3261 sections 13 and 15, the 2xx and its ACK by RFC 6026."""

from __future__ import annotations

import pytest

from tests.sip.agents import Line


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_call_rings_is_answered_and_is_ended_by_the_caller(transport: str) -> None:
    line = Line(transport=transport)
    line.alice.calls()
    line.bob.rings()
    line.bob.answers()
    assert line.alice.is_talking
    assert line.bob.is_talking
    line.alice.hangs_up()
    assert line.ladder() == [
        "alice INVITE",
        "bob 180",
        "bob 200",
        "alice ACK",
        "alice BYE",
        "bob 200",
    ]  # fmt: skip
    line.alice.hears_all("Progressed 180", "Answered")
    line.bob.hears_all("Invited", "Acknowledged", "Ended bye")
    line.assert_over()


def test_the_callee_may_hang_up_too() -> None:
    line = Line()
    line.establish()
    line.bob.hangs_up()
    assert line.ladder() == ["bob BYE", "alice 200"]
    line.alice.hears_all("Ended bye")
    line.assert_over()
