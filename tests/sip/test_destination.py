# SPDX-License-Identifier: Apache-2.0
"""Where requests may go: the one function that all senders ask, with every spelling of an address."""

from __future__ import annotations

import pytest

from switch.sip.destination import Carrier, Destinations
from switch.sip.message.flow import INNER_FLOW, Flow
from switch.sip.message.host import is_odd_number, literal
from switch.sip.message.uri import Uri
from switch.sip.ways import House, Warrant

US = ("198.51.100.1", 5060)
PHONE = Flow("udp", US, ("192.0.2.10", 5060))
LOCAL_PHONE = Flow("udp", ("127.0.0.1", 5060), ("127.0.0.1", 40000))
CARRIER = Flow("udp", US, ("203.0.113.9", 5060))
PROXY = Flow("udp", US, ("192.0.2.1", 5060))
SERVER = Flow("udp", ("127.0.0.1", 5060), ("127.0.0.1", 5080))
WORLD = Destinations(
    carriers=(
        Carrier(1, "one", "203.0.113.9", 5060),
        Carrier(2, "two", "carrier.example.com", 5060, addresses=("203.0.113.20", "203.0.113.21")),
        Carrier(3, "demo", "127.0.0.1", 5070, any_port=False),
    ),
    server=("127.0.0.1", 5080),
    listeners=(("0.0.0.0", 5060), ("198.51.100.77", 5060)),
    controls=(("127.0.0.1", 2223),),
    own_addresses=("198.51.100.1", "10.0.0.7", "2001:db8::7"),
    proxies=("192.0.2.1", "edge.example.com"),
)


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("203.0.113.9", 5060),
        ("203.0.113.9", 40000),
        ("::ffff:203.0.113.9", 5060),
        ("::203.0.113.9", 5060),
        ("2002:cb00:7109::1", 5060),
        ("64:ff9b::203.0.113.9", 5060),
        ("203.0.113.21", 5060),
        ("127.0.0.1", 5070),
        ("127.0.0.1", 5080),
        ("198.51.100.1", 5080),
        ("10.0.0.7", 5060),
        ("2001:db8::7", 5060),
        ("127.9.9.9", 5060),
        ("198.51.100.77", 5060),
        ("127.0.0.1", 2223),
        ("0.0.0.0", 5080),
        ("::", 5080),
        ("0.0.0.0", 9999),
        ("224.0.0.251", 5060),
        ("255.255.255.255", 5060),
        ("ff02::1", 5060),
        ("240.0.0.1", 5060),
    ],
)
def test_nobody_is_led_to_carriers_to_us_or_to_no_machine_wherever_he_signals_from(host: str, port: int) -> None:
    assert WORLD.refusal(host, port) is not None
    assert WORLD.refusal(host, port, source=host) is not None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.5.5.5", "::1", "169.254.1.1", "fe80::1", "fe80::1%eth0"])
def test_this_machine_and_its_wire_are_for_who_is_there_himself(host: str) -> None:
    assert WORLD.refusal(host, 40000) is not None
    assert WORLD.refusal(host, 40000, source=host) is None
    assert WORLD.refusal(host, 40000, source="192.0.2.10") is not None


def test_a_party_is_reached_where_it_signals_from_and_nowhere_else() -> None:
    assert WORLD.refusal("192.0.2.10", 5070, source="192.0.2.10") is None, "another port of its own"
    assert WORLD.refusal("192.0.2.11", 5060, source="192.0.2.10") is not None
    assert WORLD.refusal("198.51.100.200", 5060) is None, "somebody elsewhere, to whom calls are forwarded"


def test_a_switch_that_listens_on_loopback_alone_forwards_there() -> None:
    alone = Destinations(listeners=(("127.0.0.1", 5060),), loopback_only=True)
    assert alone.refusal("127.0.0.1", 40000) is None
    assert alone.refusal("127.0.0.1", 5060) is not None
    assert alone.refusal("169.254.1.1", 40000) is not None


@pytest.mark.parametrize(
    "uri",
    [
        "sip:906123456@203.0.113.9",
        "sip:906123456@203.0.113.9:40000",
        "sip:906123456@carrier.example.com",
        "sip:906123456@CARRIER.example.COM.",
        "sip:906123456@[::ffff:203.0.113.9]",
        "sip:mailbox@0.0.0.0:5080",
        "sip:mailbox@[::]:5080",
        "sip:mailbox@198.51.100.200;maddr=127.0.0.1",
        "sip:mailbox@localhost:5080",
        "sip:mailbox@localhost",
        "sip:mailbox@127.1:5080",
        "sip:mailbox@0x7f.1:5080",
        "sip:mailbox@0x7f000001",
        "sip:mailbox@2130706433",
        "sip:mailbox@127.0.0.1.",
        "sip:x@192.0.2.1",
        "sip:x@edge.example.com",
    ],
)
def test_no_forward_leads_to_a_carrier_or_to_us_however_it_is_spelled(uri: str) -> None:
    """Case L12."""
    assert WORLD.forward_refusal(Uri.parse(uri)) is not None


