# SPDX-License-Identifier: Apache-2.0
"""Finding SIP servers (RFC 3263 section 4): what is asked, in which order, and which hops come out."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from switch.sip.locate import Naptr, Record, Srv, UnsupportedTargetError, locate, weighted
from switch.sip.message.flow import Hop
from switch.sip.message.uri import Uri

Zone = dict[tuple[str, str], list[Record]]

ZONE: Zone = {
    ("example.com", "NAPTR"): [
        Naptr(20, 0, "s", "SIP+D2U", "_sip._udp.example.com"),
        Naptr(10, 5, "S", "SIP+D2T", "_sip._tcp.servers.example.com"),
        Naptr(10, 0, "s", "SIPS+D2T", "_sips._tcp.example.com"),
        Naptr(5, 0, "u", "E2U+sip", ""),
    ],
    ("_sip._tcp.servers.example.com", "SRV"): [Srv(1, 0, 5070, "b.example.com"), Srv(0, 0, 5060, "a.example.com")],
    ("_sip._udp.example.com", "SRV"): [Srv(0, 0, 5062, "a.example.com"), Srv(1, 0, 5060, "192.0.2.99")],
    ("a.example.com", "A"): ["192.0.2.1", "192.0.2.2"],
    ("a.example.com", "AAAA"): ["2001:db8::1"],
    ("b.example.com", "A"): ["192.0.2.3"],
    ("_sip._tcp.srv.example.com", "SRV"): [Srv(0, 0, 5080, "b.example.com")],
    ("_sip._udp.none.example.com", "SRV"): [Srv(0, 0, 5060, ".")],
    ("none.example.com", "A"): ["192.0.2.66"],
}


def run(uri: str, zone: Zone = ZONE, **options: object) -> tuple[list[Hop], list[tuple[str, str]]]:
    """The hops, and what was asked."""
    asked: list[tuple[str, str]] = []
    plan = locate(Uri.parse(uri), draw=lambda: 0.5, **options)  # type: ignore[arg-type]
    try:
        questions = next(plan)
        while True:
            asked += [(question.name, question.kind) for question in questions]
            questions = plan.send([zone.get((question.name, question.kind), []) for question in questions])
    except StopIteration as done:
        return done.value, asked


@pytest.mark.parametrize(
    ("uri", "hop"),
    [
        ("sip:1@192.0.2.9", Hop("udp", "192.0.2.9", 5060)),
        ("sip:1@192.0.2.9:5070;transport=TCP", Hop("tcp", "192.0.2.9", 5070)),
        ("sip:1@[2001:db8::9]:5070", Hop("udp", "2001:db8::9", 5070)),
        ("sip:1@example.com;maddr=192.0.2.9", Hop("udp", "192.0.2.9", 5060)),
    ],
)
def test_an_address_needs_no_question(uri: str, hop: Hop) -> None:
    assert run(uri) == ([hop], [])


def test_naptr_decides_on_transport_and_server_and_srv_on_the_order() -> None:
    hops, asked = run("sip:1@example.com")
    assert hops == [
        Hop("tcp", "192.0.2.1", 5060),
        Hop("tcp", "192.0.2.2", 5060),
        Hop("tcp", "2001:db8::1", 5060),
        Hop("tcp", "192.0.2.3", 5070),
    ]
    assert asked[:2] == [("example.com", "NAPTR"), ("_sip._tcp.servers.example.com", "SRV")]


def test_a_service_without_servers_gives_way_to_the_next() -> None:
    zone = {key: records for key, records in ZONE.items() if key[0] != "_sip._tcp.servers.example.com"}
    hops, _ = run("sip:1@example.com", zone, families=["A"])
    assert hops == [Hop("udp", "192.0.2.1", 5062), Hop("udp", "192.0.2.2", 5062), Hop("udp", "192.0.2.99", 5060)]


def test_without_naptr_srv_is_asked_for_each_transport() -> None:
    hops, asked = run("sip:1@srv.example.com")
    assert hops == [Hop("tcp", "192.0.2.3", 5080)]
    assert asked[:3] == [
        ("srv.example.com", "NAPTR"),
        ("_sip._udp.srv.example.com", "SRV"),
        ("_sip._tcp.srv.example.com", "SRV"),
    ]


def test_a_given_transport_needs_no_naptr() -> None:
    hops, asked = run("sip:1@srv.example.com;transport=tcp")
    assert hops == [Hop("tcp", "192.0.2.3", 5080)]
    assert asked[0] == ("_sip._tcp.srv.example.com", "SRV")


def test_a_given_port_needs_only_addresses() -> None:
    hops, asked = run("sip:1@a.example.com:5090", families=["A"])
    assert hops == [Hop("udp", "192.0.2.1", 5090), Hop("udp", "192.0.2.2", 5090)]
    assert asked == [("a.example.com", "A")]
    assert run("sip:1@b.example.com:5090;transport=tcp")[0] == [Hop("tcp", "192.0.2.3", 5090)]


def test_without_srv_the_addresses_of_the_name_serve_at_the_default_port() -> None:
    assert run("sip:1@b.example.com")[0] == [Hop("udp", "192.0.2.3", 5060)]
    assert run("sip:1@b.example.com;transport=tcp")[0] == [Hop("tcp", "192.0.2.3", 5060)]


def test_a_service_that_is_declared_absent_is_not_guessed() -> None:
    assert run("sip:1@none.example.com")[0] == []


def test_a_name_that_nobody_knows_leads_nowhere() -> None:
    assert run("sip:1@unknown.example.com")[0] == []


def test_only_transports_that_we_have_are_considered() -> None:
    assert {hop.transport for hop in run("sip:1@example.com", transports=["udp"])[0]} == {"udp"}
    with pytest.raises(UnsupportedTargetError, match="tcp"):
        run("sip:1@192.0.2.1;transport=tcp", transports=["udp"])


@pytest.mark.parametrize("uri", ["sips:1@example.com", "tel:+1", "sip:1@192.0.2.1;transport=tls"])
def test_what_we_cannot_speak_is_refused_clearly(uri: str) -> None:
    with pytest.raises(UnsupportedTargetError, match=r"sips|tel|tls"):
        run(uri)


def test_weights_share_the_load_within_one_priority() -> None:
    records = [Srv(1, 100, 1, "backup"), Srv(0, 30, 1, "big"), Srv(0, 10, 1, "small"), Srv(0, 0, 1, "idle")]
    draw = random.Random(1).random
    orders = [[record.target for record in weighted(records, draw)] for _ in range(4000)]
    assert all(order[-1] == "backup" and len(order) == 4 for order in orders)
    first = Counter(order[0] for order in orders)
    assert first["big"] / first["small"] == pytest.approx(3, rel=0.2)
    assert weighted(records, lambda: 0.0)[0].target == "idle", "RFC 2782: a very small chance"


def test_services_that_lead_nowhere_give_way_to_the_next() -> None:
    records: Zone = {
        ("_sip._udp.example.com", "SRV"): [Srv(0, 0, 5060, "gone.example.com")],
        ("_sip._tcp.example.com", "SRV"): [Srv(0, 0, 5062, "here.example.com")],
        ("here.example.com", "A"): ["192.0.2.2"],
    }
    assert run("sip:example.com", records)[0] == [Hop("tcp", "192.0.2.2", 5062)]


def test_the_targets_of_all_services_are_given_to_who_wants_them() -> None:
    records: Zone = {
        ("_sip._udp.example.com", "SRV"): [Srv(0, 0, 5060, "one.example.com")],
        ("_sip._tcp.example.com", "SRV"): [Srv(0, 0, 5062, "two.example.com")],
        ("one.example.com", "A"): ["192.0.2.1"],
        ("two.example.com", "A"): ["192.0.2.2"],
    }
    assert run("sip:example.com", records)[0] == [Hop("udp", "192.0.2.1", 5060)]
    both = [Hop("udp", "192.0.2.1", 5060), Hop("tcp", "192.0.2.2", 5062)]
    assert run("sip:example.com", records, every=True)[0] == both
