# SPDX-License-Identifier: Apache-2.0
"""What a REGISTER leads to: RFC 3261 section 10.3, Path, Outbound, NAT and limits."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from switch.sip.binding_rules import Binding, Registration, register
from switch.sip.destination import Destinations
from switch.sip.message.flow import Flow
from switch.sip.message.message import Request, Response
from switch.sip.message.parsing import parse_message

NOW = 1_700_000_000.0
PHONE = "192.0.2.10"
UDP = Flow("udp", ("198.51.100.1", 5060), (PHONE, 5060))
TCP = Flow("tcp", ("198.51.100.1", 5060), (PHONE, 43210), 7)


@dataclass(frozen=True)
class Limits:
    min_expires: int = 60
    default_expires: int = 300
    max_expires: int = 3600
    max_contacts: int = 3


BEHIND_PROXIES = Destinations(proxies=("192.0.2.10", "192.0.2.1", "192.0.2.2", "edge.example.com"))


class Desk:
    """An address of record: REGISTERs go in, its bindings are kept."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.bindings: tuple[Binding, ...] = ()
        self.now = NOW
        self.last: Registration

    def send(
        self,
        *contacts: str,
        call_id: str = "a",
        cseq: int = 1,
        flow: Flow = UDP,
        expires: str | None = None,
        headers: str = "",
        vias: int = 1,
    ) -> Response:
        lines = "Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n" * vias + headers
        lines += "".join(f"Contact: {contact}\r\n" for contact in contacts)
        lines += f"Expires: {expires}\r\n" if expires is not None else ""
        text = (
            f"REGISTER sip:example.com SIP/2.0\r\n{lines}From: <sip:1@example.com>;tag=1\r\nTo: <sip:1@example.com>\r\n"
            f"Call-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\nContent-Length: 0\r\n\r\n"
        )
        request = parse_message(text.encode())
        assert isinstance(request, Request)
        self.last = register(request, flow, self.bindings, self.limits, self.now, "tag", BEHIND_PROXIES)
        if self.last.response.status == 200:
            assert {b.key for b in self.last.upserts} <= {b.key for b in self.last.bindings}
            assert not {b.key for b in self.last.bindings} & set(self.last.removals)
        else:
            assert not self.last.upserts
            assert not self.last.removals
        self.bindings = self.last.bindings
        return self.last.response

    @property
    def contacts(self) -> list[str]:
        return [binding.contact for binding in self.bindings]


@pytest.fixture
def desk() -> Desk:
    return Desk()


# section 10.3 -------------------------------------------------------------------------------------------------------
def test_registers_contacts_and_lists_them_with_the_time_left(desk: Desk) -> None:
    response = desk.send("<sip:1@192.0.2.10>;q=0.5", "<sip:1@192.0.2.11>;expires=120")
    assert response.status == 200
    assert response.to_tag == "tag"
    assert response.all("Contact") == ["<sip:1@192.0.2.10>;expires=300;q=0.5", "<sip:1@192.0.2.11>;expires=120"]
    assert response.get("Date") == "Tue, 14 Nov 2023 22:13:20 GMT"


def test_a_query_changes_nothing(desk: Desk) -> None:
    desk.send("<sip:1@192.0.2.10>;expires=100")
    desk.now += 40
    response = desk.send(call_id="other")
    assert response.all("Contact") == ["<sip:1@192.0.2.10>;expires=60"]
    assert (desk.last.upserts, desk.last.removals) == ((), ())


def test_several_contacts_in_one_line(desk: Desk) -> None:
    desk.send('"A, B" <sip:1@192.0.2.10>;expires=100, <sip:2@192.0.2.10>')
    assert desk.contacts == ["sip:1@192.0.2.10", "sip:2@192.0.2.10"]


@pytest.mark.parametrize(
    ("contact", "header", "seconds"),
    [
        ("<sip:1@192.0.2.10>", None, 300),
        ("<sip:1@192.0.2.10>", "600", 600),
        ("<sip:1@192.0.2.10>;expires=120", "600", 120),
        ("<sip:1@192.0.2.10>", "99999999", 3600),
        ("<sip:1@192.0.2.10>;expires=99999999999999999999", None, 3600),
        ("<sip:1@192.0.2.10>;expires=soon", None, 3600),
        ("<sip:1@192.0.2.10>", "never", 3600),
        ("<sip:1@192.0.2.10>;expires=60", None, 60),
    ],
)
def test_expires_by_parameter_header_default_and_limits(
    desk: Desk, contact: str, header: str | None, seconds: int
) -> None:
    desk.send(contact, expires=header)
    assert [binding.expires_at - NOW for binding in desk.bindings] == [seconds]