@pytest.mark.parametrize("uri", ["sip:bob@example.com", "sip:bob@198.51.100.200:5080", "sip:bob@[2001:db8::200]"])
def test_forwards_to_others_are_forwards(uri: str) -> None:
    assert WORLD.forward_refusal(Uri.parse(uri)) is None


def test_a_carriers_name_that_resolves_to_us_is_not_used() -> None:
    assert WORLD.carrier_refusal("203.0.113.9", 5060) is None
    assert WORLD.carrier_refusal("198.51.100.3", 5060) is None
    for host, port in (("127.0.0.1", 5080), ("10.0.0.7", 5060), ("0.0.0.0", 5060), ("224.0.0.1", 5060)):
        assert WORLD.carrier_refusal(host, port) is not None


# dialogs --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("flow", "uri", "remote"),
    [
        (PHONE, "sip:x@192.0.2.10:5070", ("192.0.2.10", 5070)),
        (PHONE, "sip:906@203.0.113.9", PHONE.remote),
        (PHONE, "sip:x@192.0.2.99", PHONE.remote),
        (PHONE, "sip:x@192.0.2.10;maddr=203.0.113.9", PHONE.remote),
        (PHONE, "sip:x@10.1.1.1;maddr=203.0.113.9", PHONE.remote),
        (PHONE, "sip:x@127.0.0.1:5080", PHONE.remote),
        (LOCAL_PHONE, "sip:x@127.0.0.1:40002", ("127.0.0.1", 40002)),
        (LOCAL_PHONE, "sip:906@127.0.0.1:5070", LOCAL_PHONE.remote),
        (LOCAL_PHONE, "sip:mailbox@127.0.0.1:5080", LOCAL_PHONE.remote),
        (LOCAL_PHONE, "sip:x@127.0.0.1:5060", LOCAL_PHONE.remote),
        (LOCAL_PHONE, "sip:x@127.0.0.1:2223", LOCAL_PHONE.remote),
        (CARRIER, "sip:x@203.0.113.9:5099", ("203.0.113.9", 5099)),
        (CARRIER, "sip:x@203.0.113.20", CARRIER.remote),
        (CARRIER, "sip:x@192.0.2.10", CARRIER.remote),
        (Flow("udp", US, ("203.0.113.20", 5060)), "sip:x@203.0.113.21", ("203.0.113.21", 5060)),
        (SERVER, "sip:x@127.0.0.1:40000", SERVER.remote),
        (PROXY, "sip:x@203.0.113.9", PROXY.remote),
        (INNER_FLOW, "sip:x@203.0.113.9", INNER_FLOW.remote),
    ],
)
def test_a_dialog_stays_with_its_party(flow: Flow, uri: str, remote: tuple[str, int]) -> None:
    """Case L1, L2, L19."""
    assert WORLD.next_hop(Uri.parse(uri), flow).remote == remote


def test_record_route_counts_from_carriers_and_proxies_in_front_of_us() -> None:
    stranger, ours, theirs = "<sip:192.0.2.99;lr>", "<sip:192.0.2.1;lr>", "<sip:203.0.113.9;lr>"
    assert WORLD.route_set([ours, stranger], PROXY) == [ours]
    assert WORLD.route_set([ours, "<sip:edge.example.com;lr>", theirs], PROXY) == [ours, "<sip:edge.example.com;lr>"]
    assert WORLD.route_set([ours + ";x", theirs], PHONE) == []
    assert WORLD.route_set([theirs, stranger], CARRIER) == [theirs, stranger]
    assert WORLD.route_set([theirs], PHONE) == []
    assert WORLD.route_set(["<sip:192.0.2.10;lr>"], PHONE) == ["<sip:192.0.2.10;lr>"], "its own border element"
    assert WORLD.route_set(["<sip:192.0.2.10;lr;maddr=203.0.113.9>"], PHONE) == []
    assert WORLD.route_set([theirs], SERVER) == WORLD.route_set([theirs], INNER_FLOW) == []


def test_a_phone_may_change_its_network_but_becomes_nobody_else() -> None:
    def at(host: str, port: int = 5060) -> Flow:
        return Flow("udp", US, (host, port))

    assert WORLD.follows(PHONE, at("192.0.2.200", 1024))
    for host in ("203.0.113.9", "192.0.2.1", "10.0.0.7", "224.0.0.1"):
        assert not WORLD.follows(PHONE, at(host)), host
    assert WORLD.follows(CARRIER, at("203.0.113.9", 5099))
    assert not WORLD.follows(CARRIER, at("203.0.113.20"))
    assert not WORLD.follows(CARRIER, PHONE)
    assert not WORLD.follows(PROXY, PHONE)
    assert not WORLD.follows(SERVER, LOCAL_PHONE)


