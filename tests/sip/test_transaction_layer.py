# SPDX-License-Identifier: Apache-2.0
"""The transaction layer: matching, CANCEL, merged requests, where responses go, bookkeeping."""

from __future__ import annotations

from typing import Any

import pytest

from switch.sip.message.flow import Flow
from switch.sip.message.message import Response
from switch.sip.transaction import Send, Timers
from tests.sip.harness import (
    ALICE,
    BOB,
    TCP,
    Script,
    make_request,
    received_request,
    received_response,
)

RFC2543 = "SIP/2.0/UDP 192.0.2.2:5060"


# what leaves --------------------------------------------------------------------------------------------------------
def test_a_request_leaves_with_our_via_and_a_fresh_branch() -> None:
    s = Script()
    s.send(make_request("OPTIONS"))
    s.send(make_request("OPTIONS", cseq=2))
    first, second = s.expect_wire("OPTIONS"), s.expect_wire("OPTIONS")
    assert first.all("Via") == ["SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-a1;rport"]
    assert second.via.branch != first.via.branch


def test_a_request_over_tcp_says_so_in_its_via() -> None:
    s = Script(TCP)
    s.send(make_request("OPTIONS"))
    assert s.expect_wire("OPTIONS").via.transport == "TCP"


def test_the_ack_to_a_2xx_leaves_with_a_branch_of_its_own_and_no_transaction() -> None:
    s = Script()
    invite = s.send(make_request())
    s.wire(received_response(invite.request, 200))
    s.effects.clear()
    s.tu(s.layer.send_ack(make_request("ACK", to_tag="b"), s.flow))
    ((_, effect),) = s.effects
    assert isinstance(effect, Send)
    assert effect.transaction is None
    assert s.expect_wire("ACK").via.branch != invite.request.via.branch
    s.advance(10)
    s.quiet()


# where responses go (18.2, RFC 3581) --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("via", "remote", "stamped", "answered"),
    [
        ("192.0.2.2:5060;branch=z9hG4bK1", BOB, {}, BOB),
        ("192.0.2.2;branch=z9hG4bK1", BOB, {}, BOB),
        ("192.0.2.2:5070;branch=z9hG4bK1", BOB, {}, ("192.0.2.2", 5070)),
        ("phone.lan;branch=z9hG4bK1", ("192.0.2.2", 40000), {"received": "192.0.2.2"}, ("192.0.2.2", 5060)),
        ("10.0.0.9:5062;branch=z9hG4bK1", BOB, {"received": "192.0.2.2"}, ("192.0.2.2", 5062)),
        (
            "10.0.0.9:5062;rport;branch=z9hG4bK1",
            ("192.0.2.2", 40000),
            {"received": "192.0.2.2", "rport": "40000"},
            ("192.0.2.2", 40000),
        ),
        ("192.0.2.2:5060;rport;branch=z9hG4bK1", BOB, {"received": "192.0.2.2", "rport": "5060"}, BOB),
        ("192.0.2.2:5060;rport=1;branch=z9hG4bK1", BOB, {"received": "192.0.2.2", "rport": "5060"}, BOB),
        ("192.0.2.2:5060;received=203.0.113.9;branch=z9hG4bK1", BOB, {}, BOB),
        ("192.0.2.2:5060;maddr=203.0.113.9;branch=z9hG4bK1", BOB, {}, BOB),
        ("[2001:db8::2]:5060;branch=z9hG4bK1", ("2001:db8::2", 5060), {}, ("2001:db8::2", 5060)),
        ("[2001:db8::3];rport;branch=z9hG4bK1", ("2001:db8::2", 5060), {"received": "2001:db8::2", "rport": "5060"},
         ("2001:db8::2", 5060)),
    ],
)  # fmt: skip
def test_the_via_says_whence_it_came_and_the_response_goes_where_it_says(
    via: str, remote: tuple[str, int], stamped: dict[str, str], answered: tuple[str, int]
) -> None:
    s = Script(Flow("udp", ALICE, remote))
    s.wire(received_request("OPTIONS", via="SIP/2.0/UDP " + via))
    options = s.expect_tu("OPTIONS").transaction
    params = options.request.via.params
    assert {name: params[name] for name in ("received", "rport") if name in params} == stamped
    s.respond(options, 200)
    ((_, effect),) = s.effects
    assert isinstance(effect, Send)
    assert effect.flow == Flow("udp", ALICE, answered)
    assert s.expect_wire("200").via.params == params


