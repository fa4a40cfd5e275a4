# SPDX-License-Identifier: Apache-2.0
"""The switch's side of the ng protocol, against the relay of the media process."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.relay.bencode import encode
from switch.relay.bencode import BencodeError, bdecode, bencode
from switch.relay.ng import NgError, NgRelay, RelayFull, RelayUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

VALUES = st.recursive(
    st.integers(min_value=-(2**63), max_value=2**63) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc-", max_size=5), inner, max_size=4),
    max_leaves=12,
)


class Answerer(asyncio.DatagramProtocol):
    """A relay that answers each command with what a test says, after losing as many as it says."""

    def __init__(self, answer: dict[str, object], lose: int = 0) -> None:
        self.answer = answer
        self.lose = lose
        self.received: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A command."""
        self.received.append(data)
        if self.lose > 0:
            self.lose -= 1
            return
        cookie = data.partition(b" ")[0]
        self.transport.sendto(cookie + b" " + bencode(self.answer), addr)


def _itself(answerer: Answerer) -> Answerer:
    return answerer


@asynccontextmanager
async def relay(*answerers: Answerer) -> AsyncIterator[NgRelay]:
    """A client of these relays."""
    loop = asyncio.get_running_loop()
    transports = []
    for answerer in answerers:
        transport, _ = await loop.create_datagram_endpoint(partial(_itself, answerer), local_addr=("127.0.0.1", 0))
        transports.append(transport)
    client = NgRelay(tuple(transport.get_extra_info("sockname")[:2] for transport in transports))
    await client.start()
    try:
        yield client
    finally:
        client.close()
        for transport in transports:
            transport.close()


@given(VALUES)
def test_what_is_encoded_is_decoded_and_both_codecs_agree(value: object) -> None:
    assert bdecode(bencode(value)) == value
    assert bencode(value) == encode(value)  # type: ignore[arg-type]


@given(st.binary(max_size=60))
def test_any_octets_decode_or_are_refused(data: bytes) -> None:
    with suppress(BencodeError):
        bdecode(data)


@pytest.mark.asyncio
async def test_a_lost_command_is_sent_again_with_the_same_cookie() -> None:
    answerer = Answerer({"result": "ok", "sdp": b"rewritten"}, lose=1)
    async with relay(answerer) as client:
        assert await client.offer("call", "a", b"v=0", "192.0.2.1") == b"rewritten"
    assert len(answerer.received) == 2
    assert answerer.received[0] == answerer.received[1]


@pytest.mark.asyncio
async def test_a_refusal_carries_the_reason_of_the_relay() -> None:
    async with relay(Answerer({"result": "error", "error-reason": "no codec"})) as client:
        with pytest.raises(NgError, match="no codec"):
            await client.offer("call", "a", b"v=0", "192.0.2.1")
        assert await client.query("call") is None


@pytest.mark.asyncio
async def test_a_relay_without_ports_gives_way_to_the_next_for_a_new_call_only() -> None:
    full = Answerer({"result": "error", "error-reason": "Ran out of ports"})
    roomy = Answerer({"result": "ok", "sdp": b"x"})
    async with relay(full, roomy) as client:
        for number in range(4):
            assert await client.offer(f"call{number}", "a", b"v=0", "192.0.2.1") == b"x"
        roomy.answer = full.answer
        with pytest.raises(RelayFull, match="No media ports are left"):
            await client.offer("call0", "a", b"v=0", "192.0.2.1")
        with pytest.raises(RelayFull, match="No media ports are left"):
            await client.offer("another", "a", b"v=0", "192.0.2.1")


@pytest.mark.asyncio
async def test_a_dead_relay_gives_way_to_the_next_and_a_call_stays_where_it_is() -> None:
    dead, alive = Answerer({}, lose=1000), Answerer({"result": "ok", "sdp": b"x"})
    async with relay(dead, alive) as client:
        for number in range(3):
            assert await client.offer(f"call{number}", "a", b"v=0", "2001:db8::1") == b"x"
        before = len(dead.received)
        assert await client.answer("call0", "a", "b1", b"v=0", "192.0.2.2") == b"x"
        assert len(dead.received) == before


@pytest.mark.asyncio
async def test_without_any_relay_the_command_fails_in_bounded_time() -> None:
    async with relay(Answerer({}, lose=1000)) as client:
        with pytest.raises(RelayUnavailable):
            await client.offer("call", "a", b"v=0", "192.0.2.1")
        assert not await client.answers(client.addresses[0])
