# SPDX-License-Identifier: Apache-2.0
"""What the failures of branches mean for the caller."""

from __future__ import annotations

import pytest

from billing_client.rules.books import Gateway
from switch.calls.hunt import Hunt
from switch.routing.ways import Branch, Stage
from switch.sip.message.flow import Flow
from switch.sip.message.message import Response

FLOW = Flow("udp", ("192.0.2.9", 5060), ("192.0.2.1", 5060))


def response(status: int) -> Response:
    """A final response."""
    return Response(status, "", [])


def phones(count: int) -> Stage:
    """A stage of phones that ring together."""
    return Stage(tuple(Branch(f"sip:{number}", FLOW) for number in range(count)), 60.0)


def gateway(name: str) -> Stage:
    """A stage of one gateway."""
    return Stage((Branch("sip:x", FLOW, gateway=Gateway(1, name, "192.0.2.1", 5060, "udp")),), 180.0, 5.0)


@pytest.mark.parametrize(
    ("statuses", "status", "cause"),
    [
        ([486], 486, None),
        ([486, 480], 486, None),
        ([408, 486], 486, None),
        ([408, 408], 408, 18),
        ([503], 480, 27),
        ([302], 480, 31),
        ([407], 480, 31),
        ([404, 486], 404, None),
    ],
)
def test_the_answer_of_phones_that_failed(statuses: list[int], status: int, cause: int | None) -> None:
    hunt = Hunt([phones(len(statuses))])
    hunt.next_stage()
    assert [hunt.failed(response(one)) for one in statuses] == [False] * (len(statuses) - 1) + [True]
    assert not hunt.should_fail_over()
    result = hunt.result()
    assert (result.status, result.cause) == (status, cause)


def test_nobody_else_is_disturbed_after_a_decline_everywhere() -> None:
    hunt = Hunt([phones(3)])
    hunt.next_stage()
    assert hunt.failed(response(603))
    assert hunt.result().status == 603


@pytest.mark.parametrize(
    ("status", "phrase", "blocked"),
    [
        (603, "Decline", False),
        (603, "Network Blocked", True),
        (607, "Unwanted", True),
        (608, "Rejected", True),
        (486, "Busy Here", False),
    ],
)
def test_a_block_by_the_network_is_told_from_a_decline_and_no_other_gateway_is_asked(
    status: int, phrase: str, blocked: bool
) -> None:
    hunt = Hunt([gateway("a"), gateway("b")])
    hunt.next_stage()
    hunt.failed(Response(status, phrase, []))
    assert hunt.is_block() is blocked
    assert not hunt.should_fail_over()
    assert (hunt.result().status, hunt.result().text) == (status, phrase), "the caller hears it as it was said"


def test_the_statuses_after_which_another_carrier_is_asked_are_the_operators() -> None:
    hunt = Hunt([gateway("a"), gateway("b")], frozenset({404}))
    hunt.next_stage()
    hunt.failed(response(404))
    assert hunt.should_fail_over()
    hunt = Hunt([gateway("a"), gateway("b")], frozenset({404}))
    hunt.next_stage()
    hunt.failed(response(500))
    assert not hunt.should_fail_over()


@pytest.mark.parametrize(("status", "fails_over"), [(503, True), (408, True), (302, True), (486, False), (404, False)])
def test_only_what_says_nothing_of_the_callee_leads_to_the_next_gateway(status: int, fails_over: bool) -> None:
    hunt = Hunt([gateway("a"), gateway("b")])
    hunt.next_stage()
    assert hunt.failed(response(status))
    assert hunt.should_fail_over() is fails_over
    hunt.next_stage()
    hunt.failed(response(status))
    assert not hunt.should_fail_over()