def test_over_tcp_the_response_goes_back_on_the_connection() -> None:
    flow = Flow("tcp", ALICE, ("192.0.2.2", 40000), 7)
    s = Script(flow)
    s.wire(received_request("OPTIONS", via="SIP/2.0/TCP 192.0.2.2:5060;branch=z9hG4bK1"))
    s.respond(s.expect_tu("OPTIONS").transaction, 200)
    (_, effect), _ = s.effects
    assert isinstance(effect, Send)
    assert effect.flow is flow


def test_the_other_vias_of_the_same_line_stay() -> None:
    s = Script()
    s.wire(received_request("OPTIONS", via="SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK2;rport, SIP/2.0/UDP a;branch=z9hG4bK1"))
    request = s.expect_tu("OPTIONS").request
    assert request.values("Via") == [
        "SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK2;rport=5060;received=192.0.2.2",
        "SIP/2.0/UDP a;branch=z9hG4bK1",
    ]


def test_a_stateless_reply_goes_the_same_way() -> None:
    s = Script()
    s.wire(received_request("OPTIONS", via="SIP/2.0/UDP 192.0.2.2:5070;branch=z9hG4bK1"))
    received = s.expect_tu("OPTIONS")
    assert received.transaction is not None
    (effect,) = s.layer.refuse(received.transaction, received.request.response(503))
    assert isinstance(effect, Send)
    assert effect.flow.remote == ("192.0.2.2", 5070)
    assert effect.transaction is None
    assert len(s.layer) == 0


# matching (17.1.3, 17.2.3) ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "via",
    [
        "SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK-other;rport",
        "SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK-b;rport",
        "SIP/2.0/UDP 192.0.2.2:5070;branch=z9hG4bK-b;rport",
    ],
)
def test_another_branch_or_sent_by_is_another_transaction(via: str) -> None:
    s = Script()
    s.wire(received_request("OPTIONS"))
    first = s.expect_tu("OPTIONS").transaction
    s.wire(received_request("OPTIONS", via=via, cseq=2))
    assert s.expect_tu("OPTIONS").transaction is not first


LEARNT = "SIP/2.0/UDP 203.0.113.9:40000;branch=z9hG4bK-b;rport"
"""The same transaction of a phone that has learnt its address meanwhile."""


@pytest.mark.parametrize(
    "via", [LEARNT, LEARNT.replace("203.0.113.9:40000", "phone.lan"), LEARNT.replace("UDP", "TCP")]
)
def test_a_phone_that_learns_its_address_can_still_cancel_acknowledge_and_repeat(via: str) -> None:
    """Case D3."""
    s = Script()
    s.wire(received_request())
    invite = s.expect_tu("INVITE").transaction
    s.respond(invite, 180)
    s.expect_wire("180")
    s.wire(received_request(via=via))
    s.expect_wire("180")  # repeated, and no 482
    s.wire(received_request("CANCEL", via=via))
    cancel = s.expect_tu("CANCEL")
    assert s.layer.cancel_target(cancel.request) is invite
    s.respond(cancel.transaction, 200)
    assert s.expect_wire("200").via.host == cancel.request.via.host
    s.respond(invite, 487)
    s.expect_wire("487")
    s.wire(received_request("ACK", via=via, to_tag="b"))
    s.advance(3)
    s.quiet()


