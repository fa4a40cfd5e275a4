# SPDX-License-Identifier: Apache-2.0
"""The sockets: messages in and out over UDP and TCP, keep-alive, reuse and limits of connections, failures."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from switch.sip.message.flow import Flow, Hop, Listen
from switch.sip.message.message import Request, Response
from switch.sip.transport import StreamLimits, Transport
from switch.sip.transport.flood import FloodGuard
from tests.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from switch.sip.message.errors import ParseError

pytestmark = pytest.mark.asyncio

REQUEST = (
    b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\n"
    b"Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)
RESPONSE = REQUEST.replace(b"OPTIONS sip:x SIP/2.0", b"SIP/2.0 200 OK")
BOTH = (Listen("udp", "127.0.0.1", 0), Listen("tcp", "127.0.0.1", 0))


async def until(is_so: Callable[[], bool]) -> None:
    """Wait, a loop turn at a time."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_so():  # noqa: ASYNC110 (nothing announces it)
            await asyncio.sleep(0)


class Site:
    """A transport and what came out of it."""

    def __init__(self, listens: tuple[Listen, ...] = BOTH, **options: Any) -> None:
        self.received: asyncio.Queue[tuple[Request | Response, Flow]] = asyncio.Queue()
        self.malformed: asyncio.Queue[tuple[ParseError, Flow]] = asyncio.Queue()
        self.failed: asyncio.Queue[tuple[Flow, bytes]] = asyncio.Queue()
        self.closed: asyncio.Queue[Flow] = asyncio.Queue()
        self.now = 1000.0
        options.setdefault("flood", FloodGuard(requests=0))
        self.transport = Transport(
            listens,
            on_message=lambda message, flow: self.received.put_nowait((message, flow)),
            on_malformed=lambda error, flow: self.malformed.put_nowait((error, flow)),
            on_failed=lambda flow, data: self.failed.put_nowait((flow, data)),
            on_closed=self.closed.put_nowait,
            clock=lambda: self.now,
            **options,
        )

    def hop(self, transport: str) -> Hop:
        return next(Hop(kind, host, port) for kind, host, port in self.transport.bound if kind == transport)

    async def message(self) -> tuple[Request | Response, Flow]:
        return await asyncio.wait_for(self.received.get(), PATIENCE_SECONDS)


@asynccontextmanager
async def site(*listens: Listen, **options: Any) -> AsyncIterator[Site]:
    running = Site(listens or BOTH, **options)
    await running.transport.start()
    try:
        yield running
    finally:
        await running.transport.close()


@asynccontextmanager
async def stream(to: Site) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    hop = to.hop("tcp")
    reader, writer = await asyncio.open_connection(hop.host, hop.port)
    try:
        yield reader, writer
    finally:
        writer.close()


def udp_socket() -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind(("127.0.0.1", 0))
    opened.setblocking(False)
    return opened


@pytest.mark.parametrize("kind", ["udp", "tcp"])
async def test_a_request_gets_there_and_its_response_comes_back_on_the_same_flow(kind: str) -> None:
    async with site() as here, site() as there:
        here.transport.send(REQUEST, here.transport.flow_to(there.hop(kind)))
        request, flow = await there.message()
        assert isinstance(request, Request)
        assert (flow.transport, flow.is_reliable) == (kind, kind == "tcp")
        there.transport.send(RESPONSE, flow)
        response, back = await here.message()
        assert isinstance(response, Response)
        assert back.remote[1] == there.hop(kind).port


