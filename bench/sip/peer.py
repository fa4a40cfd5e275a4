# SPDX-License-Identifier: Apache-2.0
"""Kamailio on the same store: registrar and stateful proxy, for comparison in the same go."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import psycopg

from bench.machine import SERVER_CPU, free_port, on_cpu, prefer
from bench.sip.measure import Target
from bench.sip.sipp import REGISTRATION, drive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.sip.house import Disk

__all__ = ["is_installed", "open_kamailio"]

CONFIG = Path(__file__).parent / "kamailio.cfg"
PLACES = ("/usr/lib/x86_64-linux-gnu/kamailio/modules/", "/usr/lib/aarch64-linux-gnu/kamailio/modules/")
SUBSCRIBERS = "CREATE OR REPLACE VIEW subscriber AS SELECT number::text AS username, password FROM billing_account"
REGISTRATIONS = 1000.0


def is_installed() -> bool:
    """Whether Kamailio and its PostgreSQL module are here (Debian: kamailio, kamailio-postgres-modules)."""
    return shutil.which("kamailio") is not None and _modules() is not None


def _modules() -> str | None:
    return next((place for place in PLACES if (Path(place) / "db_postgres.so").exists()), None)


@contextlib.contextmanager
def open_kamailio(disk: Disk) -> Iterator[Target]:
    """Kamailio with the accounts of this store, all of them registered."""
    with psycopg.connect(disk.dsn, autocommit=True) as connection:
        connection.execute(SUBSCRIBERS)
    port = free_port()
    defines = {"PORT": str(port), "DB": '"postgres://softswitch:none@/softswitch"', "MODULES": f'"{_modules()}"'}
    command = [
        *("kamailio", "-f", str(CONFIG), "-DD", "-E", "-m", "512", "-M", "16"),
        *("-Y", str(disk.folder), "-w", str(disk.folder)),
        *(word for name, value in defines.items() for word in ("-A", f"{name}={value}")),
    ]
    environment = {**os.environ, "PGHOST": parse_qs(urlsplit(disk.dsn).query)["host"][0]}
    log_file = disk.folder / "kamailio.log"
    with log_file.open("wb") as log, on_cpu(SERVER_CPU):
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        time.sleep(2)
        if process.poll() is not None:
            raise RuntimeError("Kamailio does not start:\n" + log_file.read_text(encoding="utf-8", errors="replace"))
        prefer(process.pid)
        drive(disk, REGISTRATION, port=port, rate=REGISTRATIONS, seconds=disk.ordinary / REGISTRATIONS + 1)
        yield Target(disk, {"kamailio": process.pid, "postgres": disk.postmaster}, port)
    finally:
        process.terminate()
        process.wait(20)