@pytest.mark.parametrize("other", [{"call_id": "call-2"}, {"from_tag": "another"}, {"cseq": 2}, {"via": "cookie"}])
def test_who_does_not_know_the_call_cancels_nothing(other: dict[str, Any]) -> None:
    """Case D3: one phone never cancels another one's call, and another request of its own neither."""
    s = Script()
    s.wire(received_request())
    s.expect_tu("INVITE")
    if "via" in other:
        other = {"via": LEARNT.replace("z9hG4bK-b", "b")}
    s.wire(received_request("CANCEL", **{"via": LEARNT, **other}))
    assert s.layer.cancel_target(s.expect_tu("CANCEL").request) is None


def test_two_clients_with_one_branch_are_two_transactions() -> None:
    """Case D3: RFC 3261 17.2.3."""
    s = Script()
    for number in range(3):
        s.wire(received_request(via=LEARNT, call_id=f"call-{number}"))
        s.expect_tu("INVITE")


def test_a_response_that_cannot_be_sent_finds_its_transaction_whatever_the_via_says() -> None:
    s = Script()
    s.wire(received_request())
    invite = s.expect_tu("INVITE").transaction
    s.respond(invite, 486)
    sent = s.expect_wire("486")
    s.tu(s.layer.sending_failed(sent.to_bytes(), s.now))
    s.expect_tu("TransportFailed")


def test_the_case_of_the_host_does_not_matter() -> None:
    s = Script()
    s.wire(received_request("OPTIONS", via="SIP/2.0/UDP Phone.Example.com;branch=z9hG4bK-b"))
    s.expect_tu("OPTIONS")
    s.wire(received_request("OPTIONS", via="SIP/2.0/UDP phone.example.COM;branch=z9hG4bK-b"))
    s.quiet()


def test_another_method_with_the_same_branch_is_another_transaction() -> None:
    s = Script()
    s.wire(received_request("OPTIONS"))
    s.expect_tu("OPTIONS")
    s.wire(received_request("MESSAGE"))
    s.expect_tu("MESSAGE")


@pytest.mark.parametrize("via", [RFC2543, RFC2543 + ";branch=1"])
def test_requests_of_rfc_2543_match_as_a_whole(via: str) -> None:
    s = Script()
    s.wire(received_request(via=via))
    invite = s.expect_tu("INVITE").transaction
    s.wire(received_request(via=via))
    s.quiet()
    s.wire(received_request(via=via, cseq=2))
    assert s.expect_tu("INVITE").transaction is not invite
    s.wire(received_request(via=via, call_id="call-2"))
    s.expect_tu("INVITE")
    s.respond(invite, 486)
    s.expect_wire("486")
    s.wire(received_request("ACK", via=via, to_tag="b"))
    s.advance(4)
    s.expect_wire("100")
    s.expect_wire("100")
    s.quiet()
    assert s.layer.cancel_target(received_request("CANCEL", via=via)) is invite


def test_responses_match_by_branch_and_method_of_cseq() -> None:
    s = Script()
    invite = s.send(make_request())
    s.wire(received_response(invite.request, 180))
    transaction, effects = s.layer.cancel(invite, s.now)
    s.tu(effects)
    s.effects.clear()
    assert transaction is not None
    s.wire(received_response(transaction.request, 200))
    assert s.expect_tu("200").transaction is transaction
    other = received_response(invite.request, 200)
    other.set("CSeq", "1 OPTIONS")
    s.wire(other)
    assert s.expect_tu("200").transaction is None


def test_a_response_without_a_readable_cseq_is_ignored() -> None:
    s = Script()
    s.wire(Response(200, "OK", [("Via", "SIP/2.0/UDP a;branch=z9hG4bK-a1"), ("CSeq", "nonsense")]))
    s.quiet()
    assert s.layer.counters.ignored == 1


