# SPDX-License-Identifier: Apache-2.0
"""Measures an RTP relay that speaks ng: CPU per relayed packet, loss and delay at given numbers of calls.

    python -m bench.relay.bench --calls 100,300,500                         # ours, started here
    python -m bench.relay.bench --ng 127.0.0.1:2223 --pid "$(pidof rtpengine)"  # another relay, already running

Each call is two G.711 streams (100 packets/s) from bench/relay/rtpgen.c, which is compiled with gcc at the first use.
The relay is pinned to CPU 0 and the generator to CPU 1. CPU per packet is user plus system time of the relay's
process from /proc, divided by the packets that came back. Every figure is the median of `--repeat` runs; `calib_ms`
is the CPU time of a fixed piece of pure Python before each run, to tell a slow machine from a slow relay.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol, cast

from media.relay.bencode import Value, decode, encode

HERE = Path(__file__).parent
TICKS = os.sysconf("SC_CLK_TCK")
OURS = """
import asyncio, signal, sys, uvloop
from media.app import run
from media.settings import MediaSettings

async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    port, gather_seconds = int(sys.argv[1]), float(sys.argv[2])
    settings = MediaSettings(ng=("127.0.0.1", port), rtp_ports=(30000, 39999), gather_seconds=gather_seconds)
    await run(settings, ready=lambda: print("ready", flush=True), stop=stop, reloads=asyncio.Queue())

uvloop.run(main())
"""
SDP = (
    "v=0\r\no=bench 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\n"
)
NAT_STEP = 10_000
"""What NAT adds to a port."""


class Load(Protocol):
    """What the generator is told."""

    first_port: int
    sockets: int
    seconds: float


class NgClient:
    """Commands over UDP, repeated until answered."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(address)
        self._socket.settimeout(1.0)
        self._cookie = 0

    def ask(self, **command: Value) -> Mapping[str, Value]:
        self._cookie += 1
        cookie = f"{os.getpid()}_{self._cookie}".encode()
        message = {key.replace("_", "-"): value for key, value in command.items()}
        for _ in range(5):
            self._socket.send(cookie + b" " + encode(message))
            with contextlib.suppress(TimeoutError):
                while True:
                    echoed, _, body = self._socket.recv(65535).partition(b" ")
                    if echoed == cookie:
                        reply = decode(body)
                        assert isinstance(reply, Mapping)
                        return reply
        raise TimeoutError(f"no answer to {command}")

    def signal(self, **command: Value) -> int:
        """An offer or answer; returns the port that the relay put into the SDP."""
        reply = self.ask(ICE="remove", **command)
        found = re.search(r"m=audio (\d+)", str(reply.get("sdp")))
        if found is None:
            raise RuntimeError(f"{command} was answered by {reply}")
        return int(found[1])


def set_up(client: NgClient, calls: int, options: argparse.Namespace) -> list[int]:
    """The relay ports in the order of the generator's streams."""
    ports = []
    for call in range(calls):
        mine = [options.first_port + 2 * ((2 * call + side) % options.sockets) for side in (0, 1)]
        names = {"call_id": f"bench-{call}", "from_tag": "a", "received_from": ["IP4", "127.0.0.1"]}
        told = [port + NAT_STEP if options.nat else port for port in mine]
        offered = client.signal(command="offer", sdp=SDP.format(port=told[0]), **names)
        answered = client.signal(command="answer", sdp=SDP.format(port=told[1]), to_tag="b", **names)
        ports += [answered, offered]
    return ports


def tear_down(client: NgClient, calls: int) -> None:
    for call in range(calls):
        client.ask(command="delete", call_id=f"bench-{call}", from_tag="a", to_tag="b")


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def stolen_seconds() -> float:
    return int(Path("/proc/stat").read_text().split(None, 10)[8]) / TICKS


def calibrate() -> float:
    started = time.process_time()
    table: dict[str, list[str]] = {}
    for i in range(100_000):
        table[str(i & 1023)] = f"a:{i}".split(":")
    return round(1000 * (time.process_time() - started), 1)


def prefer(pid: int) -> None:
    """Ahead of other work on this machine, where permitted."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, -20)
        Path(f"/proc/{pid}/autogroup").write_text("-20")


def measure(pid: int, ports: list[int], generator: str, options: Load) -> dict[str, float]:
    calibration = calibrate()
    destinations = "".join(f"{port}\n" for port in ports)
    arguments = [generator, str(options.first_port), str(options.sockets), str(options.seconds)]
    used, stolen, started = cpu_seconds(pid), stolen_seconds(), time.monotonic()
    with subprocess.Popen(["taskset", "-c", "1", *arguments], stdin=-1, stdout=-1, text=True) as process:
        prefer(process.pid)
        output, _ = process.communicate(destinations)
    used = cpu_seconds(pid) - used
    wall = time.monotonic() - started
    counted = json.loads(output)
    # The generator counts all but its first second.
    relayed = counted["received"] * (options.seconds + 1) / options.seconds
    return {
        "us_per_packet": round(1e6 * used / max(relayed, 1), 2),
        "loss_percent": round(100 * (1 - counted["received"] / counted["sent"]), 4),
        "cpu_percent": round(100 * used / wall, 1),
        "p50_ms": counted["p50_ms"],
        "p99_ms": counted["p99_ms"],
        "longest_ms": counted["longest_ms"],
        "steal_percent": round(100 * (stolen_seconds() - stolen) / wall / (os.cpu_count() or 1), 1),
        "calib_ms": calibration,
    }


@contextlib.contextmanager
def our_relay(port: int, gather_ms: float) -> Iterator[int]:
    """Our relay as a process of its own; yields its pid."""
    command = ["taskset", "-c", "0", sys.executable, "-c", OURS, str(port), str(gather_ms / 1000)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=HERE.parent.parent) as process:
        assert process.stdout is not None
        process.stdout.readline()
        prefer(process.pid)
        try:
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)


def compile_program(name: str, directory: str) -> str:
    if shutil.which("gcc") is None:
        raise SystemExit("this benchmark needs gcc for its generator (Debian package gcc)")
    program = f"{directory}/{name}"
    subprocess.run(["gcc", "-O2", "-o", program, str(HERE / f"{name}.c")], check=True)
    return program


def run(pid: int, address: tuple[str, int], options: argparse.Namespace) -> None:
    client = NgClient(address)
    with tempfile.TemporaryDirectory() as directory:
        generator = compile_program("rtpgen", directory)
        for calls in map(int, options.calls.split(",")):
            ports = set_up(client, calls, options)
            rows = [measure(pid, ports, generator, cast("Load", options)) for _ in range(options.repeat)]
            tear_down(client, calls)
            row = {key: statistics.median(one[key] for one in rows) for key in rows[0]}
            spread = sorted(one["us_per_packet"] for one in rows)
            print(json.dumps({"calls": calls, **row, "us_per_packet_all": spread}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", default="100,300,500")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--ng", help="address of a running relay; without it ours is started")
    parser.add_argument("--pid", type=int, help="its process")
    parser.add_argument("--gather-ms", type=float, default=2, help="of our relay")
    parser.add_argument("--nat", action="store_true", help="phones signal other ports than they send from")
    parser.add_argument("--first-port", type=int, default=10000, help="of the generator")
    parser.add_argument("--sockets", type=int, default=64, help="of the generator")
    options = parser.parse_args()
    if options.ng:
        host, _, port = options.ng.rpartition(":")
        run(options.pid, (host, int(port)), options)
    else:
        with our_relay(12223, options.gather_ms) as pid:
            run(pid, ("127.0.0.1", 12223), options)


if __name__ == "__main__":
    main()
