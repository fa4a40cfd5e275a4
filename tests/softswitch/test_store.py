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

from softswitch.runfiles import AlreadyRunningError, hold, running_pid
from softswitch.store import EmbeddedStore, StoreError


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


def test_it_does_not_start_for_a_parent_that_has_ended(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "var")
    store.prepare()
    ended = subprocess.run(store.command(parent=1), capture_output=True, text=True, timeout=30, check=False)
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
