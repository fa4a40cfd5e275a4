# SPDX-License-Identifier: Apache-2.0
"""The embedded PostgreSQL starts, keeps its data, survives kills, and shuts others out."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from softswitch.processes.runfiles import AlreadyRunningError, hold, running_pid
from softswitch.processes.store import EmbeddedStore, StoreError


def server_of(store: EmbeddedStore) -> psutil.Process:
    return psutil.Process(int((store.cluster / "postmaster.pid").read_text(encoding="utf-8").split()[0]))


def status_of(process: psutil.Process, field: str) -> str:
    lines = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{field}:"))


def test_data_stays_over_a_restart_and_is_synced_to_disk(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "var")
    assert not store.exists
    with store.running(), psycopg.connect(store.dsn) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
        connection.commit()
        shown = {
            name: connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
            for name in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums", "listen_addresses")
        }
        assert shown == {
            "fsync": ("on",),
            "synchronous_commit": ("on",),
            "full_page_writes": ("on",),
            "data_checksums": ("on",),
            "listen_addresses": ("",),
        }
    assert not store.is_ready()
    with store.running(), psycopg.connect(store.dsn) as connection:
        assert connection.execute("SELECT value FROM kept").fetchone() == (7,)


def test_nobody_else_can_enter_its_directories(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "var")
    with store.running():
        for directory in (store.cluster, store.socket_dir):
            assert directory.stat().st_mode & 0o777 == 0o700
        assert server_of(store).uids().effective != 0


def test_a_server_that_a_killed_start_left_over_is_ended_and_its_data_taken_over(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "var")
    store.prepare()
    with store.log_file.open("ab") as log:
        left = subprocess.Popen(store.command(), stdout=log, stderr=log)
    store.wait_ready(lambda: left.poll() is None)
    with store.running():
        assert left.wait(10) == 0
        assert store.is_ready()


def test_a_killed_server_starts_again_although_its_pid_file_names_a_living_process(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "var")
    with store.running():
        pass
    pid_file = store.cluster / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{store.cluster}\n", encoding="utf-8")
    with store.running():
        assert store.is_ready()


LOCKS = ("pg/postmaster.pid", "run/pg/.s.PGSQL.5432.lock")


@pytest.mark.parametrize(
    ("where", "what"), [(LOCKS, "of the same user"), (LOCKS[1:], "of the same user"), (LOCKS, "empty")]
)
def test_a_power_cut_leaves_files_that_stop_no_start(tmp_path: Path, where: tuple[str, ...], what: str) -> None:
    """Case I1: their process number is another program's of the same user by now, or they were never synced."""
    store = EmbeddedStore(tmp_path / "var")
    with store.running():
        pass
    owner = store.cluster.stat()
    other = subprocess.Popen(["/bin/sleep", "60"], user=owner.st_uid if os.geteuid() == 0 else None)
    try:
        written = {"of the same user": f"{other.pid}\n{store.cluster}\n1\n5432\n{store.socket_dir}\n".encode()}
        for name in where:
            file = store.data_dir / name
            file.write_bytes(written.get(what, b""))
            os.chown(file, owner.st_uid, owner.st_gid)
        with store.running(), psycopg.connect(store.dsn) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert other.poll() is None, "a program that has the number now goes on"
    finally:
        other.kill()
        other.wait()


def test_what_a_killed_server_left_at_work_makes_room_for_the_next(tmp_path: Path) -> None:
    """Case I1, a neighbour: a session that works hard does not see that its server died; it holds the memory."""
    store = EmbeddedStore(tmp_path / "var")
    store.prepare()
    with store.log_file.open("ab") as log:
        first = subprocess.Popen(store.command(), stdout=log, stderr=log)
    store.wait_ready(lambda: first.poll() is None)
    connection = psycopg.connect(store.dsn)
    busy = psutil.Process(connection.info.backend_pid)
    connection.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 100000000000) WHERE random() < 0")
    first.kill()
    first.wait()
    with store.running():
        assert not busy.is_running()
        assert store.is_ready()
    connection.close()