async def test_ipv6_is_a_family_of_its_own() -> None:
    try:
        socket.socket(socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    listens = (Listen("udp", "::1", 0), Listen("tcp", "::1", 0), *BOTH)
    async with site(*listens) as here, site(*listens) as there:
        for kind in ("udp", "tcp"):
            hop = next(Hop(*bound) for bound in there.transport.bound if bound[:2] == (kind, "::1"))
            here.transport.send(REQUEST, here.transport.flow_to(hop))
            _, flow = await there.message()
            assert flow.remote[0] == "::1"
            assert len(flow.remote) == 2
            assert there.transport.sent_by(flow) == f"[::1]:{hop.port}"


async def test_one_connection_serves_both_ways_and_many_messages() -> None:
    async with site() as here, site() as there:
        flow = here.transport.flow_to(there.hop("tcp"))
        for _ in range(3):
            here.transport.send(REQUEST, flow)
        flows = {(await there.message())[1] for _ in range(3)}
        assert len(flows) == 1
        there.transport.send(REQUEST, flows.pop())
        await here.message()
        here.transport.send(REQUEST, flow)
        await there.message()
        assert here.transport.dump()["connections"] == there.transport.dump()["connections"] == 1


async def test_a_message_in_pieces_and_several_at_once() -> None:
    async with site() as here, stream(here) as (_, writer):
        data = REQUEST * 3
        for at in range(0, len(data), 100):
            writer.write(data[at : at + 100])
            await writer.drain()
            await asyncio.sleep(0)
        for _ in range(3):
            await here.message()


async def test_pings_are_answered() -> None:
    async with site() as here, stream(here) as (reader, writer):
        writer.write(b"\r\n\r\n")
        assert await asyncio.wait_for(reader.readexactly(2), PATIENCE_SECONDS) == b"\r\n"
        with udp_socket() as phone:
            loop = asyncio.get_running_loop()
            hop = here.hop("udp")
            phone.sendto(b"\0\0\0\0", (hop.host, hop.port))
            phone.sendto(b"\r\n", (hop.host, hop.port))
            phone.sendto(b"", (hop.host, hop.port))
            phone.sendto(b"\r\n\r\n", (hop.host, hop.port))
            assert await asyncio.wait_for(loop.sock_recv(phone, 100), PATIENCE_SECONDS) == b"\r\n"
        assert here.received.empty()
        assert here.malformed.empty()


async def test_stun_binding_requests_are_answered() -> None:
    async with site() as here:
        with udp_socket() as phone:
            hop = here.hop("udp")
            phone.sendto(struct.pack("!HHI12s", 1, 0, 0x2112A442, b"transaction!"), (hop.host, hop.port))
            answer = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(phone, 100), PATIENCE_SECONDS)
            assert answer[:2] == b"\x01\x01"
            assert answer[8:20] == b"transaction!"


async def test_empty_lines_before_a_datagram_are_ignored() -> None:
    async with site() as here:
        with udp_socket() as phone:
            hop = here.hop("udp")
            phone.sendto(b"\r\n" + REQUEST, (hop.host, hop.port))
            await here.message()


async def test_garbage_is_reported_with_its_flow() -> None:
    async with site() as here:
        with udp_socket() as phone:
            hop = here.hop("udp")
            phone.sendto(b"no SIP at all", (hop.host, hop.port))
            error, flow = await asyncio.wait_for(here.malformed.get(), PATIENCE_SECONDS)
            assert error.status == 400
            assert flow.remote == phone.getsockname()


async def test_a_stream_that_cannot_be_cut_is_closed() -> None:
    async with site() as here, stream(here) as (reader, writer):
        writer.write(REQUEST.replace(b"Content-Length: 0\r\n", b""))
        error, _ = await asyncio.wait_for(here.malformed.get(), PATIENCE_SECONDS)
        assert error.status == 400
        assert await asyncio.wait_for(reader.read(), PATIENCE_SECONDS) == b""


async def test_a_listener_survives_whatever_a_message_triggers(caplog: pytest.LogCaptureFixture) -> None:
    async with site() as here:
        heard = asyncio.Event()

        def explode(*_: object) -> None:
            heard.set()
            raise RuntimeError("a bug")

        edge = here.transport._edge
        edge._on_message, taken = explode, edge._on_message
        with udp_socket() as phone:
            hop = here.hop("udp")
            phone.sendto(REQUEST, (hop.host, hop.port))
            await asyncio.wait_for(heard.wait(), PATIENCE_SECONDS)
            edge._on_message = taken
            phone.sendto(REQUEST, (hop.host, hop.port))
            await here.message()
        assert "a bug" in caplog.text


