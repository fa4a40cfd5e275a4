# SPDX-License-Identifier: Apache-2.0
"""Dialogs: RFC 3261 section 12, and where their requests go behind NAT and over TCP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from switch.sip.dialog import Dialog
from switch.sip.message.errors import ParseError
from switch.sip.message.flow import Flow
from switch.sip.message.message import Request
from switch.sip.message.uri import Uri
from switch.sip.transaction import stamp_via
from switch.sip.ways import ANYWHERE, literal_flow
from tests.sip.agents import OFFER, Line, Solo
from tests.sip.harness import TCP, UDP, make_request, received_request, received_response

if TYPE_CHECKING:
    from switch.sip.session import Session

US = ("198.51.100.1", 5060)


def udp(host: str, port: int = 5060) -> Flow:
    return Flow("udp", US, (host, port))


def server_dialog(
    *, contact: str = "<sip:bob@198.51.100.7>", via: str = "198.51.100.7", flow: Flow | None = None, **more: object
) -> Dialog:
    """The dialog of an INVITE that arrived over `flow`."""
    headers = list(more.pop("headers", ()))  # type: ignore[call-overload]
    request = received_request("INVITE", via=f"SIP/2.0/UDP {via};branch=z9hG4bK-x", headers=headers)
    request.set("Contact", contact)
    flow = flow or udp("198.51.100.7")
    if "rport" in via:
        request.set("Via", f"SIP/2.0/UDP {via};branch=z9hG4bK-x")
    stamp_via(request, flow)
    return Dialog.of_server(request, "us", flow)


# numbers and names ----------------------------------------------------------------------------------------------
def test_a_request_in_a_dialog_has_its_names_and_the_next_number() -> None:
    dialog = server_dialog()
    first, second = dialog.request("INFO"), dialog.request("BYE")
    assert (first.cseq, second.cseq) == (1, 2)
    assert first.call_id == "call-1"
    assert first.get("From") == "<sip:bob@example.com>;tag=us"
    assert first.get("To") == "<sip:alice@example.com>;tag=a"
    assert first.uri_text == "sip:bob@198.51.100.7"
    assert first.max_forwards == 70


def test_both_sides_see_the_same_dialog_from_their_ends() -> None:
    line = Line()
    line.establish()
    caller, callee = line.alice.dialog.dialog, line.bob.dialog.dialog
    assert caller.id == (callee.call_id, callee.remote_tag, callee.local_tag)
    assert (caller.local, caller.remote) == (callee.remote, callee.local)


def test_an_older_number_of_the_peer_is_out_of_order() -> None:
    dialog = server_dialog()
    assert dialog.remote_cseq == 1
    assert dialog.accepts_cseq(received_request("INFO", cseq=5))
    assert not dialog.accepts_cseq(received_request("INFO", cseq=4))
    assert dialog.accepts_cseq(received_request("INFO", cseq=6))


def test_the_first_number_of_a_callee_may_be_any() -> None:
    dialog = Dialog.of_client(make_request(), received_response(received_request(), 180), UDP, natted=False)
    assert dialog.remote_cseq is None
    assert dialog.accepts_cseq(received_request("INFO", cseq=0))


@pytest.mark.parametrize("sender", ["<sip:alice@example.com>", "<sip:alice@example.com>;tag="])
def test_a_peer_without_a_tag_makes_no_dialog(sender: str) -> None:
    # RFC 2543 did not demand tags; what we sent in such a dialog would have none in To, and open a call elsewhere
    request = received_request()
    request.set("From", sender)
    with pytest.raises(ParseError, match="From tag"):
        Dialog.of_server(request, "us", UDP)


# the route set --------------------------------------------------------------------------------------------------
def test_the_callee_takes_the_record_route_as_it_came_and_the_caller_in_reverse() -> None:
    routes = [("Record-Route", "<sip:p2;lr>, <sip:p1;lr>"), ("Record-Route", "<sip:p0;lr>")]
    callee = server_dialog(headers=routes)
    assert callee.route_set == ["<sip:p2;lr>", "<sip:p1;lr>", "<sip:p0;lr>"]
    response = received_response(received_request(), 180, headers=routes)
    caller = Dialog.of_client(make_request(), response, UDP, natted=False)
    assert caller.route_set == ["<sip:p0;lr>", "<sip:p1;lr>", "<sip:p2;lr>"]
    assert caller.request("BYE").all("Route") == ["<sip:p0;lr>", "<sip:p1;lr>", "<sip:p2;lr>"]


def test_a_strict_router_gets_itself_as_request_uri_and_the_target_as_last_route() -> None:
    headers = [("Record-Route", "<sip:strict.example.com;x=y>"), ("Record-Route", "<sip:p0;lr>")]
    request = server_dialog(headers=headers).request("BYE")
    assert request.uri_text == "sip:strict.example.com;x=y"
    assert request.all("Route") == ["<sip:p0;lr>", "<sip:bob@198.51.100.7>"]


def test_the_2xx_replaces_the_route_set_of_the_early_dialog_and_a_re_invite_does_not() -> None:
    alice = Solo()
    call = alice.calls()
    invite = alice.sends("INVITE")
    early = [("Contact", "<sip:bob@192.0.2.2>"), ("Record-Route", "<sip:192.0.2.50;lr>")]
    alice.arrives(received_response(invite, 180, headers=early))
    session = alice.hears("Progressed 180").session
    assert session.dialog.next_flow().remote == ("192.0.2.50", 5060)
    later = [("Contact", "<sip:bob@192.0.2.3>"), ("Record-Route", "<sip:192.0.2.60;lr>")]
    alice.arrives(received_response(invite, 200, headers=later))
    alice.hears("Answered")
    alice.does(session.ack(call.request, alice.now))
    ack = alice.sends("ACK")
    assert ack.all("Route") == ["<sip:192.0.2.60;lr>"]
    assert ack.uri_text == "sip:bob@192.0.2.3"
    assert alice.sent_to.remote == ("192.0.2.60", 5060)
    alice.does(session.send("INVITE", alice.now))
    other = [("Contact", "<sip:bob@192.0.2.4>"), ("Record-Route", "<sip:192.0.2.70;lr>")]
    alice.arrives(received_response(alice.sends("INVITE"), 200, headers=other))
    assert session.dialog.route_set == ["<sip:192.0.2.60;lr>"]
    assert session.dialog.remote_target == "sip:bob@192.0.2.4"


@pytest.mark.parametrize("contact", ["", "<sip:>", "<not a uri>", "*", '"x'])
def test_a_2xx_with_an_unusable_contact_is_acknowledged_all_the_same(contact: str) -> None:
    alice = Solo()
    call = alice.calls()
    invite = alice.sends("INVITE")
    headers = [("Contact", contact), ("Record-Route", "garbage,,<")] if contact else []
    alice.arrives(invite.response(200, to_tag="b", headers=headers))
    answered = alice.hears("Answered")
    alice.does(answered.session.ack(call.request, alice.now))
    ack = alice.sends("ACK")
    assert ack.uri_text == invite.uri_text
    assert ack.get("Route") is None


@pytest.mark.parametrize(
    "headers",
    [[("Contact", "<sip:>")], [("Contact", "*")], [], [("Contact", "<sip:a@b>"), ("Record-Route", "<>")]],
)
def test_an_invite_that_can_make_no_dialog_is_refused(headers: list[tuple[str, str]]) -> None:
    bob = Solo()
    request = received_request("INVITE")
    request.remove("Contact")
    request.headers.extend(headers)
    bob.arrives(Request("INVITE", request.uri_text, request.headers))
    assert bob.sends("400").reason.startswith("Bad Request - ")
    assert bob.is_quiet()
    with pytest.raises(ParseError):
        Dialog.of_server(Request("INVITE", request.uri_text, request.headers), "us", UDP)


# where requests go ----------------------------------------------------------------------------------------------
def test_requests_go_to_the_contact_where_that_is_an_address() -> None:
    dialog = server_dialog(contact="<sip:bob@198.51.100.99:5070>")
    assert dialog.next_flow() == Flow("udp", US, ("198.51.100.99", 5070))


def test_requests_go_to_the_first_route_where_there_is_one() -> None:
    dialog = server_dialog(headers=[("Record-Route", "<sip:198.51.100.50:5062;lr>")])
    assert dialog.next_flow() == Flow("udp", US, ("198.51.100.50", 5062))


def test_a_contact_that_is_a_name_leads_back_where_the_peer_came_from() -> None:
    dialog = server_dialog(contact="<sip:bob@pbx.example.com>", via="pbx.example.com", flow=udp("198.51.100.7", 5071))
    assert not dialog.natted
    assert dialog.next_flow() is dialog.flow


@pytest.mark.parametrize(
    ("via", "contact", "source", "port"),
    [
        ("192.168.1.5", "<sip:bob@192.168.1.5>", "203.0.113.5", 40000),  # an address that is not its own
        ("198.51.100.7;rport", "<sip:bob@198.51.100.7>", "198.51.100.7", 40000),  # a port that is not its own
        ("198.51.100.7", "<sip:bob@10.0.0.5>", "8.8.8.8", 5060),  # a private Contact from a public address
        ("phone.invalid", "<sip:bob@10.0.0.5>", "8.8.8.8", 5060),
    ],
)
def test_behind_nat_only_the_flow_counts(via: str, contact: str, source: str, port: int) -> None:
    flow = udp(source, port)
    dialog = server_dialog(contact=contact, via=via, flow=flow)
    assert dialog.natted
    assert dialog.next_flow() is flow


@pytest.mark.parametrize(
    ("via", "contact", "flow"),
    [
        ("198.51.100.7;rport", "<sip:bob@198.51.100.7>", udp("198.51.100.7")),
        ("198.51.100.7:5070;rport", "<sip:bob@198.51.100.7:5070>", udp("198.51.100.7", 5070)),
        ("10.0.0.5;rport", "<sip:bob@10.0.0.5>", udp("10.0.0.5")),
        ("[2001:DB8::7];rport", "<sip:bob@[2001:db8::7]>", udp("2001:db8::7")),
        # it asks for nothing: a carrier that sends from another port than it listens at
        ("198.51.100.7", "<sip:bob@198.51.100.7>", udp("198.51.100.7", 40000)),
    ],
)
def test_who_knows_its_own_address_is_not_behind_nat(via: str, contact: str, flow: Flow) -> None:
    assert not server_dialog(via=via, contact=contact, flow=flow).natted


def test_a_peer_behind_nat_that_moves_is_followed() -> None:
    line = Line()
    line.alice.calls(natted=True)
    line.bob.answers()
    moved = Flow("udp", line.alice.endpoint.address, ("203.0.113.9", 41000))
    line.bob.sends("INVITE", settle=False)
    line.alice.does(line.alice.agent.receive(line.last("INVITE"), moved, line.now), settle=False)
    assert line.alice.dialog.dialog.next_flow() == moved


def test_a_dialog_over_tcp_stays_on_its_connection() -> None:
    alice = Solo(TCP)
    call = alice.calls()
    alice.arrives(received_response(alice.sends("INVITE"), 200, headers=[("Contact", "<sip:bob@203.0.113.50>")]))
    answered = alice.hears("Answered")
    alice.does(answered.session.ack(call.request, alice.now))
    alice.sends("ACK")
    assert alice.sent_to is TCP


@pytest.mark.parametrize(
    "uri",
    [
        "sip:bob@example.com",
        "tel:+420123",
        "sip:bob@198.51.100.9;transport=tcp",
        "sip:bob@[2001:db8::1]",
    ],
)
def test_an_address_that_the_socket_cannot_reach_is_left_to_the_flow(uri: str) -> None:
    flow = udp("198.51.100.7")
    assert literal_flow(Uri.parse(uri), flow) is flow


def test_a_user_agent_that_believes_its_peers_obeys_maddr() -> None:
    assert ANYWHERE.next_hop(Uri.parse("sip:bob@example.com;maddr=198.51.100.9"), udp("198.51.100.7")).remote == (
        "198.51.100.9",
        5060,
    )


def connected(contact: str) -> tuple[Solo, Session]:
    """Bob called Alice over a TCP connection that he made, and she answered."""
    alice = Solo(TCP)
    invite = received_request("INVITE", via="SIP/2.0/TCP 192.0.2.2:5060;branch=z9hG4bK-x;rport")
    invite.set("Contact", contact)
    alice.arrives(invite)
    told = alice.hears("Invited").invite
    alice.does(told.accept(alice.now))
    alice.arrives(received_request("ACK", to_tag=alice.sends("200").to_tag))
    return alice, alice.hears("Acknowledged").session


def test_when_the_connection_is_lost_a_new_one_to_the_contact_is_tried_once() -> None:
    alice, session = connected("<sip:bob@192.0.2.2:5062;transport=tcp>")
    assert not session.dialog.natted
    alice.does(session.send("INFO", alice.now, relates_to="digit"))
    info = alice.sends("INFO")
    assert alice.sent_to is TCP
    alice.does(alice.agent.send_failed(info.to_bytes(), alice.now))
    again = alice.sends("INFO")
    assert alice.sent_to == Flow("tcp", TCP.local, ("192.0.2.2", 5062), 0)
    assert again.cseq == info.cseq + 1
    alice.does(alice.agent.send_failed(again.to_bytes(), alice.now))
    assert alice.hears("Replied INFO 503").relates_to == "digit"


def test_a_re_invite_is_repeated_too_but_not_for_the_loss_of_its_ack() -> None:
    alice, session = connected("<sip:bob@192.0.2.2:5062;transport=tcp>")
    alice.does(session.send("INVITE", alice.now, body=OFFER))
    first = alice.sends("INVITE")
    alice.does(alice.agent.send_failed(first.to_bytes(), alice.now))
    again = alice.sends("INVITE")
    assert again.sdp == OFFER
    alice.arrives(received_response(again, 488))
    ack = alice.sends("ACK")
    alice.hears("Replied INVITE 488")
    alice.does(alice.agent.send_failed(ack.to_bytes(), alice.now))
    assert alice.is_quiet()
    assert session.local_sdp != OFFER


def test_a_bye_gets_over_the_loss_of_its_connection_too() -> None:
    alice, session = connected("<sip:bob@192.0.2.2:5062;transport=tcp>")
    alice.does(session.bye(alice.now))
    alice.does(alice.agent.send_failed(alice.sends("BYE").to_bytes(), alice.now))
    alice.sends("BYE")
    assert alice.sent_to.connection == 0


def test_nobody_connects_to_a_peer_behind_nat() -> None:
    alice, session = connected("<sip:bob@192.0.2.2:5062;transport=tcp>")
    session.dialog.natted = True
    alice.does(session.send("INFO", alice.now))
    alice.does(alice.agent.send_failed(alice.sends("INFO").to_bytes(), alice.now))
    alice.hears("Replied INFO 503")