def test_too_brief_is_refused_as_a_whole_with_the_minimum(desk: Desk) -> None:
    response = desk.send("<sip:1@192.0.2.10>;expires=600", "<sip:1@192.0.2.11>;expires=59")
    assert (response.status, response.get("Min-Expires")) == (423, "60")
    assert desk.bindings == ()


def test_expires_zero_removes_one_contact(desk: Desk) -> None:
    desk.send("<sip:1@192.0.2.10>", "<sip:1@192.0.2.11>")
    response = desk.send("<sip:1@192.0.2.10>;expires=0", cseq=2)
    assert response.all("Contact") == ["<sip:1@192.0.2.11>;expires=300"]
    assert len(desk.last.removals) == 1
    assert desk.send("<sip:9@192.0.2.9>;expires=0", cseq=3).status == 200


def test_one_request_adds_one_contact_and_removes_another(desk: Desk) -> None:
    desk.send("<sip:1@192.0.2.10>")
    desk.send("<sip:1@192.0.2.10>;expires=0", "<sip:1@192.0.2.11>", cseq=2)
    assert desk.contacts == ["sip:1@192.0.2.11"]


def test_star_with_expires_zero_removes_all(desk: Desk) -> None:
    desk.send("<sip:1@192.0.2.10>", "<sip:1@192.0.2.11>")
    response = desk.send("*", expires="0", call_id="b")
    assert response.status == 200
    assert response.get("Contact") is None
    assert len(desk.last.removals) == 2


@pytest.mark.parametrize(("contacts", "expires"), [(["*"], None), (["*"], "60"), (["*", "<sip:1@192.0.2.10>"], "0")])
def test_star_stands_alone_and_only_with_expires_zero(desk: Desk, contacts: list[str], expires: str | None) -> None:
    desk.send("<sip:1@192.0.2.10>")
    assert desk.send(*contacts, expires=expires, cseq=2).status == 400
    assert len(desk.bindings) == 1


@pytest.mark.parametrize("contact", ["<sip:1@192.0.2.10>", "<sip:1@192.0.2.10>;expires=0", "*"])
@pytest.mark.parametrize("cseq", [4, 5])
def test_an_older_request_of_the_same_call_fails(desk: Desk, contact: str, cseq: int) -> None:
    desk.send("<sip:1@192.0.2.10>", cseq=5)
    assert desk.send(contact, cseq=cseq, expires="0" if contact == "*" else None).status == 500
    assert len(desk.bindings) == 1


def test_nothing_is_done_when_one_contact_is_out_of_order(desk: Desk) -> None:
    desk.send("<sip:1@192.0.2.10>", cseq=5)
    assert desk.send("<sip:1@192.0.2.11>", "<sip:1@192.0.2.10>", cseq=5).status == 500
    assert desk.contacts == ["sip:1@192.0.2.10"]


def test_another_call_id_may_use_any_cseq(desk: Desk) -> None:
    desk.send("<sip:1@192.0.2.10>", cseq=500)
    assert desk.send("<sip:1@192.0.2.10>;expires=900", call_id="rebooted", cseq=1).status == 200
    assert [(b.expires_at - NOW, b.call_id, b.cseq) for b in desk.bindings] == [(900, "rebooted", 1)]


@pytest.mark.parametrize(
    ("first", "second", "count"),
    [
        ("sip:1@phone.example.com", "sip:1@PHONE.example.com", 1),
        ("sip:%31@192.0.2.10", "sip:1@192.0.2.10", 1),
        ("sip:1@192.0.2.10;line=x", "sip:1@192.0.2.10", 1),
        ("sip:1@192.0.2.10;a=1;b=2", "sip:1@192.0.2.10;b=2;a=1", 1),
        ("sip:1@192.0.2.10;line=x", "sip:1@192.0.2.10;line=y", 2),
        ("sip:1@192.0.2.10", "sip:1@192.0.2.10:5060", 2),
        ("sip:1@192.0.2.10", "sip:1@192.0.2.10;transport=tcp", 2),
        ("sip:A@192.0.2.10", "sip:a@192.0.2.10", 2),
    ],
)
def test_contacts_are_the_same_by_section_19_1_4(desk: Desk, first: str, second: str, count: int) -> None:
    desk.send(f"<{first}>")
    desk.send(f"<{second}>", cseq=2)
    assert len(desk.bindings) == count
    assert desk.contacts[-1] == second
    assert len({binding.key for binding in desk.bindings}) == count