# failures -----------------------------------------------------------------------------------------------------------
async def test_a_refused_connection_reports_every_message_that_waited() -> None:
    async with site() as here:
        with socket.create_server(("127.0.0.1", 0)) as closing:
            hop = Hop("tcp", *closing.getsockname()[:2])
        flow = here.transport.flow_to(hop)
        here.transport.send(b"one", flow)
        here.transport.send(b"two", flow)
        assert here.failed.empty(), "never from within send"
        assert [(await asyncio.wait_for(here.failed.get(), PATIENCE_SECONDS))[1] for _ in range(2)] == [b"one", b"two"]


async def test_a_closed_connection_is_told_and_its_flow_fails() -> None:
    async with site() as here:
        async with stream(here) as (_, writer):
            writer.write(REQUEST)
            _, flow = await here.message()
            assert here.transport.is_open(flow)
        assert await asyncio.wait_for(here.closed.get(), PATIENCE_SECONDS) == flow
        assert not here.transport.is_open(flow)
        here.transport.send(RESPONSE, flow)
        assert await asyncio.wait_for(here.failed.get(), PATIENCE_SECONDS) == (flow, RESPONSE)


async def test_an_address_that_cannot_be_sent_to_fails() -> None:
    async with site() as here:
        flow = Flow("udp", (here.hop("udp").host, here.hop("udp").port), ("127.0.0.1", 9))
        here.transport.send(b"x" * 70_000, flow)
        assert (await asyncio.wait_for(here.failed.get(), PATIENCE_SECONDS))[0] == flow
        stranger = Flow("udp", ("192.0.2.1", 5060), ("127.0.0.1", 9))
        here.transport.send(b"x", stranger)
        assert (await asyncio.wait_for(here.failed.get(), PATIENCE_SECONDS))[0] == stranger
        assert not here.transport.is_open(stranger)


async def test_a_taken_address_is_named_and_nothing_stays_bound() -> None:
    async with site(Listen("udp", "127.0.0.1", 0)) as here:
        free = Listen("tcp", "127.0.0.1", 0)
        taken = Listen("udp", "127.0.0.1", here.hop("udp").port)
        there = Site((free, taken))
        with pytest.raises(OSError, match=f"udp:127.0.0.1:{taken.port}") as caught:
            await there.transport.start()
        assert caught.value.errno == errno.EADDRINUSE
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", there.hop("tcp").port)


# limits -------------------------------------------------------------------------------------------------------------
async def test_a_flood_of_requests_is_not_heard_but_responses_are() -> None:
    async with site(flood=FloodGuard(requests=3, drop_user_agents=("scanner",))) as here:
        with udp_socket() as phone:
            hop = here.hop("udp")
            scan = REQUEST.replace(b"Call-ID", b"User-Agent: Scanner/1\r\nCall-ID")
            for data in (scan, REQUEST, REQUEST, REQUEST, REQUEST, RESPONSE):
                phone.sendto(data, (hop.host, hop.port))
            heard = [(await here.message())[0] for _ in range(3)]
            assert [type(message) for message in heard] == [Request, Request, Response]
            assert here.received.empty()
            dump = here.transport.dump()
            assert (dump["scanners"], dump["flood_dropped"]) == (1, 2)


async def test_a_stranger_may_hold_only_so_many_connections() -> None:
    guard = FloodGuard()
    async with site(limits=StreamLimits(per_stranger=1), flood=guard) as here, stream(here) as (_, first):
        first.write(REQUEST)
        await here.message()
        async with stream(here) as (reader, _):
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await asyncio.wait_for(reader.readexactly(1), PATIENCE_SECONDS)
        guard.trust("127.0.0.1", until=here.now + 10)
        async with stream(here) as (_, second):
            second.write(REQUEST)
            await here.message()
        assert here.transport.dump()["refused_connections"] == 1


