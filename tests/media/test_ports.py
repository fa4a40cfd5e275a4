# SPDX-License-Identifier: Apache-2.0
"""Media ports: pairs in random order that rest between two calls."""

from __future__ import annotations

import errno
import socket
from random import Random

import pytest

from media.rtp.ports import NoPortsError, PortPair, PortPool, open_pair

QUARANTINE_SECONDS = 30.0


class Opener:
    """Hands out unbound sockets; refuses the ports in `occupied`."""

    def __init__(self, occupied: frozenset[int] = frozenset(), error: int = errno.EADDRINUSE) -> None:
        self.occupied = occupied
        self.error = error

    def __call__(self, port: int, family: int) -> PortPair:
        if port in self.occupied:
            raise OSError(self.error, "refused")
        return PortPair(socket.socket(), socket.socket(), port, family)


def take_all(pool: PortPool, now: float) -> list[PortPair]:
    pairs = []
    while True:
        try:
            pairs.append(pool.take(4, now))
        except NoPortsError:
            return pairs


def close(pairs: list[PortPair]) -> None:
    for pair in pairs:
        pair.close()


@pytest.mark.parametrize(("ports", "expected"), [((20000, 20009), 5), ((20001, 20009), 4), ((20000, 20008), 4)])
def test_every_even_port_with_its_successor_in_the_range_is_given_out_once(
    ports: tuple[int, int], expected: int
) -> None:
    pairs = take_all(PortPool(ports, Opener(), QUARANTINE_SECONDS, Random(1)), 0.0)
    numbers = [pair.port for pair in pairs]
    close(pairs)
    assert len(numbers) == len(set(numbers)) == expected
    assert all(number % 2 == 0 and ports[0] <= number < ports[1] for number in numbers)


def test_the_order_is_random() -> None:
    first = PortPool((20000, 20999), Opener(), 0.0, Random(1)).take(4, 0.0)
    second = PortPool((20000, 20999), Opener(), 0.0, Random(2)).take(4, 0.0)
    close([first, second])
    assert first.port != second.port


def test_a_released_port_rests() -> None:
    pool = PortPool((20000, 20001), Opener(), QUARANTINE_SECONDS, Random(1))
    pool.release(pool.take(4, 0.0), 10.0)
    with pytest.raises(NoPortsError, match="20000-20001 are in use or resting"):
        pool.take(4, 10.0 + QUARANTINE_SECONDS - 0.1)
    close([pool.take(4, 10.0 + QUARANTINE_SECONDS)])


def test_ports_of_others_are_skipped() -> None:
    pool = PortPool((20000, 20003), Opener(frozenset({20000})), QUARANTINE_SECONDS, Random(1))
    pairs = take_all(pool, 0.0)
    close(pairs)
    assert [pair.port for pair in pairs] == [20002]


def test_a_lack_of_sockets_is_told_as_such() -> None:
    pool = PortPool((20000, 20003), Opener(frozenset({20000, 20002}), errno.EMFILE), QUARANTINE_SECONDS, Random(1))
    with pytest.raises(NoPortsError, match="no media port can be opened"):
        pool.take(4, 0.0)


def test_another_range_serves_new_calls_and_forgets_the_old_ports() -> None:
    pool = PortPool((20000, 20003), Opener(), QUARANTINE_SECONDS, Random(1))
    old = pool.take(4, 0.0)
    pool.set_ports((30000, 30001))
    new = pool.take(4, 0.0)
    pool.release(old, 0.0)
    assert new.port == 30000
    with pytest.raises(NoPortsError):
        pool.take(4, 1000.0)
    pool.release(new, 1000.0)
    close([pool.take(4, 2000.0)])


@pytest.mark.parametrize(("family", "host"), [(4, "127.0.0.1"), (6, "::1")])
def test_a_pair_is_two_bound_sockets_in_a_row(family: int, host: str) -> None:
    opener = open_pair({family: host}, dscp=46)
    for port in range(42000, 42100, 2):
        try:
            pair = opener(port, family)
        except OSError:
            continue
        assert (pair.rtp.getsockname()[1], pair.rtcp.getsockname()[1]) == (port, port + 1)
        with pytest.raises(OSError, match="in use"):
            opener(port, family)
        pair.close()
        return
    pytest.fail("no free pair")