@pytest.mark.parametrize("user", ["%00", "%ff", "%c3%a9", "1" * 900])
def test_keys_are_short_and_plain_whatever_the_contact(desk: Desk, user: str) -> None:
    desk.send(f"<sip:{user}@192.0.2.10>")
    desk.send(f"<sip:{user}2@192.0.2.10>", cseq=2)
    keys = {binding.key for binding in desk.bindings}
    assert len(keys) == 2
    assert all(len(key) <= 400 and key.isascii() and key.isprintable() for key in keys)


def test_expired_bindings_are_not_seen(desk: Desk) -> None:
    desk.send("<sip:1@192.0.2.10>;expires=60", cseq=9)
    desk.now += 60
    assert desk.send(cseq=10).get("Contact") is None
    assert desk.send("<sip:1@192.0.2.10>", cseq=1).status == 200


@pytest.mark.parametrize("contact", ["<tel:+4201234>", "<mailto:a@b>", "<sip:" + "1" * 1100 + "@192.0.2.10>"])
def test_a_contact_that_cannot_be_called_is_refused(desk: Desk, contact: str) -> None:
    assert desk.send(contact).status == 400
    assert desk.bindings == ()


@pytest.mark.parametrize(("q", "value"), [("0", 0), ("1.0", 1), ("0.700", 0.7), ("7", 1), ("-1", 0), ("x", 1)])
def test_q_is_between_0_and_1(desk: Desk, q: str, value: float) -> None:
    desk.send(f"<sip:1@192.0.2.10>;q={q}")
    assert desk.bindings[0].q == value


# way back -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("contact", "flow", "received"),
    [
        ("<sip:1@192.0.2.10:5062>", UDP, None),
        ("<sip:1@10.0.0.5:5062>", UDP, "udp:192.0.2.10:5060"),
        ("<sip:1@phone.lan>", UDP, "udp:192.0.2.10:5060"),
        ("<sip:1@10.0.0.5;maddr=192.0.2.10>", UDP, "udp:192.0.2.10:5060"),
        ("<sip:1@192.0.2.10:5062;transport=tcp>", TCP, "tcp:192.0.2.10:43210"),
        ("<sip:1@[2001:DB8::5]>", Flow("udp", ("::", 5060), ("2001:db8::5", 5060)), None),
        ("<sip:1@[fd00::5]>", Flow("udp", ("::", 5060), ("2001:db8::5", 5060)), "udp:2001:db8::5:5060"),
    ],
)
def test_the_source_is_the_way_back_where_the_contact_is_not(
    desk: Desk, contact: str, flow: Flow, received: str | None
) -> None:
    desk.send(contact, flow=flow)
    assert desk.bindings[0].received == received


def test_path_is_stored_and_told_to_a_phone_that_knows_it(desk: Desk) -> None:
    path = "Path: <sip:192.0.2.1;lr>,<sip:edge.example.com;lr;ob>\r\n"
    assert desk.send("<sip:1@10.0.0.5>", headers=path).get("Path") is None
    assert desk.bindings[0].path == ("<sip:192.0.2.1;lr>", "<sip:edge.example.com;lr;ob>")
    assert desk.bindings[0].received is None, "the proxy knows the way"
    response = desk.send("<sip:1@10.0.0.5>", headers=path + "Supported: path\r\n", cseq=2)
    assert response.all("Path") == ["<sip:192.0.2.1;lr>", "<sip:edge.example.com;lr;ob>"]


def test_a_path_that_begins_with_a_name_leads_back_to_where_it_came_from(desk: Desk) -> None:
    desk.send("<sip:1@10.0.0.5>", headers="Path: <sip:edge.example.com;lr>\r\n")
    assert desk.bindings[0].received == "udp:192.0.2.10:5060"


def test_an_endless_path_is_refused(desk: Desk) -> None:
    path = "Path: " + ",".join(f"<sip:192.0.2.{n};lr>" for n in range(250)) + "\r\n"
    assert desk.send("<sip:1@10.0.0.5>", headers=path).status == 400


# Outbound -----------------------------------------------------------------------------------------------------------
INSTANCE = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"'
OUTBOUND = "Supported: path, outbound\r\n"


def test_a_flow_is_known_by_instance_and_reg_id(desk: Desk) -> None:
    response = desk.send(f"<sip:1@10.0.0.5:4001>;reg-id=1;{INSTANCE}", headers=OUTBOUND)
    assert response.get("Require") == "outbound"
    assert response.get("Contact") == f"<sip:1@10.0.0.5:4001>;expires=300;{INSTANCE};reg-id=1"
    desk.send(f"<sip:1@10.0.0.5:4002>;reg-id=1;{INSTANCE}", headers=OUTBOUND, call_id="b")
    desk.send(f"<sip:1@10.0.0.5:4003>;reg-id=2;{INSTANCE}", headers=OUTBOUND, call_id="c")
    assert [(b.contact, b.reg_id) for b in desk.bindings] == [("sip:1@10.0.0.5:4002", 1), ("sip:1@10.0.0.5:4003", 2)]