async def test_connections_that_bring_nothing_whole_are_closed() -> None:
    async with site() as here, stream(here) as (slow, writer), stream(here) as (_, good):
        writer.write(REQUEST[:50])
        good.write(REQUEST)
        await here.message()
        await asyncio.sleep(0.05)
        here.now += 16
        here.transport._sweep()
        assert await asyncio.wait_for(slow.read(), PATIENCE_SECONDS) == b""
        assert here.transport.dump()["connections"] == 1


async def test_idle_connections_are_closed() -> None:
    async with site(limits=StreamLimits(idle_seconds=100)) as here, stream(here) as (reader, writer):
        writer.write(REQUEST)
        await here.message()
        here.now += 101
        here.transport._sweep()
        assert await asyncio.wait_for(reader.read(), PATIENCE_SECONDS) == b""


async def test_a_connection_gets_its_share_and_others_have_their_turn_between() -> None:
    """Case G7: thousands of requests in one connection do not hold up a datagram, nor another connection."""
    async with site() as here, stream(here) as (_, greedy), stream(here) as (_, other):
        seen: list[str] = []
        here.transport._edge._on_message = lambda _message, flow: seen.append(
            "other" if flow.transport == "udp" or flow.remote == other.get_extra_info("sockname") else "greedy"
        )
        with udp_socket() as phone:
            hop = here.hop("udp")
            greedy.write(REQUEST * 4000)
            await until(lambda: bool(seen))
            phone.sendto(REQUEST, (hop.host, hop.port))
            other.write(REQUEST)
            await until(lambda: seen.count("other") == 2)
            assert seen.count("greedy") < 400
            await until(lambda: len(seen) == 4002)


@pytest.mark.parametrize("pieces", [b"\r\n\r\n", REQUEST, REQUEST + b"\r\n\r\n", b"\r\n\r\n\r\n"])
async def test_what_waits_for_its_turn_is_neither_lost_nor_doubled(pieces: bytes) -> None:
    async with site() as here, stream(here) as (reader, writer):
        writer.write(pieces * 500 + RESPONSE)
        async with asyncio.timeout(PATIENCE_SECONDS):
            requests = 0
            while not isinstance((await here.message())[0], Response):
                requests += 1
        assert requests == (500 if REQUEST in pieces else 0)
        assert here.received.empty()
        if pieces == b"\r\n\r\n":
            assert await asyncio.wait_for(reader.readexactly(1000), PATIENCE_SECONDS) == b"\r\n" * 500


async def test_a_peer_that_goes_away_while_much_of_it_waits_harms_nobody() -> None:
    async with site() as here, stream(here) as (_, good):
        async with stream(here) as (_, bad):
            bad.write(REQUEST * 2000)
            await here.message()
            bad.transport.abort()
        good.write(RESPONSE)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not isinstance((await here.message())[0], Response):
                pass


async def test_strangers_do_not_stay_and_those_who_logged_in_do() -> None:
    guard = FloodGuard()
    async with site(flood=guard) as here, stream(here) as (reader, writer):
        writer.write(b"\r\n\r\n" + REQUEST)
        await here.message()
        here.now += 30
        guard.trust("127.0.0.1", until=here.now + 10)
        here.transport._sweep()
        here.now += 40
        async with stream(here) as (late, other):
            other.write(REQUEST)
            await here.message()
            for _ in range(4):
                here.now += 20
                other.write(b"\r\n\r\n")
                await asyncio.sleep(0.01)
                here.transport._sweep()
            assert await asyncio.wait_for(late.read(), PATIENCE_SECONDS) == b"\r\n" * 4
        assert here.transport.dump()["connections"] == 1
        assert await reader.readexactly(2) == b"\r\n"


async def test_all_strangers_together_leave_room_for_others() -> None:
    guard = FloodGuard()
    limits = StreamLimits(strangers=2)
    async with site(limits=limits, flood=guard) as here, stream(here) as (_, one), stream(here) as (_, two):
        for writer in (one, two):
            writer.write(REQUEST)
            await here.message()
        async with stream(here) as (reader, _):
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await asyncio.wait_for(reader.readexactly(1), PATIENCE_SECONDS)
        guard.trust("127.0.0.1", until=here.now + 10)
        async with stream(here) as (_, known):
            known.write(REQUEST)
            await here.message()


