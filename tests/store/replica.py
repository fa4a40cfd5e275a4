# SPDX-License-Identifier: Apache-2.0
"""A primary and a synchronous streaming replica, as an operator would set them up, on the embedded programs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

import psycopg

from softswitch.processes.store import DATABASE, USER, EmbeddedStore
from tests.conftest import MIGRATE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Pair"]

PATIENCE_SECONDS = 30.0


class Pair:
    """Two servers; what the first acknowledges the second has on disk."""

    def __init__(self, primary: EmbeddedStore, replica: EmbeddedStore) -> None:
        self.primary = primary
        self.replica = replica
        self._servers: dict[EmbeddedStore, subprocess.Popen[bytes]] = {}

    @classmethod
    @contextmanager
    def running(cls, folder: Path) -> Iterator[Pair]:
        """Both servers, with the store's schema, for the time of the block."""
        pair = cls(EmbeddedStore(folder / "primary"), EmbeddedStore(folder / "replica"))
        try:
            pair._set_up()
            yield pair
        finally:
            for store in (pair.replica, pair.primary):
                pair.kill(store)

    @property
    def dsn(self) -> str:
        """The store wherever it can be written, as docs/config.md describes."""
        hosts = ",".join(quote(str(store.socket_dir), safe="/") for store in (self.primary, self.replica))
        return f"postgresql://{USER}@/{DATABASE}?host={hosts}&target_session_attrs=read-write"

    def kill(self, store: EmbeddedStore) -> None:
        """As a power cut would end it."""
        server = self._servers.pop(store, None)
        if server is not None:
            server.kill()
            server.wait(PATIENCE_SECONDS)

    def promote(self) -> None:
        """Make the replica a primary; returns when it is one."""
        with psycopg.connect(self.replica.dsn, autocommit=True) as connection:
            row = connection.execute("SELECT pg_promote(true, 30)").fetchone()
            assert row == (True,)

    def _set_up(self) -> None:
        self.primary.prepare()
        self._start(self.primary)
        subprocess.run([sys.executable, "-c", MIGRATE, self.primary.dsn], check=True, timeout=240)
        self._copy()
        self._start(self.replica)
        with psycopg.connect(self.primary.dsn, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")  # from now on
            connection.execute("SELECT pg_reload_conf()")
            deadline = time.monotonic() + PATIENCE_SECONDS
            while connection.execute("SELECT sync_state FROM pg_stat_replication").fetchone() != ("sync",):
                assert time.monotonic() < deadline, "the replica does not follow"
                time.sleep(0.05)

    def _copy(self) -> None:
        """Take a base backup; it will follow the server it was taken from (-R)."""
        replica = self.replica
        for directory in (replica.cluster, replica.log_file.parent, replica.socket_dir):
            directory.mkdir(parents=True, exist_ok=True)
        for directory in (replica.cluster, replica.socket_dir):
            replica._own(directory, replica._owner())
        backup = ("--host", str(self.primary.socket_dir), "--username", USER, "--pgdata", str(replica.cluster))
        command = replica._as_owner(os.getpid(), "pg_basebackup", *backup, "-R", "--checkpoint=fast", "--no-sync")
        subprocess.run(command, check=True, timeout=240, cwd="/")

    def _start(self, store: EmbeddedStore) -> None:
        with store.log_file.open("ab") as log:
            server = subprocess.Popen(
                [*store.command(), "-c", "fsync=off"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._servers[store] = server
        if store is self.primary:
            store.wait_ready(lambda: server.poll() is None)
