# SPDX-License-Identifier: Apache-2.0
"""RFC 5118, all 12 messages. The files have CRLF and true lengths, which the archive of the RFC has not."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from media import sdp
from switch.sip.message.address import Via
from tests.sip.torture_messages import answer, names, read, request

RFC = "rfc5118"
VALID = [name for name in names(RFC) if name != "ipv6-bad"]


def test_every_message_of_the_rfc_is_here() -> None:
    assert len(names(RFC)) == 12


@pytest.mark.parametrize("name", VALID)
def test_passes(name: str) -> None:
    assert answer(read(RFC, name)) is None
    assert request(RFC, name).to_bytes().endswith(request(RFC, name).body)


def test_an_address_without_brackets_is_answered_400() -> None:
    reply = answer(read(RFC, "ipv6-bad"))
    assert reply is not None
    assert (reply.status, reply.reason) == (400, "Bad Request - Request-URI: malformed host or port in a URI")


def test_an_ipv6_reference_is_a_host() -> None:
    register = request(RFC, "ipv6-good")
    assert (register.uri.host, register.uri.address, register.uri.port) == ("[2001:db8::10]", "2001:db8::10", None)
    assert register.via.host == "[2001:db8::9:1]"
    assert register.contact is not None
    assert register.contact.uri.address == "2001:db8::1"


def test_a_port_is_what_follows_the_bracket() -> None:
    ambiguous, clear = request(RFC, "port-ambiguous").uri, request(RFC, "port-unambiguous").uri
    assert (ambiguous.address, ambiguous.port) == ("2001:db8::10:5070", None)
    assert (clear.address, clear.port) == ("2001:db8::10", 5070)


@pytest.mark.parametrize("name", ["via-received-param-with-delim", "via-received-param-no-delim"])
def test_received_has_brackets_or_not(name: str) -> None:
    assert request(RFC, name).via.received == "2001:db8::9:255"


def test_addresses_of_both_families_stand_side_by_side() -> None:
    vias = [Via.parse(value) for value in request(RFC, "mult-ip-in-header").values("Via")]
    assert [(via.host, via.port) for via in vias] == [
        ("[2001:db8::9:1]", 6050), ("192.0.2.1", None), ("[2001:db8::9:255]", None),
    ]  # fmt: skip
    assert vias[2].received == "192.0.2.200"


def test_sdp_has_addresses_without_brackets() -> None:
    description = sdp.parse(request(RFC, "ipv6-in-sdp").body)
    assert [str(media.address) for media in description.media] == ["2001:db8::20"] * 2
    assert [name for media in description.media for _, name, _ in media.encodings] == ["G726-32", "H263-1998"]


def test_sdp_has_an_address_for_each_media() -> None:
    description = sdp.parse(request(RFC, "mult-ip-in-sdp").body)
    assert [str(media.address) for media in description.media] == ["192.0.2.1", "2001:db8::1"]


def test_ipv4_mapped_addresses_are_addresses() -> None:
    invite = request(RFC, "ipv4-mapped-ipv6")
    assert (invite.via.host, invite.via.port) == ("[::ffff:192.0.2.10]", 19823)
    assert {media.address for media in sdp.parse(invite.body).media} == {ip_address("::ffff:192.0.2.2")}


@pytest.mark.parametrize("name", ["ipv6-bug-abnf-3-colons", "ipv6-correct-abnf-2-colons"])
def test_a_third_colon_is_tolerated(name: str) -> None:
    uri = request(RFC, name).uri
    assert ip_address(uri.address) == ip_address("2001:db8::192.0.2.1")
    assert str(uri) in read(RFC, name).decode()