def test_a_response_with_the_vias_of_others_is_for_whoever_passed_the_request_on() -> None:
    s = Script()
    ours = s.send(make_request("MESSAGE"))
    passed_on = s.send(received_request("MESSAGE", call_id="call-2"))
    s.effects.clear()
    meant_for_others = received_response(ours.request, 200)
    meant_for_others.add("Via", "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK9")
    s.wire(meant_for_others)
    s.quiet()
    s.wire(received_response(passed_on.request, 200))
    assert s.expect_tu("200").transaction is passed_on


# CANCEL from the wire (9.2) -----------------------------------------------------------------------------------------
def test_a_cancel_finds_its_invite_and_is_a_transaction_of_its_own() -> None:
    s = Script()
    s.wire(received_request())
    invite = s.expect_tu("INVITE").transaction
    s.wire(received_request("CANCEL"))
    event = s.expect_tu("CANCEL")
    assert s.layer.cancel_target(event.request) is invite
    s.respond(event.transaction, 200)
    s.expect_wire("200")
    s.respond(invite, 487)
    s.expect_wire("487")
    s.wire(received_request("CANCEL"))
    s.expect_wire("200")
    s.quiet()


def test_a_cancel_of_nothing_and_one_of_a_non_invite_have_no_target() -> None:
    s = Script()
    s.wire(received_request("OPTIONS"))
    assert s.layer.cancel_target(received_request("CANCEL")) is None


def test_a_cancel_after_the_answer_still_has_its_target() -> None:
    s = Script()
    s.wire(received_request())
    invite = s.expect_tu("INVITE").transaction
    s.respond(invite, 200)
    assert s.layer.cancel_target(received_request("CANCEL")) is invite


# merged requests (8.2.2.2) ------------------------------------------------------------------------------------------
OTHER_WAY = "SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK-other-way;rport"


def test_a_request_that_comes_by_two_ways_is_answered_482_the_second_time() -> None:
    s = Script()
    s.wire(received_request())
    s.expect_tu("INVITE")
    s.wire(received_request(via=OTHER_WAY))
    merged = s.expect_wire("482")
    assert merged.to_tag
    assert merged.via.branch == "z9hG4bK-other-way"
    s.wire(received_request("ACK", via=OTHER_WAY, to_tag=merged.to_tag))
    s.expect_tu("ACK")  # of no transaction: the user agent knows no such dialog
    s.advance(0.3)
    s.expect_wire("100")
    s.advance(60)
    s.quiet()
    assert s.layer.counters.merged == 1
    assert len(s.layer) == 1, "the first"


def test_a_merged_request_is_recognised_while_the_answer_may_still_be_retransmitted() -> None:
    s = Script()
    s.wire(received_request("MESSAGE"))
    s.respond(s.expect_tu("MESSAGE").transaction, 200)
    s.expect_wire("200")
    s.wire(received_request("MESSAGE", via=OTHER_WAY))
    s.expect_wire("482")
    s.advance(40)
    s.effects.clear()
    s.wire(received_request("MESSAGE", via=OTHER_WAY))
    s.expect_tu("MESSAGE")


@pytest.mark.parametrize("other", [{"cseq": 2}, {"from_tag": "z"}, {"call_id": "call-2"}, {"to_tag": "b"}])
def test_what_differs_is_not_merged(other: dict[str, Any]) -> None:
    s = Script()
    s.wire(received_request())
    s.expect_tu("INVITE")
    s.wire(received_request(via=OTHER_WAY, **other))
    s.expect_tu("INVITE")


def test_requests_inside_a_dialog_and_cancels_are_never_merged() -> None:
    s = Script()
    s.wire(received_request("INFO", to_tag="b"))
    s.expect_tu("INFO")
    s.wire(received_request("INFO", to_tag="b", via=OTHER_WAY))
    s.expect_tu("INFO")
    s.wire(received_request("CANCEL"))
    s.expect_tu("CANCEL")
    s.wire(received_request("CANCEL", via=OTHER_WAY))
    s.expect_tu("CANCEL")