@pytest.mark.parametrize(
    ("uri", "is_refused"),
    [
        ("sip:x@10.1.1.1", False),
        ("sip:x@abc.invalid;transport=ws", False),
        ("sip:906@203.0.113.9", True),
        ("sip:906@carrier.example.com", True),
        ("sip:x@10.1.1.1;maddr=203.0.113.9", True),
        ("sip:x@127.0.0.1:5080", True),
        ("sip:x@0x7f.1", True),
    ],
)
def test_a_proxy_is_never_told_to_go_to_a_carrier(uri: str, is_refused: bool) -> None:
    assert (WORLD.target_refusal(Uri.parse(uri), PROXY) is not None) == is_refused
    assert WORLD.target_refusal(Uri.parse(uri), PHONE) is None, "a phone is reached over its own flow"


# the last wall --------------------------------------------------------------------------------------------------
def test_nothing_new_reaches_a_carrier_without_a_warrant() -> None:
    warrant = Warrant("call")
    for method in ("INVITE", "OPTIONS", "MESSAGE", "NOTIFY", "REGISTER", "SUBSCRIBE"):
        assert WORLD.fault(CARRIER, method, None, opens=True) is not None
        assert WORLD.fault(CARRIER, method, House.SERVER, opens=True) is not None
        assert WORLD.fault(CARRIER, method, warrant, opens=True) is None
        assert WORLD.fault(CARRIER, method, None, opens=False) is None
        assert WORLD.fault(SERVER, method, None, opens=True) is not None
        assert WORLD.fault(SERVER, method, House.SERVER, opens=True) is None
        assert WORLD.fault(PHONE, method, None, opens=True) is None
        assert WORLD.fault(Flow("udp", US, ("10.0.0.7", 5060)), method, warrant, opens=False) is not None
        assert WORLD.fault(INNER_FLOW, method, None, opens=True) is None
    for method in ("ACK", "BYE", "CANCEL"):
        assert WORLD.fault(CARRIER, method, None, opens=True) is None


def test_addresses_in_disguise_are_seen() -> None:
    assert all(map(is_odd_number, ("127.1", "0x7f.1", "2130706433", "0x7f000001", "1.2.3.4.", "a.0x1")))
    assert not any(map(is_odd_number, ("example.com", "x1.example", "0x7g.example.com", "1.2.3.4.example")))
    assert str(literal("[::ffff:1.2.3.4]")) == "1.2.3.4"
    assert literal("example.com") is None


# carriers by name -------------------------------------------------------------------------------------------------
def test_a_name_makes_the_sockets_of_its_services_the_carrier_and_other_ports_where_it_may() -> None:
    """Case J3."""
    carrier = Carrier(
        7,
        "seven",
        "sip.example.org",
        5060,
        sockets=(("192.0.2.70", 5062), ("127.0.0.9", 5064)),
        addresses=("192.0.2.71",),
    )
    there = Destinations(carriers=(carrier,))
    for host, port in (("192.0.2.70", 5062), ("127.0.0.9", 5064), ("192.0.2.71", 4000), ("::ffff:192.0.2.70", 5062)):
        place = there.place(host, port)
        assert place is not None
        assert place.carriers == {7}
    for host, port in (("192.0.2.70", 5060), ("127.0.0.9", 5060), ("192.0.2.72", 5062)):
        assert there.place(host, port) is None


def test_the_port_alone_counts_where_a_carrier_says_so() -> None:
    carrier = Carrier(
        7, "seven", "sip.example.org", 5060, any_port=False, sockets=(("192.0.2.70", 5062),), addresses=("192.0.2.70",)
    )
    there = Destinations(carriers=(carrier,))
    assert there.place("192.0.2.70", 5062) is not None
    assert there.place("192.0.2.70", 5063) is None


def test_no_name_leads_to_this_machine_unless_that_is_the_network() -> None:
    where, alone = Destinations(), Destinations(loopback_only=True)
    for host in ("127.0.0.1", "::1", "169.254.1.1", "fe80::1"):
        assert where.carrier_refusal(host, 5070, by_name=True) is not None
        assert where.carrier_refusal(host, 5070) is None, "as an address it was meant"
    assert alone.carrier_refusal("127.0.0.1", 5070, by_name=True) is None
    assert alone.carrier_refusal("169.254.1.1", 5070, by_name=True) is not None
