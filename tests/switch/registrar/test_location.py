# SPDX-License-Identifier: Apache-2.0
"""The location service: what it writes, what it finds, and how it keeps phones reachable."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from billing_client.types import StoreRefused, StoreUnavailable
from switch.registrar.bindings import Location
from switch.sip.binding_rules import Binding, Registration
from switch.sip.destination import Carrier, Destinations
from switch.sip.message.flow import Flow
from switch.sip.message.message import Response
from tests.switch.location_doubles import FakeStore, FakeTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from billing_client.store import Store
    from switch.sip.transport import Transport

pytestmark = pytest.mark.asyncio

NOW = 1_700_000_000.0
LOCAL = ("198.51.100.1", 5060)
UDP = Flow("udp", LOCAL, ("192.0.2.10", 40000))
TCP = Flow("tcp", LOCAL, ("192.0.2.10", 41000), 7)
NATTED = "udp:192.0.2.10:40000"


@dataclass
class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


class Site:
    """A location service on doubles."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = FakeStore()
        self.transport = FakeTransport()
        self.sources: dict[str, float] = {}
        self.destinations = Destinations(proxies=("192.0.2.1", "192.0.2.2"))
        self.location = self.node("sw1")

    def node(self, name: str) -> Location:
        return Location(
            cast("Store", self.store),
            cast("Transport", self.transport),
            node=name,
            clock=self.clock,
            on_source=self.sources.__setitem__,
            destinations=lambda: self.destinations,
        )

    def binding(self, contact: str = "sip:1@192.0.2.10", **fields: object) -> Binding:
        binding = Binding(contact, contact, None, (), self.clock.now + 300, 1.0, "a", 1, None, None, "")
        return replace(binding, **fields)  # type: ignore[arg-type]

    def register(self, *bindings: Binding, aor: str = "101", flow: Flow = UDP, at: Location | None = None) -> None:
        (at or self.location).update(aor, Registration(Response(200, "OK", []), bindings, bindings), flow)

    def remove(self, key: str, aor: str = "101") -> None:
        self.location.update(aor, Registration(Response(200, "OK", []), (), (), (key,)), UDP)

    def found(self, aor: str = "101") -> list[tuple[str, Flow]]:
        return [(t.uri, t.flow) for t in self.location.lookup(aor, self.store.of(aor))]


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr("switch.registrar.bindings._WRITE_SECONDS", 0.0)
    monkeypatch.setattr("switch.registrar.bindings._RETRY_SECONDS", 0.0)
    monkeypatch.setattr("switch.registrar.bindings._TICK_SECONDS", 0.0)
    return Site()


@asynccontextmanager
async def running(location: Location) -> AsyncIterator[Location]:
    await location.start()
    try:
        yield location
    finally:
        await location.close()