def test_what_is_left_at_work_of_a_server_that_died_beside_us_is_ended_before_the_next(tmp_path: Path) -> None:
    """Case H3, a neighbour: `up` starts the store again while it runs itself; one session's work stopped that."""
    store = EmbeddedStore(tmp_path / "var")
    store.prepare()
    with store.log_file.open("ab") as log:
        first = subprocess.Popen(store.command(), stdout=log, stderr=log)
        store.wait_ready(lambda: first.poll() is None)
        connection = psycopg.connect(store.dsn)
        busy = psutil.Process(connection.info.backend_pid)
        connection.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 100000000000) WHERE random() < 0")
        first.kill()
        first.wait()
        second = subprocess.Popen(store.command(), stdout=log, stderr=log)
        try:
            assert not busy.is_running()
            store.wait_ready(lambda: second.poll() is None)
        finally:
            second.send_signal(signal.SIGINT)
            second.wait(30)
    connection.close()


def test_the_files_of_a_living_server_stay(tmp_path: Path) -> None:
    """Case I1: what a second start would read as a leftover is the server's own."""
    store = EmbeddedStore(tmp_path / "var")
    with store.running():
        store.command()
        assert (store.cluster / "postmaster.pid").exists()
        assert (store.socket_dir / ".s.PGSQL.5432.lock").exists()
        assert store.is_ready()


def test_a_recovery_may_take_as_long_as_it_takes_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Case H1: after a crash PostgreSQL may need more than a minute, and lives meanwhile."""
    store = EmbeddedStore(tmp_path / "var")
    with store.running():
        pass
    store.log_file.write_text("LOG:  redo in progress, elapsed time: 90.00 s\n", encoding="utf-8")
    clock = [0.0]

    class Time:
        monotonic = staticmethod(lambda: clock[0])

        @staticmethod
        def sleep(_seconds: float) -> None:
            clock[0] += 7.0

    monkeypatch.setattr("softswitch.processes.store.time", Time)
    with pytest.raises(StoreError, match="ended at its start"):
        store.wait_ready(lambda: clock[0] < 200)
    assert clock[0] >= 200
    told = [record.getMessage() for record in caplog.records]
    assert told[0] == ("waiting for PostgreSQL for 14 s; it says: LOG:  redo in progress, elapsed time: 90.00 s")
    assert len(told) == 14


def test_it_does_not_start_for_a_parent_that_has_ended(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "var")
    store.prepare()
    ended = subprocess.run(store.command(parent=1), capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode == 1
    assert "has ended" in ended.stderr


def test_a_data_directory_with_a_long_path_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / ("long" * 30) / "var")
    assert len(str(store.socket_dir)) < 100
    with store.running():
        assert store.is_ready()


def test_a_file_is_held_by_one_process_and_freed_however_it_ends(tmp_path: Path) -> None:
    file = tmp_path / "run" / "up.pid"
    assert running_pid(file) is None
    with hold(file):
        assert running_pid(file) == os.getpid()
        with pytest.raises(AlreadyRunningError, match=f"up runs already on {tmp_path}"), hold(file):
            pass
    assert running_pid(file) is None


def test_a_cluster_of_an_unknown_version_is_refused_with_words(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "var")
    store.cluster.mkdir(parents=True)
    (store.cluster / "PG_VERSION").write_text("9.6\n", encoding="ascii")
    with pytest.raises(StoreError, match=r"is of PostgreSQL 9\.6; this release runs"):
        store.command()


def test_data_and_programs_may_lie_in_closed_directories_which_stay_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkout below /root: root's server runs as another user, who is kept out of there."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    store = EmbeddedStore(closed / "var")
    installed = store.programs().parent
    package = closed / installed.parent.name
    shutil.copytree(installed, package / installed.name, symlinks=True)
    shutil.copytree(f"{installed.parent}.libs", f"{package}.libs")
    monkeypatch.setattr(store, "programs", lambda: package / installed.name / "bin")
    with store.running(), psycopg.connect(store.dsn) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        capabilities = status_of(server_of(store), "CapEff")
        assert int(capabilities, 16) in {0, 1 << 2}, "nothing but CAP_DAC_READ_SEARCH, where that is needed"
    assert closed.stat().st_mode & 0o777 == 0o700


def test_the_wait_for_a_server_that_ends_shows_its_log(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "var")
    store.prepare()
    store.log_file.write_text("FATAL: no room\n", encoding="utf-8")
    with pytest.raises(StoreError, match="no room"):
        store.wait_ready(lambda: False)


def test_a_fast_shutdown_ends_open_sessions(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "var")
    began = time.monotonic()
    with store.running():
        idle = psycopg.connect(store.dsn)
        server = server_of(store)
        server.send_signal(signal.SIGINT)
        server.wait(10)
        idle.close()
    assert time.monotonic() - began < 30