@pytest.mark.parametrize(
    ("contact", "headers", "vias"),
    [
        (f"<sip:1@10.0.0.5>;reg-id=1;{INSTANCE}", "", 1),
        ("<sip:1@10.0.0.5>;reg-id=1", OUTBOUND, 1),
        (f"<sip:1@10.0.0.5>;reg-id=0;{INSTANCE}", OUTBOUND, 1),
        (f"<sip:1@10.0.0.5>;{INSTANCE}", OUTBOUND, 1),
        (f"<sip:1@10.0.0.5>;reg-id=1;{INSTANCE}", OUTBOUND, 2),
        (f"<sip:1@10.0.0.5>;reg-id=1;{INSTANCE}", OUTBOUND + "Path: <sip:192.0.2.1;lr>\r\n", 2),
    ],
)
def test_without_all_that_outbound_needs_it_is_an_ordinary_contact(
    desk: Desk, contact: str, headers: str, vias: int
) -> None:
    response = desk.send(contact, headers=headers, vias=vias)
    assert (response.status, response.get("Require")) == (200, None)
    assert desk.bindings[0].reg_id is None


def test_a_flow_through_an_edge_proxy_that_keeps_flows(desk: Desk) -> None:
    path = OUTBOUND + "Path: <sip:192.0.2.1;lr>, <sip:edge@192.0.2.2;lr;ob>\r\n"
    assert desk.send(f"<sip:1@10.0.0.5>;reg-id=1;{INSTANCE}", headers=path, vias=3).get("Require") == "outbound"


def test_one_request_registers_one_flow(desk: Desk) -> None:
    contacts = [f"<sip:1@10.0.0.5>;reg-id={n};{INSTANCE}" for n in (1, 2)]
    assert desk.send(*contacts, headers=OUTBOUND).status == 400


# limits -------------------------------------------------------------------------------------------------------------
def fill(desk: Desk) -> None:
    for n in range(3):
        desk.send(f"<sip:1@192.0.2.2{n}>", call_id=f"phone {n}", headers=f"User-Agent: Make {n}\r\n")


def test_one_device_too_many_is_refused_and_harms_nobody(desk: Desk) -> None:
    fill(desk)
    assert desk.send("<sip:1@192.0.2.30>", call_id="new").status == 403
    assert len(desk.bindings) == 3
    assert desk.send("<sip:1@192.0.2.20>", call_id="phone 0", cseq=2).status == 200
    assert Desk(Limits(max_contacts=1)).send("<sip:1@192.0.2.1>", "<sip:1@192.0.2.2>").status == 403


def test_what_a_device_left_behind_gives_way_to_it(desk: Desk) -> None:
    agent = "User-Agent: Make X\r\n"
    for port in (4001, 4002, 4003):
        desk.send(f"<sip:1@10.0.0.5:{port}>", call_id=f"boot {port}", headers=agent)
        desk.now += 1
    assert desk.send("<sip:1@10.0.0.5:4004>", call_id="boot again", headers=agent).status == 200
    assert desk.contacts == ["sip:1@10.0.0.5:4002", "sip:1@10.0.0.5:4003", "sip:1@10.0.0.5:4004"]
    assert len(desk.last.removals) == 1


def test_a_device_is_known_by_its_instance_or_its_call_id(desk: Desk) -> None:
    fill(desk)
    assert desk.send("<sip:1@192.0.2.40>", call_id="phone 1", cseq=2).status == 200
    assert "sip:1@192.0.2.21" not in desk.contacts
    desk = Desk(Limits(max_contacts=1))
    desk.send(f"<sip:1@192.0.2.20>;{INSTANCE}")
    assert desk.send(f"<sip:1@192.0.2.99>;{INSTANCE}", call_id="b").status == 200
    assert desk.send("<sip:1@192.0.2.98>", call_id="b", cseq=2).status == 403


def test_a_lowered_limit_does_not_throw_out_who_is_registered(desk: Desk) -> None:
    fill(desk)
    desk.limits = Limits(max_contacts=1)
    assert desk.send("<sip:1@192.0.2.20>", call_id="phone 0", cseq=2).status == 200
    assert len(desk.bindings) == 3
