# SPDX-License-Identifier: Apache-2.0
"""Ways to move a packet from one socket to another in Python, each measured like the relay (see bench.py).

    python -m bench.relay.alternatives                 # the table of docs/adr/0005-relay-hot-path.md
    python -m bench.relay.alternatives --only plain    # one of them

Every way relays the same calls in a process of its own, without ng, checks or counters beyond a packet count, so the
figures compare the ways and not the product. Rounds are interleaved, since the speed of a machine drifts.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import select
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TypeAlias

import uvloop

from bench.relay.bench import compile_program, measure, prefer

Handler: TypeAlias = Callable[[], None]
Relay: TypeAlias = Callable[[socket.socket, socket.socket, tuple[str, int]], Handler]

FIRST_RELAY_PORT, FIRST_PHONE_PORT, PHONE_SOCKETS = 30000, 10000, 64
BUFFER = bytearray(2048)
SLICES = [memoryview(BUFFER)[:size] for size in range(2049)]


def plain(source: socket.socket, destination: socket.socket, address: tuple[str, int]) -> Handler:
    def relay() -> None:
        with contextlib.suppress(BlockingIOError):
            size, _ = source.recvfrom_into(BUFFER)
            destination.sendto(SLICES[size], address)

    return relay


def connected(source: socket.socket, destination: socket.socket, _: tuple[str, int]) -> Handler:
    receive_into, send, packets = source.recv_into, destination.send, 0

    def relay() -> None:
        nonlocal packets
        try:
            size = receive_into(BUFFER)
            send(SLICES[size])
        except BlockingIOError:
            return
        packets += 1

    return relay


def new_bytes(source: socket.socket, destination: socket.socket, _: tuple[str, int]) -> Handler:
    receive, send = source.recv, destination.send

    def relay() -> None:
        try:
            send(receive(2048))
        except BlockingIOError:
            return

    return relay


def drained(source: socket.socket, destination: socket.socket, _: tuple[str, int]) -> Handler:
    receive_into, send = source.recv_into, destination.send

    def relay() -> None:
        try:
            while True:
                send(SLICES[receive_into(BUFFER)])
        except BlockingIOError:
            return

    return relay


def open_calls(calls: int, relay: Relay) -> dict[socket.socket, Handler]:
    """The sockets of the calls with their handlers; prints the ports."""
    handlers: dict[socket.socket, Handler] = {}
    for call in range(calls):
        pair: list[socket.socket] = []
        phones = [("127.0.0.1", FIRST_PHONE_PORT + 2 * ((2 * call + side) % PHONE_SOCKETS)) for side in (0, 1)]
        for side in (0, 1):
            one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            one.setblocking(False)
            one.bind(("127.0.0.1", FIRST_RELAY_PORT + 4 * call + 2 * side))
            if relay is not plain:
                one.connect(phones[side])
            print(one.getsockname()[1])
            pair.append(one)
        handlers[pair[0]] = relay(pair[0], pair[1], phones[1])
        handlers[pair[1]] = relay(pair[1], pair[0], phones[0])
    sys.stdout.flush()
    os.close(1)
    gc.freeze()
    return handlers


def own_loop(handlers: dict[socket.socket, Handler], gather_seconds: float, flags: int = select.EPOLLIN) -> None:
    """An epoll loop that is all that the process does."""
    ready = select.epoll()
    by_descriptor = {}
    for one, handler in handlers.items():
        ready.register(one, flags)
        by_descriptor[one.fileno()] = handler
    while True:
        for descriptor, _ in ready.poll(-1, 1024):
            by_descriptor[descriptor]()
        if gather_seconds:
            time.sleep(gather_seconds)


async def ticking(handlers: dict[socket.socket, Handler], gather_seconds: float) -> None:
    """An epoll set that a timer of the event loop looks at."""
    ready = select.epoll()
    by_descriptor = {}
    for one, handler in handlers.items():
        ready.register(one, select.EPOLLIN)
        by_descriptor[one.fileno()] = handler
    loop = asyncio.get_running_loop()

    def tick() -> None:
        for descriptor, _ in ready.poll(0, 1024):
            by_descriptor[descriptor]()
        loop.call_later(gather_seconds, tick)

    tick()
    await asyncio.Event().wait()


async def readers(handlers: dict[socket.socket, Handler]) -> None:
    """A reader of the event loop for each socket."""
    for one, handler in handlers.items():
        asyncio.get_running_loop().add_reader(one, handler)
    await asyncio.Event().wait()


class Forward(asyncio.DatagramProtocol):
    """A datagram transport of the event loop for each socket."""

    def __init__(self, destination: socket.socket) -> None:
        self.destination = destination

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.destination.send(data)


async def transports(handlers: dict[socket.socket, Handler]) -> None:
    loop = asyncio.get_running_loop()
    sockets = list(handlers)
    for index, one in enumerate(sockets):
        other = sockets[index ^ 1].dup()
        other.setblocking(False)
        await loop.create_datagram_endpoint(lambda other=other: Forward(other), sock=one)  # type: ignore[misc]
    await asyncio.Event().wait()


WAYS: dict[str, Callable[[int], None]] = {
    "asyncio, datagram transport": lambda calls: asyncio.run(transports(open_calls(calls, connected))),
    "uvloop, datagram transport": lambda calls: uvloop.run(transports(open_calls(calls, connected))),
    "asyncio, add_reader, connected": lambda calls: asyncio.run(readers(open_calls(calls, connected))),
    "uvloop, add_reader, connected": lambda calls: uvloop.run(readers(open_calls(calls, connected))),
    "own epoll, no gathering, recvfrom_into + sendto": lambda calls: own_loop(open_calls(calls, plain), 0),
    "own epoll, 2 ms, recvfrom_into + sendto": lambda calls: own_loop(open_calls(calls, plain), 0.002),
    "own epoll, no gathering, connected": lambda calls: own_loop(open_calls(calls, connected), 0),
    "own epoll, 2 ms, connected": lambda calls: own_loop(open_calls(calls, connected), 0.002),
    "own epoll, 5 ms, connected": lambda calls: own_loop(open_calls(calls, connected), 0.005),
    "own epoll, 2 ms, connected, read until empty": lambda calls: own_loop(open_calls(calls, drained), 0.002),
    "own epoll, 2 ms, connected, recv to new bytes": lambda calls: own_loop(open_calls(calls, new_bytes), 0.002),
    "own epoll, 2 ms, connected, edge-triggered": lambda calls: own_loop(
        open_calls(calls, connected), 0.002, select.EPOLLIN | select.EPOLLET
    ),
    "asyncio timer 2 ms, own epoll set, connected": lambda calls: asyncio.run(
        ticking(open_calls(calls, connected), 0.002)
    ),
    "uvloop timer 2 ms, own epoll set, connected": lambda calls: uvloop.run(
        ticking(open_calls(calls, connected), 0.002)
    ),
}
FLOOR = "C: epoll, 2 ms, recv + send, connected"


def start(way: str, calls: int, floor: str) -> subprocess.Popen[str]:
    arguments = [str(calls), "2000", str(FIRST_RELAY_PORT), str(FIRST_PHONE_PORT), str(PHONE_SOCKETS)]
    command = [floor, *arguments] if way == FLOOR else [sys.executable, "-m", __spec__.name, "--relay", way, str(calls)]
    root = Path(__file__).parent.parent.parent
    process = subprocess.Popen(["taskset", "-c", "0", *command], stdout=subprocess.PIPE, text=True, cwd=root)
    prefer(process.pid)
    return process


def compare(options: argparse.Namespace) -> None:
    ways = [way for way in (*WAYS, FLOOR) if options.only in way]
    results: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    load = SimpleNamespace(first_port=FIRST_PHONE_PORT, sockets=PHONE_SOCKETS, seconds=options.seconds)
    with tempfile.TemporaryDirectory() as directory:
        generator, floor = (compile_program(name, directory) for name in ("rtpgen", "floor"))
        for _ in range(options.repeat):
            for way in ways:
                with start(way, options.calls, floor) as process:
                    assert process.stdout is not None
                    ports = [int(process.stdout.readline()) for _ in range(2 * options.calls)]
                    time.sleep(0.5)
                    results[way].append(measure(process.pid, ports, generator, load))
                    process.send_signal(signal.SIGKILL)
    print("| way | us per packet (least to most) | loss % | p50 ms | p99 ms |\n| --- | --- | --- | --- | --- |")
    for way, rows in results.items():
        costs = sorted(row["us_per_packet"] for row in rows)
        loss, p50, p99 = (statistics.median(row[key] for row in rows) for key in ("loss_percent", "p50_ms", "p99_ms"))
        print(f"| {way} | {statistics.median(costs):.2f} ({costs[0]:.2f}–{costs[-1]:.2f}) | {loss} | {p50} | {p99} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", default="", help="ways whose name contains this")
    parser.add_argument("--relay", nargs=2, metavar=("WAY", "CALLS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.relay:
        WAYS[options.relay[0]](int(options.relay[1]))
    compare(options)


if __name__ == "__main__":
    main()
