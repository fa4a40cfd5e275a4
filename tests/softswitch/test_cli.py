# SPDX-License-Identifier: Apache-2.0
"""The commands as a stranger and as a script use them: what they print, what they refuse, how they exit."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from softswitch.cli import SECTIONS
from softswitch.cli import softswitch as program
from softswitch.config import load
from softswitch.processes.store import EmbeddedStore
from tests.softswitch.support import softswitch, write_configuration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOAD_DEMO = """
import sys
from pathlib import Path
from softswitch.config import load
from softswitch.demo.demo import prepare_store
from softswitch.processes.store import store_dsn
from tests.billing.back_office import ACTOR
configuration = load(Path(sys.argv[1]))
prepare_store(ACTOR, configuration, store_dsn(configuration), print)
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The configuration of an installation with the demo tenant, whose store runs."""
    file = write_configuration(tmp_path_factory.mktemp("cli"))
    with EmbeddedStore(load(file).data_dir).running():
        subprocess.run([sys.executable, "-c", LOAD_DEMO, str(file)], check=True, timeout=240)
        yield file


def test_the_help_leads_with_what_each_command_is_for() -> None:
    shown = CliRunner().invoke(program, ["--help"]).output
    for title, commands in SECTIONS.items():
        assert f"\n{title}:\n" in shown
        for command in commands:
            assert f"\n  {command.name} " in shown
    assert all(len(line) <= 80 for line in shown.splitlines())


@pytest.mark.parametrize("name", sorted(program.commands))
def test_every_command_explains_itself_within_80_columns(name: str) -> None:
    result = CliRunner().invoke(program, [name, "--help"])
    assert result.exit_code == 0
    assert all(len(line) <= 80 for line in result.output.splitlines())


def test_a_broken_configuration_is_told_with_exit_status_2(tmp_path: Path) -> None:
    file = write_configuration(tmp_path, node="a b")
    refused = softswitch(file, "check")
    assert refused.returncode == 2
    assert refused.stderr.startswith('config.yaml:1: node: "a b" is no name')


def test_a_good_configuration_is_told_with_exit_status_0(file: Path) -> None:
    assert softswitch(file, "check").stdout == "✓ config.yaml is in order\n"


def test_without_a_store_the_way_to_one_is_told_with_exit_status_3(tmp_path: Path) -> None:
    refused = softswitch(write_configuration(tmp_path), "accounts")
    assert refused.returncode == 3
    assert '"softswitch up" makes it' in refused.stderr


def test_accounts_are_a_table_for_people_and_json_for_scripts(file: Path) -> None:
    table = softswitch(file, "accounts").stdout
    assert "Account" in table.splitlines()[0]
    assert "Demo company" in table
    rows = json.loads(softswitch(file, "accounts", "105", "--json").stdout)
    assert [(row["number"], row["available"]) for row in rows] == [("105", "0.20000")]


def test_empty_lists_say_so_and_are_empty_json(file: Path) -> None:
    for command, words in (("registrations", "No phone is registered."), ("calls", "No calls.")):
        assert softswitch(file, command).stdout == f"{words}\n"
        assert json.loads(softswitch(file, command, "--json").stdout) == []
    assert json.loads(softswitch(file, "xdrs", "--json").stdout) == []


def test_the_ledger_shows_the_balance_after_each_movement(file: Path) -> None:
    softswitch(file, "topup", "103", "2.50", "--note", "thanks")
    rows = json.loads(softswitch(file, "ledger", "103", "--json").stdout)
    assert [(row["kind"], row["amount"], row["balance"]) for row in rows] == [("topup", "-2.50000", "-2.50000")]
    assert "thanks" in softswitch(file, "ledger", "103").stdout


def test_a_topup_with_one_key_counts_once(file: Path) -> None:
    first = softswitch(file, "topup", "102", "1.25", "--key", "one")
    assert first.stdout == "✓ 102: 1.25 added; available now 6.25 USD\n"
    again = softswitch(file, "topup", "102", "1.25", "--key", "one")
    assert again.stdout == "✓ 102: nothing added: this key was used before; available now 6.25 USD\n"


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["topup", "999", "1"], 1, 'nobody has the number or alias "999"'),
        (["ledger", "999"], 1, 'nobody has the number or alias "999"'),
        (["xdrs", "999"], 1, 'nobody has the number or alias "999"'),
        (["auditlog", "--account", "999"], 1, 'nobody has the number or alias "999"'),
        (["topup", "102", "0"], 2, "is not more than zero"),
        (["topup", "102", "abc"], 2, "is no amount"),
        (["topup", "102", "NaN"], 2, "is no amount such as"),
        (["topup", "102", "0.000001"], 2, "of at most five decimals"),
        (["disconnect", "nothing"], 1, 'no running call has the id "nothing"'),
        (["acounts"], 2, "accounts"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(file: Path, words: list[str], status: int, told: str) -> None:
    refused = softswitch(file, *words)
    assert refused.returncode == status
    assert told in refused.stderr
    assert "Traceback" not in refused.stderr


def test_apply_shows_the_difference_asks_and_is_idempotent(file: Path, tmp_path: Path) -> None:
    document = tmp_path / "acme.yaml"
    document.write_text(
        "customers: [{name: Acme, currency: USD, credit_limit: 20}]\n"
        "accounts: [{number: '301', customer: Acme, kind: subordinate, product: Demo product}]\n",
        encoding="utf-8",
    )
    shown = softswitch(file, "apply", str(document), "--dry-run")
    assert shown.returncode == 0
    assert "+ customer Acme" in shown.stdout
    assert json.loads(softswitch(file, "accounts", "301", "--json").stdout) == []
    unasked = softswitch(file, "apply", str(document))  # nobody answers the question
    assert unasked.returncode == 1
    done = softswitch(file, "apply", str(document), "--yes")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(softswitch(file, "accounts", "301", "--json").stdout)) == 1
    assert softswitch(file, "apply", str(document)).stdout == "Nothing to change.\n"


def test_a_mistake_in_a_document_is_told_with_its_path(file: Path, tmp_path: Path) -> None:
    document = tmp_path / "wrong.yaml"
    document.write_text("accounts: [{number: '302', custmer: Acme}]\n", encoding="utf-8")
    refused = softswitch(file, "apply", str(document), "--yes")
    assert refused.returncode == 2
    assert "wrong.yaml:1: accounts[0]" in refused.stderr


def test_the_books_of_the_demo_are_right(file: Path) -> None:
    assert softswitch(file, "audit").returncode == 0


def test_the_demo_tells_numbers_passwords_and_what_to_dial(file: Path) -> None:
    shown = softswitch(file, "demo").stdout
    rows = json.loads(softswitch(file, "demo", "--json").stdout)
    for row in rows:
        assert row["password"] in shown
    assert "201 from 105" in shown


def test_the_demo_tells_a_voucher_and_the_pin_of_the_calling_card(file: Path) -> None:
    shown = softswitch(file, "demo").stdout
    vouchers = json.loads(softswitch(file, "vouchers", "show", "Demo vouchers", "--pins", "--json").stdout)
    assert re.search(rf"\*99 +put a voucher on the account: {vouchers[0]['pin']} *\n", shown)
    assert re.search(r"18005550100 +a calling card, by its PIN from any phone: \d{8} *\n", shown)


def test_the_doctor_looks_at_everything(file: Path) -> None:
    findings = json.loads(softswitch(file, "doctor", "--json").stdout)
    verdicts = {finding["topic"]: finding["verdict"] for finding in findings}
    assert {topic: verdicts[topic] for topic in ("ports", "data_dir", "store", "clock")} == {
        "ports": "good",
        "data_dir": "good",
        "store": "good",
        "clock": "good",
    }
    assert "dns" in verdicts


def test_an_account_is_shown_with_its_state_its_end_and_the_reason(file: Path, tmp_path: Path) -> None:
    document = tmp_path / "cards.yaml"
    document.write_text(
        "customers: [{name: Cards, currency: USD, timezone: America/New_York}]\n"
        "accounts: [{number: '800', customer: Cards, kind: debit, opening_balance: 5, expiry_date: 2020-03-20,"
        " expire_after_last_use_days: 25, aliases: ['48291744@pin', {name: '42080', allow_authentication: true}]}]\n",
        encoding="utf-8",
    )
    assert softswitch(file, "apply", "--yes", str(document)).returncode == 0
    shown = softswitch(file, "account", "42080").stdout
    for words in (
        "expired",
        "account expired on 2020-03-20: its expiry date",
        "on 2020-03-20, America/New_York: its expiry date",
        "until the day before 2020-03-20, 25 days after its last use",
        "5.00 USD, 5.00 available",
        "42080 (registers)",
        "******44@pin",
    ):
        assert words in " ".join(shown.split())
    row = json.loads(softswitch(file, "account", "800", "--json").stdout)
    assert (row["status"], row["expires_on"], row["expires_at"]) == (
        "expired",
        "2020-03-20",
        "2020-03-20T04:00:00+00:00",
    )
    assert "expired" in softswitch(file, "accounts", "800").stdout
    assert softswitch(file, "account", "999").returncode == 1


def test_names_that_lead_somewhere_else_are_refused_by_line_and_told_by_the_doctor(file: Path, tmp_path: Path) -> None:
    """Case L24."""
    document = tmp_path / "names.yaml"
    document.write_text(
        "customers: [{name: Names, currency: USD}]\n"
        "accounts:\n"
        "- {number: '+30001', customer: Names, kind: subordinate}\n"
        "- {number: '30002', customer: Names, kind: subordinate,\n"
        "   aliases: ['112', '*98', 127.0.0.1]}\n",
        encoding="utf-8",
    )
    refused = softswitch(file, "apply", "--yes", str(document))
    assert refused.returncode == 2
    assert "names.yaml:3: accounts[0].number: '+30001' is another spelling of the number 30001" in refused.stderr
    assert "names.yaml:5: accounts[1].aliases[0]" in refused.stderr
    assert "'112' is an emergency number (sip.emergency_numbers)" in refused.stderr
    assert "'*98' is a star code" in refused.stderr
    document.write_text(
        "customers: [{name: Names, currency: USD}]\n"
        "accounts: [{number: '4711', customer: Names, kind: subordinate, aliases: [192.0.2.77]}]\n",
        encoding="utf-8",
    )
    assert softswitch(file, "apply", "--yes", str(document)).returncode == 0
    text = file.read_text(encoding="utf-8")
    try:
        file.write_text(text.replace("sip:\n", 'sip:\n  emergency_numbers: ["112", "4711"]\n', 1), encoding="utf-8")
        told = [
            one["text"] for one in json.loads(softswitch(file, "doctor", "--json").stdout) if one["topic"] == "names"
        ]
    finally:
        file.write_text(text, encoding="utf-8")
    assert told == ["nobody reaches an account so: '4711' is an emergency number (sip.emergency_numbers)"]


def test_an_account_is_blocked_and_unblocked_and_closed_for_good(file: Path) -> None:
    assert softswitch(file, "block", "104").stdout == "✓ account 104 is blocked (it was active)\n"
    assert json.loads(softswitch(file, "account", "104", "--json").stdout)["refusal"] == "account blocked"
    assert softswitch(file, "unblock", "104").returncode == 0
    assert softswitch(file, "activate", "104").stderr == "✗ account 104 is active: it cannot be activated\n"
    assert softswitch(file, "suspend", "104").returncode == 0
    assert softswitch(file, "close", "104", "--yes").returncode == 0
    assert softswitch(file, "unblock", "104").stderr == "✗ account 104 is closed: it cannot be unblocked\n"
    assert softswitch(file, "block", "999").returncode == 1
