# SPDX-License-Identifier: Apache-2.0
"""`softswitch up` as an administrator sees it: the start, the welcome, what dies, what is asked, the end."""

from __future__ import annotations

import json
import signal
import socket
from typing import TYPE_CHECKING

import psutil

from softswitch.processes.runfiles import hold
from tests.softswitch.support import Up, softswitch, write_configuration

if TYPE_CHECKING:
    from pathlib import Path


def available(file: Path, number: str) -> str:
    shown = softswitch(file, "accounts", number, "--json")
    assert shown.returncode == 0, shown.stderr
    return str(json.loads(shown.stdout)[0]["available"])


def test_the_first_start_tells_all_for_a_first_call_and_the_second_keeps_the_data(tmp_path: Path) -> None:
    file = write_configuration(tmp_path)
    with Up(file) as first:
        first.wait_for("Ctrl-C ends everything")
        assert "Point a phone at" in first.output
        assert "sip.example.com" in first.output
        assert "your mailbox" in first.output
        assert sorted(first.passwords()) == ["101", "102", "103", "104", "105", "106", "107", "201", "42027777100"]
        assert softswitch(file, "topup", "101", "2.50").returncode == 0
        assert available(file, "101") == "12.50000"
        first.send(signal.SIGTERM)
        assert first.wait() == 0

    with Up(file) as second:
        second.wait_for("Ctrl-C ends everything")
        assert second.passwords() == {}, "passwords are shown once"
        assert available(file, "101") == "12.50000"
        shown = softswitch(file, "demo", "--json")
        assert {row["number"]: row["password"] for row in json.loads(shown.stdout)} == first.passwords()
        second.send(signal.SIGINT)
        assert second.wait() == 0


def test_no_process_outlives_it_however_it_ends(tmp_path: Path) -> None:
    with Up(write_configuration(tmp_path)) as up:
        up.wait_for("Ctrl-C ends everything")
        processes = up.processes()
        assert len(processes) >= 5
        findings = json.loads(softswitch(up.file, "doctor", "--json").stdout)
        verdicts = {finding["topic"]: finding["verdict"] for finding in findings}
        assert (verdicts["media server"], verdicts["media relay"]) == ("good", "good")
        up.send(signal.SIGKILL)
        up.wait()
        _, alive = psutil.wait_procs(processes, timeout=20)
        assert alive == []


def test_what_dies_is_started_again_and_the_log_says_so(tmp_path: Path) -> None:
    with Up(write_configuration(tmp_path)) as up:
        up.wait_for("Ctrl-C ends everything")
        for name in ("switch", "media", "ivr", "carrier"):
            died = up.child(name)
            died.kill()
            up.wait_for(f"{name} ended by SIGKILL; starting it again")
            up.wait_for(f"{name} runs again")
            assert up.child(name).pid != died.pid
        died = up.child("postgres")
        died.kill()
        up.wait_for("store runs again")
        assert softswitch(up.file, "accounts").returncode == 0


def test_a_store_that_dies_again_while_it_recovers_is_tried_until_it_runs(tmp_path: Path) -> None:
    """Case H1."""
    with Up(write_configuration(tmp_path)) as up:
        up.wait_for("Ctrl-C ends everything")
        for number in range(1, 4):
            died = up.child("postgres")
            died.kill()
            up.wait_until(lambda: up.output.count("store ended by SIGKILL") >= number, f"the end number {number}")  # noqa: B023
            up.wait_until(lambda: any(one.pid != died.pid for one in up.servers()), "the next server")  # noqa: B023
        up.wait_for("store runs again")
        assert softswitch(up.file, "accounts").returncode == 0
        assert up.child("switch").is_running()


def test_a_second_start_after_a_kill_takes_the_data_over(tmp_path: Path) -> None:
    file = write_configuration(tmp_path)
    with Up(file) as first:
        first.wait_for("Ctrl-C ends everything")
        assert softswitch(file, "topup", "102", "1").returncode == 0
        first.send(signal.SIGKILL)
        first.wait()
        with Up(file) as second:
            second.wait_for("Ctrl-C ends everything")
            assert available(file, "102") == "6.00000"
            second.send(signal.SIGTERM)
            assert second.wait() == 0


def test_a_reload_takes_a_good_file_over_and_refuses_a_broken_one(tmp_path: Path) -> None:
    file = write_configuration(tmp_path)
    with Up(file) as up:
        up.wait_for("Ctrl-C ends everything")
        good = file.read_text(encoding="utf-8")
        file.write_text(good.replace("ring_seconds: 30", "ring_seconds: soon"), encoding="utf-8")
        refused = softswitch(file, "reload")
        assert refused.returncode == 2
        assert "config.yaml:6: sip.ring_seconds: expected a whole number" in refused.stderr
        up.send(signal.SIGHUP)  # as systemd would
        up.wait_for("the changed configuration is refused, the one before stays")
        file.write_text(good.replace("ring_seconds: 30", "ring_seconds: 40"), encoding="utf-8")
        taken = softswitch(file, "reload")
        assert taken.returncode == 0, taken.stderr
        up.wait_for("configuration taken over")
        assert len(up.processes()) >= 4


def test_a_port_in_use_is_named_with_its_key_its_line_and_its_owner(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        file = write_configuration(tmp_path, control=str(port))
        refused = softswitch(file, "up")
    assert refused.returncode == 1
    assert f"udp:127.0.0.1:{port} is in use by" in refused.stderr
    assert "config.yaml:10: media.control" in refused.stderr.replace("\n", " ").replace("  ", " ")


def test_a_second_up_on_the_same_data_is_refused(tmp_path: Path) -> None:
    file = write_configuration(tmp_path)
    with hold(tmp_path / "var" / "run" / "up.pid"):
        refused = softswitch(file, "up")
    assert refused.returncode == 1
    assert "up runs already" in refused.stderr


def test_reload_says_when_nothing_runs(tmp_path: Path) -> None:
    refused = softswitch(write_configuration(tmp_path), "reload")
    assert refused.returncode == 1
    assert "does not run" in refused.stderr