async def until(is_true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if is_true():
            return
        await asyncio.sleep(0)
    pytest.fail("it did not come")


# writing ------------------------------------------------------------------------------------------------------------
async def test_changes_are_written_in_batches_the_latest_of_each_binding(site: Site) -> None:
    async with running(site.location):
        for cseq in range(1, 50):
            for aor in ("101", "102"):
                site.register(site.binding(cseq=cseq), aor=aor)
        await until(lambda: site.location.unwritten == 0)
        assert sum(upserts for upserts, _ in site.store.batches) == 2
        assert [row.cseq for row in site.store.rows.values()] == [49, 49]
        assert {row.socket for row in site.store.rows.values()} == {"udp:198.51.100.1:5060"}


async def test_a_batch_is_bounded(site: Site) -> None:
    async with running(site.location):
        for number in range(1200):
            site.register(site.binding(), aor=str(number))
        await until(lambda: site.location.unwritten == 0)
        assert [upserts for upserts, _ in site.store.batches] == [500, 500, 200]
        assert len(site.location) == 1200


async def test_a_removal_is_written_and_wins_over_an_earlier_change(site: Site) -> None:
    async with running(site.location):
        site.register(site.binding())
        await until(lambda: site.location.unwritten == 0)
        site.register(site.binding(cseq=2))
        site.remove("sip:1@192.0.2.10")
        await until(lambda: site.location.unwritten == 0)
        assert site.store.rows == {}
        assert len(site.location) == 0


async def test_nothing_is_lost_while_the_store_is_away(site: Site) -> None:
    async with running(site.location):
        site.register(site.binding())
        await until(lambda: site.location.unwritten == 0)
        site.store.error = StoreUnavailable("away")
        site.register(site.binding("sip:2@192.0.2.10"))
        site.remove("sip:1@192.0.2.10")
        for _ in range(20):
            await asyncio.sleep(0)
        assert site.location.unwritten == 2
        site.store.error = None
        await until(lambda: site.location.unwritten == 0)
        assert [row.contact for row in site.store.rows.values()] == ["sip:2@192.0.2.10"]


async def test_a_refused_batch_does_not_stop_the_next(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    async with running(site.location):
        site.store.error = StoreRefused("no")
        site.register(site.binding())
        await until(lambda: site.location.unwritten == 0)
        site.store.error = None
        site.register(site.binding(), aor="102")
        await until(lambda: site.location.unwritten == 0)
        assert [row.aor for row in site.store.rows.values()] == ["102"]
        assert "refused" in caplog.text


async def test_stopping_writes_the_rest_even_of_a_write_in_flight(site: Site) -> None:
    async with running(site.location):
        site.store.pause()
        site.register(site.binding())
        for _ in range(10):
            await asyncio.sleep(0)
        site.register(site.binding(), aor="102")
        assert site.location.unwritten == 2
        asyncio.get_running_loop().call_later(0.02, site.store.resume)
    assert sorted(row.aor for row in site.store.rows.values()) == ["101", "102"]


async def test_expired_bindings_are_forgotten_here_and_left_to_the_store(site: Site) -> None:
    async with running(site.location):
        site.register(site.binding(expires_at=NOW + 60), site.binding("sip:2@192.0.2.10"))
        await until(lambda: site.location.unwritten == 0)
        site.clock.now += 80
        assert [binding.contact for binding in site.location.bindings("101")] == ["sip:2@192.0.2.10"]
        await until(lambda: len(site.location) == 1)
        assert site.location.unwritten == 0
        assert len(site.store.rows) == 2


async def test_a_refreshed_binding_is_not_forgotten(site: Site) -> None:
    async with running(site.location):
        site.register(site.binding(expires_at=NOW + 60))
        site.clock.now += 50
        site.register(site.binding(expires_at=site.clock.now + 60))
        for _ in range(10):
            site.clock.now += 8
            for _ in range(5):
                await asyncio.sleep(0)
            assert len(site.location) == (1 if site.clock.now < NOW + 110 else len(site.location))
        await until(lambda: len(site.location) == 0)


# finding ------------------------------------------------------------------------------------------------------------
async def test_a_registration_is_found_before_it_is_written(site: Site) -> None:
    site.register(site.binding())
    assert site.found() == [("sip:1@192.0.2.10", Flow("udp", LOCAL, ("192.0.2.10", 5060)))]


async def test_a_removal_counts_before_it_is_written(site: Site) -> None:
    site.store.rows["101", "k"] = site.store.row("101", "sip:1@192.0.2.10", key="k", expires_at=NOW + 300)
    assert len(site.found()) == 1
    site.remove("k")
    assert site.found() == []


async def test_what_was_removed_elsewhere_is_gone_here(site: Site) -> None:
    async with running(site.location):
        site.register(site.binding())
        await until(lambda: site.location.unwritten == 0)
        site.store.rows.clear()
        assert len(site.found()) == 1, "too new to tell"
        site.clock.now += 11
        assert site.found() == []


async def test_a_phone_that_moved_to_another_node_is_found_there(site: Site) -> None:
    async with running(site.location):
        site.register(site.binding(received="tcp:192.0.2.10:41000"), flow=TCP)
        await until(lambda: site.location.unwritten == 0)
        other = site.store.row(
            "101", "sip:1@192.0.2.10", node="sw2", received="udp:203.0.113.5:5070", expires_at=NOW + 500
        )
        site.store.rows["101", "sip:1@192.0.2.10"] = other
        assert site.found() == [("sip:1@192.0.2.10", Flow("udp", LOCAL, ("203.0.113.5", 5070)))]
        site.register(site.binding(expires_at=NOW + 100))
        assert site.found()[0][1].remote == ("192.0.2.10", 5060), "and back, with a shorter time"


async def test_expired_rows_and_bindings_are_not_tried(site: Site) -> None:
    site.store.rows["101", "k"] = site.store.row("101", "sip:9@192.0.2.10", expires_at=NOW - 1)
    site.register(site.binding(expires_at=NOW + 1))
    assert len(site.found()) == 1
    site.clock.now += 2
    assert site.found() == []


async def test_best_q_comes_first(site: Site) -> None:
    site.register(*(site.binding(f"sip:{n}@192.0.2.10", q=q) for n, q in ((1, 0.1), (2, 1.0), (3, 0.5))))
    assert [uri for uri, _ in site.found()] == ["sip:2@192.0.2.10", "sip:3@192.0.2.10", "sip:1@192.0.2.10"]


@pytest.mark.parametrize(
    ("contact", "fields", "flow", "way"),
    [
        ("sip:1@192.0.2.10:5070", {}, UDP, Flow("udp", LOCAL, ("192.0.2.10", 5070))),
        ("sip:1@10.0.0.5:5070", {"received": NATTED}, UDP, UDP),
        ("sip:1@192.0.2.10;transport=tcp", {}, UDP, Flow("tcp", LOCAL, ("192.0.2.10", 5060))),
        ("sip:1@[2001:db8::5]", {}, UDP, Flow("udp", LOCAL, ("2001:db8::5", 5060))),
        ("sip:1@x;maddr=192.0.2.99", {}, UDP, None),
        ("sip:1@10.0.0.5", {"received": "tcp:192.0.2.10:41000"}, TCP, TCP),
        ("sip:1@10.0.0.5", {"path": ("<sip:192.0.2.1:5080;lr>",)}, UDP, Flow("udp", LOCAL, ("192.0.2.1", 5080))),
        ("sip:1@10.0.0.5", {"path": ("sip:192.0.2.1;lr",)}, UDP, Flow("udp", LOCAL, ("192.0.2.1", 5060))),
        ("sip:1@phone.example.com", {}, UDP, None),
        ("sips:1@192.0.2.10", {}, UDP, None),
        ("sip:1@192.0.2.10;transport=ws", {}, UDP, None),
    ],
)
async def test_the_way_to_a_contact(
    site: Site, contact: str, fields: dict[str, object], flow: Flow, way: Flow | None
) -> None:
    site.transport.open.add(7)
    site.register(site.binding(contact, **fields), flow=flow)
    assert site.found() == ([] if way is None else [(contact, way)])


async def test_path_becomes_the_route(site: Site) -> None:
    site.register(site.binding(path=("<sip:192.0.2.1;lr>", "sip:192.0.2.2;lr")))
    (target,) = site.location.lookup("101", [])
    assert target.routes == ("<sip:192.0.2.1;lr>", "<sip:192.0.2.2;lr>")


@pytest.mark.parametrize(
    ("contact", "fields", "why"),
    [
        ("sip:1@203.0.113.9", {}, "a carrier"),
        ("sip:1@203.0.113.9:5071", {}, "a carrier at any of its ports"),
        ("sip:1@[::ffff:203.0.113.9]", {}, "the same, spelled as IPv6"),
        ("sip:1@127.0.0.1:5080", {}, "the media server"),
        ("sip:1@198.51.100.1:5060", {}, "ourselves"),
        ("sip:1@0.0.0.0:5080", {}, "no machine"),
        ("sip:1@239.1.2.3", {}, "many machines"),
        ("sip:1@192.0.2.10", {"received": "udp:203.0.113.9:5060"}, "registered from there"),
        ("sip:1@10.0.0.5", {"path": ("<sip:192.0.2.3;lr>",)}, "by a proxy that is not ours"),
        ("sip:1@10.0.0.5", {"path": ("<sip:192.0.2.1;lr>", "<sip:203.0.113.9;lr>")}, "behind ours"),
        ("sip:1@203.0.113.9", {"path": ("<sip:192.0.2.1;lr>",)}, "by ours to a carrier"),
        ("sip:1@10.0.0.5;maddr=203.0.113.9", {"path": ("<sip:192.0.2.1;lr>",)}, "by ours and maddr"),
    ],
)
async def test_rows_that_lead_astray_ring_nobody_whoever_wrote_them(
    site: Site, contact: str, fields: dict[str, Any], why: str
) -> None:
    """Case A3, A4."""
    site.destinations = Destinations(
        proxies=("192.0.2.1",),
        carriers=(Carrier(1, "carrier", "203.0.113.9", 5060),),
        server=("127.0.0.1", 5080),
        listeners=(("198.51.100.1", 5060),),
    )
    site.store.rows["101", "k"] = site.store.row("101", contact, node="sw2", expires_at=NOW + 100, **fields)
    assert site.found() == [], why


async def test_a_phone_is_pinged_no_more_once_its_address_is_a_carriers(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("switch.registrar.bindings._TICK_SECONDS", 0.0)
    monkeypatch.setattr("switch.registrar.keep_alive._PING_SLOTS", 1)
    site.location = site.node("sw1")
    site.register(site.binding("sip:1@10.0.0.5", received=NATTED))
    async with running(site.location):
        await until(lambda: bool(site.transport.sent))
        site.destinations = Destinations(carriers=(Carrier(1, "carrier", UDP.remote[0], 5060),))
        await asyncio.sleep(0.01)
        count = len(site.transport.sent)
        await asyncio.sleep(0.02)
        assert len(site.transport.sent) == count


async def test_a_dead_connection_is_not_tried_unless_the_phone_can_be_connected_to(site: Site) -> None:
    received = "tcp:192.0.2.10:41000"
    site.register(site.binding("sip:1@10.0.0.5;transport=tcp", received=received), flow=TCP)
    site.register(site.binding("sip:1@192.0.2.10;transport=tcp", received=received), flow=TCP)
    assert site.found() == [("sip:1@192.0.2.10;transport=tcp", Flow("tcp", LOCAL, ("192.0.2.10", 5060)))]


async def test_one_flow_of_a_phone_at_a_time_the_latest_that_lives(site: Site) -> None:
    site.transport.open.add(7)
    for number, flow in ((1, TCP), (2, replace(TCP, connection=8))):
        site.clock.now += 1
        site.register(
            site.binding(
                "sip:1@10.0.0.5", key=f"i;{number}", instance="i", reg_id=number, received="tcp:192.0.2.10:41000"
            ),
            flow=flow,
        )
    assert site.found() == [("sip:1@10.0.0.5", TCP)]
    site.transport.open.add(8)
    assert site.found() == [("sip:1@10.0.0.5", replace(TCP, connection=8))]


# an earlier life ----------------------------------------------------------------------------------------------------
async def test_bindings_of_an_earlier_life_are_taken_back(site: Site) -> None:
    row = site.store.row("101", "sip:1@10.0.0.5", received=NATTED, expires_at=NOW + 90)
    site.store.rows["101", row.key] = row
    dead = site.store.row("102", "sip:2@10.0.0.6", received="tcp:192.0.2.11:41000", expires_at=NOW + 90)
    site.store.rows["102", dead.key] = dead
    for number in range(600):
        site.store.rows[f"x{number}", "k"] = site.store.row(f"x{number}", "sip:x@192.0.2.12", expires_at=NOW + 5)
    async with running(site.location):
        assert len(site.location) == 602
        assert site.found() == [("sip:1@10.0.0.5", UDP)]
        assert site.found("102") == [], "only the phone can open that connection again"
        assert site.sources == {"192.0.2.10": 90, "192.0.2.11": 90, "192.0.2.12": 5}


async def test_a_phone_that_came_during_the_start_is_newer(site: Site) -> None:
    row = site.store.row("101", "sip:1@192.0.2.10", expires_at=NOW + 30)
    site.store.rows["101", row.key] = row
    site.register(site.binding(cseq=99))
    async with running(site.location):
        assert [binding.cseq for binding in site.location.bindings("101")] == [99]


async def test_a_restart_keeps_everything(site: Site) -> None:
    async with running(site.location):
        site.register(site.binding("sip:1@10.0.0.5", received=NATTED), site.binding("sip:2@192.0.2.10"))
        before = site.found()
    site.location = site.node("sw1")
    async with running(site.location):
        assert site.found() == before
        assert {binding.key for binding in site.location.bindings("101")} == {"sip:1@10.0.0.5", "sip:2@192.0.2.10"}


# keep-alive ---------------------------------------------------------------------------------------------------------
async def test_bindings_behind_nat_are_pinged_evenly_each_once_a_round(site: Site) -> None:
    ring = site.location._pings
    for number in range(300):
        flow = Flow("udp", LOCAL, (f"192.0.2.{number % 250}", 40000 + number))
        natted = site.binding("sip:1@10.0.0.5", received=f"udp:{flow.remote[0]}:{flow.remote[1]}")
        site.register(natted, aor=str(number), flow=flow)
        site.register(natted, aor=f"second line {number}", flow=flow)
        site.register(site.binding("sip:1@192.0.2.1"), aor=f"public {number}")
    ticks = [ring.due(NOW) for _ in range(100)]
    assert {len(tick) for tick in ticks} == {3}
    assert len({flow for tick in ticks for flow in tick}) == 300


async def test_pings_are_sent_and_end_with_the_registration(site: Site) -> None:
    async with running(site.location):
        site.register(site.binding("sip:1@10.0.0.5", received=NATTED, expires_at=NOW + 100))
        await until(lambda: len(site.transport.sent) > 2)
        assert set(site.transport.sent) == {(b"\r\n\r\n", UDP)}
        site.clock.now += 101
        for _ in range(300):
            await asyncio.sleep(0)
        sent = len(site.transport.sent)
        for _ in range(300):
            await asyncio.sleep(0)
        assert len(site.transport.sent) == sent
        assert not site.location._pings._slot_of


# the store's clock ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
async def test_bindings_last_as_long_as_they_would_have_when_the_stores_clock_is_set(
    site: Site, seconds: float
) -> None:
    """Case H4: in memory nothing moves; rows of the store are read and written by its own clock."""
    ahead = 0.0
    location = Location(
        cast("Store", site.store),
        cast("Transport", site.transport),
        node="sw1",
        clock=site.clock,
        ahead=lambda: ahead,
        destinations=lambda: site.destinations,
    )
    site.location = location
    async with running(location):
        for number in range(1200):
            site.register(site.binding(), aor=str(number))
        await until(lambda: location.unwritten == 0)
        ahead = seconds
        location.clock_set(seconds)
        site.clock.now += 11  # the store has none of them any more, or keeps all too long
        assert location.lookup("7", [])
        await until(lambda: location.unwritten == 0 and sum(count for count, _ in site.store.batches) >= 2400)
        assert {row.expires_at.timestamp() for row in site.store.rows.values()} == {NOW + 300 + seconds}
        assert location.lookup("7", site.store.of("7"))
        site.clock.now += 290
        assert not location.lookup("7", site.store.of("7"))
        site.clock.now += 20  # they are forgotten a span later
        await until(lambda: len(location) == 0)


async def test_a_binding_that_was_removed_elsewhere_stays_removed_once_the_rows_are_right(site: Site) -> None:
    """Case H4: what the store lacks is believed again after the step."""
    async with running(site.location) as location:
        site.register(site.binding())
        await until(lambda: location.unwritten == 0)
        location.clock_set(3600.0)
        site.clock.now += 11
        assert location.lookup("101", [])
        await until(lambda: location._restating == 0 and location.unwritten == 0)
        assert not location.lookup("101", [])
