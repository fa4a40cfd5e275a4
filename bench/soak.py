# SPDX-License-Identifier: Apache-2.0
"""Memory of each process of a running Softswitch under calls, registrations, messages and voicemail.

    python -m bench.soak --seconds 3600

A `softswitch up` of its own with a tenant of its own. Each of `--callers` accounts does one thing after the other, each
of these as often: a registration, a call to another phone, a text message, a call by the sample carrier, a call to an
application; a quarter as many leave messages in mailboxes all the time. The memory of each process is read once every
thousand operations: its resident set (RSS); PostgreSQL's is left out, as what its processes share would count many
times.

At the end stands the growth of each process for a thousand operations: the slope of a straight line through the second
half of the readings, so that caches which fill, and what is made on first use, are not in it. All of it runs niced:
this is no measure of speed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import yaml

from bench.machine import free_port, tree
from tests.quick import QuickPhone

if TYPE_CHECKING:
    from collections.abc import Iterator

NICE: Final = 10
START_SECONDS: Final = 180.0
PAGE_KIB: Final = os.sysconf("SC_PAGE_SIZE") // 1024
DEPOSIT_SECONDS: Final = 12.0
"""Past the greeting, and a few words."""
PROGRAMS: Final = ("up", "switch", "media", "ivr", "carrier")
CONFIG: Final = """\
node: soak
domains: [127.0.0.1]
data_dir: {folder}/var
sip:
  listen: ["udp:127.0.0.1:{sip}"]
  drain_seconds: 1
security: {{flood: {{requests: 0}}, messages: {{from_one: 100000, to_one: 100000}}}}
media:
  server: {{listen: "udp:127.0.0.1:{ivr}"}}
  control: udp:127.0.0.1:{control}
  listen: 127.0.0.1
  rtp_ports: 12000-19999