# failures of the transport ------------------------------------------------------------------------------------------
def lose(s: Script) -> None:
    """The transport reports the last message as undeliverable."""
    sent = [effect for _, effect in s.effects if isinstance(effect, Send)]
    s.effects.clear()
    s.tu(s.layer.sending_failed(sent[-1].data, s.now))


def test_a_request_that_could_not_be_sent_ends_its_transaction() -> None:
    s = Script(TCP)
    options = s.send(make_request("OPTIONS"))
    data = options.request.to_bytes()
    lose(s)
    assert s.expect_tu("TransportFailed").transaction is options
    s.expect_tu("Ended")
    s.tu(s.layer.sending_failed(data, s.now))
    s.quiet()


def test_a_response_that_could_not_be_sent_is_reported() -> None:
    s = Script()
    s.wire(received_request())
    server = s.expect_tu("INVITE").transaction
    s.respond(server, 180)
    lose(s)
    assert s.expect_tu("TransportFailed").transaction is server
    s.quiet()


def test_an_ack_to_a_failure_that_could_not_be_sent_ends_its_invite() -> None:
    s = Script()
    client = s.send(make_request())
    s.wire(received_response(client.request, 404))
    lose(s)
    assert s.expect_tu("TransportFailed").transaction is client


# bookkeeping --------------------------------------------------------------------------------------------------------
def test_dump_shows_the_live_transactions() -> None:
    s = Script()
    s.send(make_request("OPTIONS"))
    s.wire(received_request())
    kinds = [(entry["kind"], entry["state"]) for entry in s.layer.dump()]
    assert kinds == [("NonInviteClientTransaction", "Trying"), ("InviteServerTransaction", "Proceeding")]


def test_the_next_deadline_is_the_earliest_of_all_transactions() -> None:
    assert Script().layer.next_deadline is None
    s = Script()
    s.send(make_request("OPTIONS"))
    assert s.layer.next_deadline == 0.5
    s.advance(0.1)
    s.wire(received_request())
    assert s.layer.next_deadline == pytest.approx(0.3)


def test_a_late_clock_fires_once_and_does_not_catch_up() -> None:
    s = Script()
    s.send(make_request("OPTIONS"))
    s.effects.clear()
    s.now = 10.0
    s.tu(s.layer.handle_timer(s.now))
    s.expect_wire("OPTIONS")
    s.quiet()
    assert s.layer.next_deadline == 11.0


def test_a_very_late_clock_ends_the_transaction_without_sending_again() -> None:
    s = Script()
    s.send(make_request("OPTIONS"))
    s.effects.clear()
    s.now = 40.0
    s.tu(s.layer.handle_timer(s.now))
    s.expect_tu("TimedOut")
    s.expect_tu("Ended")
    s.quiet()


def test_nothing_remains_of_transactions_that_are_over() -> None:
    s = Script(TCP)
    for number in range(1000):
        options = s.send(make_request("OPTIONS", cseq=number + 1))
        s.wire(received_response(options.request, 200))
        s.wire(received_request("MESSAGE", call_id=f"call-{number}", via=f"SIP/2.0/TCP b;branch=z9hG4bK{number}"))
        s.effects.clear()
        (message,) = list(s.layer._servers.values())
        s.respond(message, 200)
    assert len(s.layer) == 0
    assert not s.layer._ongoing
    assert len(s.layer._deadlines._heap) < 200


def test_a_user_may_hang_its_own_object_on_a_transaction() -> None:
    s = Script()
    s.wire(received_request())
    invite = s.expect_tu("INVITE").transaction
    invite.user = s
    target = s.layer.cancel_target(received_request("CANCEL"))
    assert target is not None
    assert target.user is s


def test_timers_refuse_values_without_sense() -> None:
    assert Timers(t1=0.1).timeout_seconds == pytest.approx(6.4)
    for values in ({"t1": 0.0}, {"t1": 5.0}, {"t4": -1.0}, {"d": -1.0}, {"trying_seconds": -1.0}):
        with pytest.raises(ValueError):
            Timers(**values)
