# SPDX-License-Identifier: Apache-2.0
"""Who sits at the command line is known and noted; what he names an account by is understood everywhere."""

from __future__ import annotations

import csv
import json
import os
import pwd
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from softswitch.config import load
from softswitch.processes.store import EmbeddedStore
from tests.softswitch.support import command, softswitch, write_configuration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOCUMENT = """
customers: [{name: Acme, currency: USD, credit_limit: 20}]
accounts:
  - {number: "701", customer: Acme, kind: debit, opening_balance: 10, batch: Spring,
     aliases: ["42077777701"], password: first}
  - {number: "702", customer: Acme, kind: debit, opening_balance: 10, batch: Spring}
  - {number: "703", customer: Acme, kind: debit}
"""
ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The configuration of an installation whose store runs."""
    file = write_configuration(tmp_path_factory.mktemp("actor"))
    document = file.with_name("acme.yaml")
    document.write_text(DOCUMENT, encoding="utf-8")
    with EmbeddedStore(load(file).data_dir).running():
        assert softswitch(file, "migrate").returncode == 0
        assert softswitch(file, "apply", "--yes", str(document)).returncode == 0
        yield file


def log(file: Path, *filters: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(softswitch(file, "auditlog", "--json", *filters).stdout)
    return found


def test_the_log_names_the_user_whom_the_kernel_knows_and_where_he_came_from(file: Path) -> None:
    pretended = os.environ | {
        "USER": "somebody", "LOGNAME": "somebody", "SSH_CONNECTION": "192.0.2.7 50000 192.0.2.1 22",
    }  # fmt: skip
    subprocess.run(command(file, "topup", "701", "1"), env=pretended, check=True, capture_output=True)
    (entry,) = log(file, "--action", "money.topup", "--account", "701", "--limit", "1")
    assert entry["actor"] == ME
    assert (entry["role"], entry["via"]) == ("administrator", "command line")
    assert entry["origin"] == f"{socket.gethostname()}, SSH from 192.0.2.7"
    assert log(file, "--actor", "somebody") == []


@pytest.mark.parametrize("name", ["702", "Spring/2"])
def test_every_command_takes_whatever_leads_to_an_account(file: Path, name: str) -> None:
    for words in (
        ["account", name], ["topup", name, "2"], ["withdraw", name, "2"], ["ledger", name], ["xdrs", name],
        ["trace", "--account", name], ["suspend", name], ["unblock", name], ["voicemail", "list", name],
        ["voicemail", "reset-pin", name], ["voicemail", "unlock", name], ["explain", "--from", name, "--to", "701"],
        ["password", name, "--new"], ["auditlog", "--account", name],
    ):  # fmt: skip
        done = softswitch(file, *words)
        assert done.returncode == 0, (words, done.stderr)
    kinds = {row["kind"] for row in json.loads(softswitch(file, "ledger", name, "--json").stdout)}
    assert {"topup", "withdrawal"} <= kinds
    assert {entry["subject"] for entry in log(file, "--account", name)} == {"702"}
    assert softswitch(file, "ledger", "Spring/9").returncode == 1


def test_what_is_withdrawn_is_taken_once_and_never_more_than_there_is(file: Path) -> None:
    done = softswitch(file, "withdraw", "42077777701", "4.50", "--key", "w1", "--note", "mistyped")
    assert done.stdout.startswith("✓ 42077777701: 4.50 taken; available now "), done.stderr
    assert "nothing taken" in softswitch(file, "withdraw", "701", "4.50", "--key", "w1").stdout
    refused = softswitch(file, "withdraw", "701", "1000")
    assert (refused.returncode, refused.stderr) == (1, "✗ account 701 has less than 1000 available\n")
    assert [entry["reason"] for entry in log(file, "--action", "money.withdraw", "--account", "701")] == ["mistyped"]


def test_a_new_password_is_shown_once_and_never_noted(file: Path) -> None:
    first, second = (softswitch(file, "password", "703", "--new").stdout.strip() for _ in range(2))
    assert len(first) == len(second) == 12
    assert first != second
    entries = log(file, "--account", "703", "--action", "accounts.password")
    assert [entry["after"] for entry in entries] == [{"password": "********"}] * 2
    assert not any(secret in json.dumps(log(file)) for secret in (first, second))
    assert softswitch(file, "password", "703").returncode == 2


def test_a_reason_acts_neither_on_a_terminal_nor_in_a_spreadsheet(file: Path) -> None:
    assert softswitch(file, "block", "703", "--reason", "=cmd|' /C calc'!A0\x1b[2J").returncode == 0
    rows = list(csv.DictReader(softswitch(file, "auditlog", "--csv", "--account", "703").stdout.splitlines()))
    assert rows[0]["reason"].startswith("'=cmd")
    assert (rows[0]["action"], rows[0]["before"], rows[0]["after"]) == (
        "accounts.block", '{"state": "active"}', '{"state": "blocked"}',
    )  # fmt: skip
    shown = softswitch(file, "auditlog", "--account", "703", "--limit", "1")
    assert "state active -> blocked" in shown.stdout
    assert "\x1b" not in shown.stdout + rows[0]["reason"]


def test_a_note_about_an_account_is_found_where_it_is_asked_for(file: Path) -> None:
    assert softswitch(file, "note", "Spring/1", "will pay on Friday").stdout == "✓ noted of account 701\n"
    (entry,) = log(file, "--account", "42077777701", "--action", "accounts.note")
    assert entry["reason"] == "will pay on Friday"
    assert softswitch(file, "note", "701", " ").stderr == "✗ a note has 1 to 2000 characters\n"


def test_the_accounts_of_every_customer_are_changed_only_where_that_is_said(file: Path) -> None:
    refused = softswitch(file, "accounts", "update", "--set", "max_calls=5", "--yes")
    assert (refused.returncode, "say --all" in refused.stderr) == (2, True)
    assert softswitch(file, "accounts", "update", "--set", "max_calls=5", "--yes", "--all").returncode == 0
    (entry,) = log(file, "--action", "accounts.update")
    assert (entry["details"], entry["before"], entry["after"]) == (
        {"filters": "all accounts", "count": 3}, {"max_calls": "none"}, {"max_calls": "5"},
    )  # fmt: skip


def test_the_log_is_narrowed_by_time(file: Path) -> None:
    softswitch(file, "topup", "701", "1")
    assert log(file, "--since", "1h") != []
    assert log(file, "--until", "1h") == []
