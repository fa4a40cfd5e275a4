# SPDX-License-Identifier: Apache-2.0
"""The resolver against a name server of its own: answers, caching, failures."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
import pytest_asyncio

from switch.sip.element.resolver import Resolver, read_hosts
from switch.sip.message.flow import Hop
from switch.sip.message.uri import Uri

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.asyncio

SOA = "ns.example.com. admin.example.com. 1 3600 600 86400 20"
ZONE = {
    ("example.com.", "NAPTR"): (60, ['10 0 "s" "SIP+D2U" "" _sip._udp.example.com.']),
    ("_sip._udp.example.com.", "SRV"): (60, ["0 0 5062 a.example.com."]),
    ("a.example.com.", "A"): (30, ["192.0.2.1", "192.0.2.2"]),
    ("a.example.com.", "AAAA"): (30, ["2001:db8::1"]),
    ("alias.example.com.", "CNAME"): (30, ["a.example.com."]),
    ("zero.example.com.", "A"): (0, ["192.0.2.3"]),
}


class NameServer(asyncio.DatagramProtocol):
    """Serves ZONE; `rcode` makes it fail, `is_silent` makes it dead."""

    def __init__(self) -> None:
        self.asked: Counter[tuple[str, str]] = Counter()
        self.rcode = dns.rcode.NOERROR
        self.is_silent = False
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked[name, kind] += 1
        if self.is_silent:
            return
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        response.set_rcode(self.rcode)
        if self.rcode == dns.rcode.NOERROR:
            self._fill(response, name, kind)
        self.transport.sendto(response.to_wire(), addr)

    def _fill(self, response: dns.message.Message, name: str, kind: str) -> None:
        alias = ZONE.get((name, "CNAME"))
        if alias is not None:
            response.answer.append(dns.rrset.from_text(name, alias[0], "IN", "CNAME", *alias[1]))
            name = alias[1][0]
        if (name, kind) in ZONE:
            ttl, records = ZONE[name, kind]
            response.answer.append(dns.rrset.from_text(name, ttl, "IN", kind, *records))
            return
        response.authority.append(dns.rrset.from_text("example.com.", 3600, "IN", "SOA", SOA))
        if not any(owner == name for owner, _ in ZONE):
            response.set_rcode(dns.rcode.NXDOMAIN)


class Site:
    def __init__(self, server: NameServer) -> None:
        self.server = server
        self.now = 1000.0
        self.resolver = Resolver(
            nameservers=["127.0.0.1"],
            port=server.transport.get_extra_info("sockname")[1],
            hosts={"carrier": ["192.0.2.50", "2001:db8::50"]},
            draw=lambda: 0.5,
            clock=lambda: self.now,
        )

    async def hops(self, uri: str) -> list[Hop]:
        return await self.resolver.resolve(Uri.parse(uri))


@asynccontextmanager
async def name_server() -> AsyncIterator[NameServer]:
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        NameServer, local_addr=("127.0.0.1", 0)
    )
    try:
        yield server
    finally:
        transport.close()


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    async with name_server() as server:
        yield Site(server)


async def test_the_whole_way_from_naptr_to_addresses(site: Site) -> None:
    hops = await site.hops("sip:1@example.com")
    assert set(hops[:2]) == {Hop("udp", "192.0.2.1", 5062), Hop("udp", "192.0.2.2", 5062)}, "in any order"
    assert hops[2:] == [Hop("udp", "2001:db8::1", 5062)]


async def test_what_is_known_is_not_asked_again_until_it_expires(site: Site) -> None:
    first = await site.hops("sip:1@example.com")
    site.now += 29
    assert site.resolver.resolve_now(Uri.parse("sip:2@EXAMPLE.com".lower())) == first
    assert set(site.server.asked.values()) == {1}
    site.now += 2
    assert site.resolver.resolve_now(Uri.parse("sip:2@example.com")) is None
    assert set(await site.hops("sip:1@example.com")) == set(first)
    assert site.server.asked["a.example.com.", "A"] == 2
    assert site.server.asked["example.com.", "NAPTR"] == 1


async def test_an_alias_is_followed(site: Site) -> None:
    assert Hop("udp", "192.0.2.1", 5060) in await site.hops("sip:1@alias.example.com:5060")


@pytest.mark.parametrize("name", ["unknown.example.com", "example.com"])
async def test_that_there_is_nothing_is_remembered_as_long_as_the_zone_says(site: Site, name: str) -> None:
    assert await site.hops(f"sip:1@{name}:5060") == []
    site.now += 19
    assert await site.hops(f"sip:1@{name}:5060") == []
    assert site.server.asked[name + ".", "A"] == 1
    site.now += 2
    await site.hops(f"sip:1@{name}:5060")
    assert site.server.asked[name + ".", "A"] == 2


async def test_a_record_without_lifetime_serves_the_call_that_asked(site: Site) -> None:
    assert await site.hops("sip:1@zero.example.com:5060") == [Hop("udp", "192.0.2.3", 5060)]
    site.now += 1.1
    assert site.resolver.resolve_now(Uri.parse("sip:1@zero.example.com:5060")) is None


@pytest.mark.parametrize("is_silent", [True, False])
async def test_when_the_name_server_fails_the_last_answer_is_still_good(site: Site, is_silent: bool) -> None:
    known = await site.hops("sip:1@a.example.com:5060")
    site.resolver._lifetime = 0.2
    site.server.is_silent, site.server.rcode = is_silent, dns.rcode.SERVFAIL
    site.now += 3600
    assert await site.hops("sip:1@a.example.com:5060") == known
    assert site.resolver.resolve_now(Uri.parse("sip:1@a.example.com:5060")) == known, "not asked again at once"
    site.now += 90_000
    assert await site.hops("sip:1@a.example.com:5060") == []


async def test_a_failure_is_not_repeated_for_some_seconds(site: Site) -> None:
    site.server.rcode = dns.rcode.SERVFAIL
    assert await site.hops("sip:1@a.example.com:5060") == []
    asked = site.server.asked.total()
    assert await site.hops("sip:1@a.example.com:5060") == []
    assert site.server.asked.total() == asked
    site.server.rcode = dns.rcode.NOERROR
    site.now += 6
    assert len(await site.hops("sip:1@a.example.com:5060")) == 3


async def test_the_same_question_at_the_same_time_is_asked_once(site: Site) -> None:
    answers = await asyncio.gather(*(site.hops("sip:1@example.com") for _ in range(20)))
    assert all(answer == answers[0] for answer in answers)
    assert set(site.server.asked.values()) == {1}


async def test_a_caller_that_gives_up_does_not_take_the_answer_from_others(site: Site) -> None:
    first = asyncio.create_task(site.hops("sip:1@a.example.com:5060"))
    second = asyncio.create_task(site.hops("sip:1@a.example.com:5060"))
    await asyncio.sleep(0)
    first.cancel()
    assert len(await second) == 3


async def test_names_of_the_hosts_file_need_no_server(site: Site) -> None:
    assert site.resolver.resolve_now(Uri.parse("sip:1@carrier:5060")) == [
        Hop("udp", "192.0.2.50", 5060),
        Hop("udp", "2001:db8::50", 5060),
    ]
    assert site.server.asked.total() == 0


@pytest.mark.parametrize("uri", ["sips:1@example.com", "sip:1@example.com;transport=tls"])
async def test_what_we_cannot_speak_leads_nowhere(site: Site, uri: str, caplog: pytest.LogCaptureFixture) -> None:
    assert await site.hops(uri) == []
    assert "no way to" in caplog.text


@pytest.mark.parametrize("host", ["a" * 64 + ".example.com", "a..example.com"])
async def test_a_name_that_cannot_be_one_leads_nowhere(site: Site, host: str) -> None:
    assert await site.hops(f"sip:1@{host}:5060") == []


async def test_memory_is_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("switch.sip.element.resolver._MAX_KEPT", 3)
    for name in ("a", "zero", "x", "y"):
        await site.hops(f"sip:1@{name}.example.com:5060")
    assert len(site.resolver._kept) == 3


async def test_the_hosts_file_is_read_leniently(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("# comment\n192.0.2.1 One one.example # x\n\n::2 two\nnonsense three\n192.0.2.9\n")
    assert read_hosts(path) == {
        "one": ["192.0.2.1"],
        "one.example": ["192.0.2.1"],
        "two": ["::2"],
        "localhost": ["127.0.0.1"],
    }
    assert read_hosts(tmp_path / "missing") == {"localhost": ["127.0.0.1"]}


async def test_what_was_known_is_found_at_once_and_asked_for_beside(site: Site) -> None:
    """Case J1: an answer whose time has run out is better than to wait."""
    uri = Uri.parse("sip:1@a.example.com:5060")
    first = await site.resolver.find(uri, 2.0)
    assert len(first) == 3
    site.now += 31
    site.server.is_silent = True
    async with asyncio.timeout(0.5):
        assert sorted(map(str, await site.resolver.find(uri, 2.0))) == sorted(map(str, first))
    site.server.is_silent = False
    for _ in range(200):
        if site.resolver.resolve_now(uri) is not None:
            break
        await asyncio.sleep(0.05)
    assert site.server.asked["a.example.com.", "A"] >= 2


async def test_a_new_name_is_waited_for_no_longer_than_asked(site: Site) -> None:
    site.server.is_silent = True
    async with asyncio.timeout(1.0):
        assert await site.resolver.find(Uri.parse("sip:1@a.example.com"), 0.1) == []


async def test_a_name_of_the_hosts_file_has_no_services_to_ask_for(site: Site) -> None:
    site.server.is_silent = True
    hops = site.resolver.resolve_now(Uri.parse("sip:1@carrier"))
    assert hops == [Hop("udp", "192.0.2.50", 5060), Hop("udp", "2001:db8::50", 5060)]
