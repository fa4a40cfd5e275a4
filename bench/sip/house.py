# SPDX-License-Identifier: Apache-2.0
"""The product under test: its embedded PostgreSQL, filled, one switch process and, if asked for, one media process."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from bench.machine import SERVER_CPU, free_port, on_cpu, prefer
from bench.store.population import number_of, populate
from softswitch.processes.store import EmbeddedStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["PASSWORD", "PROBES", "Disk", "House", "open_disk", "open_house"]

PASSWORD = "secret"
"""Of every account."""
PROBES = 100
"""The accounts with the highest numbers, whose phone is the probe of the set-up delay."""
RATES = 10_000
READY_SECONDS = 60.0
MIGRATE = "import sys; from billing.store.preparing import migrate, setup; setup(sys.argv[1]); migrate()"
CONFIG = """\
node: bench
domains: [127.0.0.1]
data_dir: {data_dir}
sip: {{listen: [udp:127.0.0.1:{sip}], drain_seconds: 1}}
security: {{flood: {{requests: 0}}}}
media:
  server: {{listen: "udp:127.0.0.1:{ivr}"}}
  relay: {relay}
  control: udp:127.0.0.1:{control}
  listen: 127.0.0.1
  rtp_ports: 20000-65534
metrics: {{switch: 127.0.0.1:{http}, ivr: 127.0.0.1:{ivr_http}}}
"""
# All numbers cost something, besides those that have a rate of their own; and where the phones are.
DEFAULT_RATE = """
INSERT INTO billing_rate (tariff_id, prefix, destination, country, first_price, next_price, effective_from)
VALUES (1, '1', 'Elsewhere', 'XX', 0.60, 0.60, '2000-01-01')"""
MOVE_PHONES = """
UPDATE billing_binding
   SET key = address, contact = address, received = NULL, node = 'bench', socket = $1
  FROM (SELECT number, 'sip:' || number || '@127.0.0.1:' ||
               CASE WHEN id > $4 THEN $3 ELSE ($2::integer[])[1 + id % cardinality($2::integer[])] END AS address
          FROM billing_account) AS phone
 WHERE aor = number"""


@dataclass(frozen=True, slots=True)
class Disk:
    """A filled store that runs, and where its phones are."""

    folder: Path
    dsn: str
    postmaster: int
    accounts: int
    sip: int
    """Port of the switch."""
    phones: tuple[int, ...]
    """Ports of the ordinary phones; that of account n is at place n modulo their count."""
    probe: int
    """Port of the phone of the last accounts."""

    @property
    def ordinary(self) -> int:
        """Accounts 1 to this have an ordinary phone."""
        return self.accounts - PROBES


@dataclass(frozen=True, slots=True)
class House:
    """The processes to be measured."""

    disk: Disk
    switch: int
    media: int | None
    http: int
    ivr: int | None = None
    ivr_http: int = 0

    @property
    def pids(self) -> dict[str, int]:
        """By what they are called in results."""
        found = {"switch": self.switch, "postgres": self.disk.postmaster}
        more = {"media": self.media, "ivr": self.ivr}
        return {**found, **{name: pid for name, pid in more.items() if pid is not None}}


@contextlib.contextmanager
def open_disk(accounts: int, *, phones: int = 3, bound: bool = True) -> Iterator[Disk]:
    """A store with so many accounts; `bound`: their phones are registered already."""
    with tempfile.TemporaryDirectory(prefix="softswitch-bench-") as name:
        folder = Path(name)
        server = EmbeddedStore(folder / "var")
        with contextlib.ExitStack() as stack:
            with on_cpu(SERVER_CPU):
                stack.enter_context(server.running())
            subprocess.run([sys.executable, "-c", MIGRATE, server.dsn], check=True)
            postmaster = int((server.cluster / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
            ports = tuple(free_port() for _ in range(phones))
            disk = Disk(folder, server.dsn, postmaster, accounts, free_port(), ports, free_port())
            asyncio.run(_fill(disk, bound=bound))
            yield disk


async def _fill(disk: Disk, *, bound: bool) -> None:
    connection = await asyncpg.connect(disk.dsn, statement_cache_size=0)
    try:
        await populate(connection, accounts=disk.accounts, rates=RATES)
        await connection.execute(DEFAULT_RATE)
        if bound:
            socket = f"udp:127.0.0.1:{disk.sip}"
            await connection.execute(MOVE_PHONES, socket, list(disk.phones), disk.probe, disk.ordinary)
        else:
            await connection.execute("DELETE FROM billing_binding")
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


@contextlib.contextmanager
def open_house(disk: Disk, *, relay: str = "off", ivr: bool = False, more: str = "") -> Iterator[House]:
    """A switch on this store; with `relay` "builtin" a media process too, with `ivr` a media server.

    `more` is put into its configuration.
    """
    http, ivr_http = free_port(), free_port()
    config = disk.folder / "config.yaml"
    ports = {"sip": disk.sip, "control": free_port(), "http": http, "ivr": free_port(), "ivr_http": ivr_http}
    text = CONFIG.format(data_dir=disk.folder / "var", relay=relay, **ports)
    config.write_text(text + more, encoding="utf-8")
    with contextlib.ExitStack() as stack:
        media = stack.enter_context(_process(config, "media")) if relay == "builtin" else None
        server = stack.enter_context(_process(config, "ivr")) if ivr else None
        switch = stack.enter_context(_process(config, "switch"))
        _wait_healthy(f"http://127.0.0.1:{http}/health", switch, disk.folder / "switch.log")
        if server is not None:
            _wait_healthy(f"http://127.0.0.1:{ivr_http}/health", server, disk.folder / "ivr.log")
        pids = (media.pid if media else None, http, server.pid if server else None, ivr_http)
        house = House(disk, switch.pid, *pids)
        for pid in house.pids.values():
            prefer(pid)
        yield house


@contextlib.contextmanager
def _process(config: Path, name: str, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """One of our processes on the servers' processor, its log beside the configuration."""
    command: Sequence[str] = [sys.executable, "-m", "softswitch", "--config", str(config), name, *options]
    with (config.parent / f"{name}.log").open("ab") as log:
        with on_cpu(SERVER_CPU):
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"{log.stem} does not start:\n" + log.read_text(encoding="utf-8")[-2000:])


def number(account: int) -> str:
    """The SIP user of an account."""
    return number_of(account)