async def test_datagrams_ban_nobody_and_connections_only_strangers() -> None:
    """Case G3: 16 requests in 2 s with a forged source."""
    guard = FloodGuard()
    async with site(flood=guard) as here:
        hop = here.hop("udp")
        with udp_socket() as phone:
            for _ in range(10):
                for _ in range(20):
                    phone.sendto(REQUEST[:60], (hop.host, hop.port))
                await asyncio.sleep(0.01)
                here.now += 1
        assert guard.bans == 0
        assert guard.dropped > 0
        async with stream(here) as (_, writer):
            for _ in range(10):
                writer.write(REQUEST * 20)
                await asyncio.sleep(0.02)
                here.now += 1
        assert guard.bans == 1


async def test_a_peer_that_takes_nothing_is_given_up() -> None:
    async with site(limits=StreamLimits(queue_bytes=100_000)) as here, stream(here) as (_, writer):
        writer.write(REQUEST)
        _, flow = await here.message()
        for _ in range(2000):
            here.transport.send(b"x" * 50_000, flow)
            if not here.transport.is_open(flow):
                break
            await asyncio.sleep(0)
        assert await asyncio.wait_for(here.closed.get(), PATIENCE_SECONDS) == flow
        assert not here.failed.empty()


# choosing -----------------------------------------------------------------------------------------------------------
async def test_large_requests_go_by_tcp_until_the_peer_refuses_it() -> None:
    async with site() as here:
        hop = Hop("udp", "127.0.0.1", 9)
        assert here.transport.flow_to(hop, 1300).transport == "udp"
        large = here.transport.flow_to(hop, 1301)
        assert large.transport == "tcp"
        here.transport.send(REQUEST, large)
        await asyncio.wait_for(here.failed.get(), PATIENCE_SECONDS)
        assert here.transport.flow_to(hop, 1301).transport == "udp"
        here.now += 601
        assert here.transport.flow_to(hop, 1301).transport == "tcp"
    async with site(BOTH[0]) as datagrams:
        assert datagrams.transport.flow_to(hop, 1301).transport == "udp"


async def test_no_listener_for_a_hop_is_an_error() -> None:
    async with site() as here:
        for hop in (Hop("tls", "127.0.0.1", 5061), Hop("udp", "2001:db8::1", 5060), Hop("tcp", "192.0.2.1", 5060)):
            with pytest.raises(LookupError):
                here.transport.flow_to(hop)


async def test_what_goes_outside_leaves_from_a_listener_that_is_not_loopback() -> None:
    async with site(Listen("udp", "127.0.0.1", 0), Listen("udp", "0.0.0.0", 0)) as here:
        assert here.transport.flow_to(Hop("udp", "127.0.0.1", 9)).local[0] == "127.0.0.1"
        assert here.transport.flow_to(Hop("udp", "192.0.2.1", 9)).local[0] == "0.0.0.0"


async def test_sent_by_is_what_the_peer_can_reach() -> None:
    async with site(Listen("udp", "0.0.0.0", 0), advertise="198.51.100.1") as here:
        port = here.transport.bound[0][2]
        local = ("0.0.0.0", port)
        assert here.transport.sent_by(Flow("udp", local, ("192.0.2.1", 5060))) == f"198.51.100.1:{port}"
        assert here.transport.sent_by(Flow("udp", local, ("127.0.0.1", 5060))) == f"127.0.0.1:{port}"
    async with site(Listen("udp", "0.0.0.0", 0)) as here:
        flow = Flow("udp", ("0.0.0.0", here.transport.bound[0][2]), ("127.0.0.1", 5060))
        assert here.transport.seen_at(flow) == ("127.0.0.1", flow.local[1])
        assert here.transport.sent_by(flow) == f"127.0.0.1:{flow.local[1]}"