ivr: {{access_numbers: {{"*123": balance}}}}
voicemail: {{max_messages: 10000, max_from_one_caller: 10000, max_messages_an_hour: 10000}}
metrics: {{switch: "127.0.0.1:{http}", ivr: "127.0.0.1:{ivr_http}"}}
log: {{level: error}}
demo: {{enabled: true, carriers: ["udp:127.0.0.1:{carrier_a}", "udp:127.0.0.1:{carrier_b}"]}}
"""


def tenant(callers: int, password: str) -> dict[str, Any]:
    """Accounts 77000 and up, which call; 78000 and up, which are called; 79000 and up, which have a mailbox only."""
    firsts = {77000: {}, 78000: {}, 79000: {"answering": {"mode": "voicemail"}}}
    return {
        "customers": [{"name": "Soak", "currency": "USD"}],
        "tariffs": [
            {
                "name": "Soak tariff",
                "currency": "USD",
                "rates": [
                    {"prefix": "7", "destination": "Internal", "price": "0"},
                    {"prefix": "420", "destination": "Czech Republic", "price": "0.01"},
                ],
            }
        ],
        "products": [{"name": "Soak product", "tariff": "Soak tariff", "inside": "Soak tariff"}],
        "accounts": [
            {
                "number": str(first + caller),
                "password": password,
                "customer": "Soak",
                "product": "Soak product",
                "kind": "debit",
                "opening_balance": "10000.00",
                **dict.fromkeys(("max_calls", "max_calls_in", "max_calls_out"), 20),
                **more,
            }
            for first, more in firsts.items()
            for caller in range(callers)
        ],
    }


class Soak:
    """What is done, and how often it was."""

    def __init__(self, port: int, password: str, callers: int, seconds: float) -> None:
        self.done: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self._port = port
        self._password = password
        self._callers = callers
        self._until = time.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        """Whether nothing more begins."""
        return time.monotonic() >= self._until

    async def run(self) -> None:
        """Do it all until the time is over."""
        callers = [self._caller(number) for number in range(self._callers)]
        await asyncio.gather(*callers, *(self._depositor(number) for number in range(max(1, self._callers // 4))))

    def _phone(self, number: int) -> QuickPhone:
        return QuickPhone(("127.0.0.1", self._port), str(number), self._password)

    def _uri(self, number: object) -> str:
        return f"sip:{number}@127.0.0.1:{self._port}"

    async def _caller(self, number: int) -> None:
        callee = 78000 + number
        async with self._phone(77000 + number) as phone, self._phone(callee) as other:
            self._count("registration", await other.register(str(callee)))
            text = ("Content-Type", "text/plain")
            while not self.is_over:
                self._count("registration", await other.register(str(callee)))
                self._count("call", await phone.call(self._uri(callee), most_seconds=0.3, talks=True))
                self._count("message", await phone.send("MESSAGE", self._uri(callee), text, body=b"hello"))
                self._count("outside", await phone.call(self._uri(42060000000), most_seconds=0.3, talks=True))
                self._count("application", await phone.call(self._uri("*123"), most_seconds=0.5))

    async def _depositor(self, number: int) -> None:
        async with self._phone(77500 + number) as phone:
            phone.user = str(77000 + number)
            while not self.is_over:
                status = await phone.call(self._uri(79000 + number), most_seconds=DEPOSIT_SECONDS, talks=True)
                self._count("voicemail", status)

    def _count(self, what: str, status: int) -> None:
        if status < 300:
            self.done[what] += 1
        else:
            self.failed[f"{what} {status}"] += 1


def memory(parent: int) -> dict[str, int]:
    """RSS in KiB of each of our processes."""
    found: dict[str, int] = {}
    for pid in tree(parent):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            name = next((word for word in words if word in PROGRAMS), None)
            if name is not None and "postgres" not in words[0]:
                found[name] = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE_KIB
    return found


@contextlib.contextmanager
def running(folder: Path, callers: int, password: str) -> Iterator[tuple[int, int]]:
    """A Softswitch; its first process and its SIP port."""
    names = ("sip", "ivr", "control", "http", "ivr_http", "carrier_a", "carrier_b")
    ports = {name: free_port() for name in names}
    config = folder / "config.yaml"
    config.write_text(CONFIG.format(folder=folder, **ports), encoding="utf-8")
    command = [sys.executable, "-m", "softswitch", "--config", str(config)]
    log = folder / "up.log"
    with log.open("wb") as file:
        up = subprocess.Popen([*command, "up"], stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + START_SECONDS
        while "Ctrl-C ends everything" not in log.read_text(encoding="utf-8"):
            if up.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("softswitch up does not start:\n" + log.read_text(encoding="utf-8")[-2000:])
            time.sleep(0.2)
        document = folder / "tenant.yaml"
        document.write_text(yaml.safe_dump(tenant(callers, password)), encoding="utf-8")
        subprocess.run([*command, "apply", str(document), "--yes"], check=True, stdout=subprocess.DEVNULL)
        yield up.pid, ports["sip"]
    finally:
        up.terminate()
        up.wait(60)
        print(log.read_text(encoding="utf-8").partition("Ctrl-C ends everything")[2][-2000:], file=sys.stderr)


async def soak(parent: int, work: Soak, every: int) -> list[tuple[int, dict[str, int]]]:
    """Work, and read the memory after each so many operations."""
    readings: list[tuple[int, dict[str, int]]] = []
    began = time.monotonic()
    task = asyncio.create_task(work.run())
    while not task.done():
        await asyncio.wait((task,), timeout=0.2)
        total = work.done.total()
        if total >= every * len(readings) or task.done():
            readings.append((total, memory(parent)))
            told = "  ".join(f"{name} {kib / 1024:.1f}" for name, kib in readings[-1][1].items())
            print(f"{time.monotonic() - began:6.0f} s {total:8} operations, MiB: {told}", flush=True)
    await task
    return readings


def growth(readings: list[tuple[int, dict[str, int]]]) -> dict[str, float]:
    """KiB of each process for a thousand operations, in the second half."""
    half = readings[len(readings) // 2 :]
    thousands = [total / 1000 for total, _ in half]
    names = half[-1][1]
    if len(half) < 2 or thousands[0] == thousands[-1]:
        return {}
    return {name: float(np.polyfit(thousands, [kib[name] for _, kib in half], 1)[0]) for name in names}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(prog="bench.soak", description="What grows.")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--callers", type=int, default=8, help="accounts that work at the same time")
    parser.add_argument("--every", type=int, default=1000, help="operations from one reading to the next")
    options = parser.parse_args()
    os.nice(NICE)
    password = secrets.token_hex(8)
    with (
        tempfile.TemporaryDirectory(prefix="softswitch-soak-") as name,
        running(Path(name), options.callers, password) as (parent, port),
    ):
        work = Soak(port, password, options.callers, options.seconds)
        readings = asyncio.run(soak(parent, work, options.every))
    result = {
        "done": dict(work.done),
        "failed": dict(work.failed),
        "first_kib": readings[0][1],
        "last_kib": readings[-1][1],
        "kib_per_thousand": {name: round(slope, 1) for name, slope in growth(readings).items()},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
