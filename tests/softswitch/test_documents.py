# SPDX-License-Identifier: Apache-2.0
"""Documents of an administrator: taken by their text, and every mistake told with file, line and path."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ivr.apps import OFFERED
from softswitch.applications import Applications
from softswitch.config import ConfigurationInvalidError, load
from softswitch.config.yaml_text import WrittenMapping, compose, line_of, written_tree
from softswitch.processes.store import EmbeddedStore
from tests.softswitch.support import softswitch, write_configuration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TENANT = """\
customers: [{name: Acme, currency: USD}]
tariffs:
  - name: Retail
    currency: USD
    rates: [{prefix: 0044, price: 0.10}, {prefix: 012, price: "1"}]
products: [{name: Home, tariff: Retail}]
accounts:
  - {number: 0606, customer: Acme, kind: debit, product: Home, display: 007, password: 0x1F, opening_balance: 10}
  - {number: 12:30:45, customer: Acme, kind: debit, product: Home, voicemail: off}
gateways: [{name: 1_000, host: 192.0.2.1, routes: [0033, {prefix: 010, prepend: 00}]}]
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The configuration of an installation whose store runs."""
    file = write_configuration(tmp_path_factory.mktemp("documents"))
    with EmbeddedStore(load(file).data_dir).running():
        assert softswitch(file, "migrate").returncode == 0
        assert applied(file, TENANT)[0] == 0
        yield file


def applied(file: Path, text: str, *words: str) -> tuple[int, str]:
    """The exit status of `apply`, and what it says."""
    document = file.with_name("acme.yaml")
    document.write_text(text, encoding="utf-8")
    done = softswitch(file, "apply", "--yes", *words, str(document))
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_identifiers_are_taken_by_their_text(file: Path) -> None:
    """Case E1: 0606 was account 390, 12:30:45 was 45045, 0033 was 27."""
    status, said = applied(file, TENANT)
    assert status == 0, said
    accounts = {row["number"]: row for row in json.loads(softswitch(file, "accounts", "--json").stdout)}
    assert set(accounts) == {"0606", "12:30:45"}
    assert accounts["0606"]["display"] == "007"
    assert "Nothing to change" in applied(file, TENANT)[1]
    shown = applied(file, TENANT.replace("0033", "0034").replace("012", "013").replace("1_000", "1_001"), "--dry-run")[
        1
    ]
    for text in ("Retail/012", "1_001/0034", "1_001/010"):
        assert text in shown


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("customers: []\naccounts: []\ncustomers: []\n", ["acme.yaml:3: customers: given twice, first in line 1"]),
        (
            "accounts:\n- number: 1\n  kind: debit\n  number: 2\n",
            ["acme.yaml:4: accounts[0].number: given twice, first in line 2"],
        ),
        (
            "customers:\n- name: Acme\n- {name: Acme}\n",
            ["acme.yaml:3: customers[1].name: name 'Acme' is there twice, first in line 2"],
        ),
        (
            "accounts:\n- number: 1\n- number: '1'\n",
            ["acme.yaml:3: accounts[1].number: number '1' is there twice, first in line 2"],
        ),
        (
            "gateways:\n- name: a\n  routes: [1,\n    1]\n",
            ["acme.yaml:4: gateways[0].routes[1].prefix: prefix '1' is there twice, first in line 3"],
        ),
        (
            "accounts:\n- number: 1\n  aliases:\n  - 77\n  - {name: 77}\n",
            ["acme.yaml:5: accounts[0].aliases[1].name: name '77' is there twice, first in line 4"],
        ),
        (
            "tariffs:\n- name: T\n  rates:\n  - {prefix: 1, price: 1}\n  - {prefix: 1, price: 2}\n",
            ["acme.yaml:5: tariffs[0].rates[1]: rate 1 is there twice, first in line 4"],
        ),
        (
            "customers:\n- name: Acme\n  credit_limit: NaN\n",
            ["acme.yaml:3: customers[0].credit_limit: 'NaN' is not an amount"],
        ),
        (
            "accounts:\n- number: 1\n  expiry_date: 2027-02-31\n",
            ["acme.yaml:3: accounts[0].expiry_date: '2027-02-31' is not a date"],
        ),
        (
            "accounts:\n- number: 1\n  activation_date: 2026-12-01 24:00:00\n",
            ["acme.yaml:3: accounts[0].activation_date: '2026-12-01 24:00:00' is not a date"],
        ),
        (
            "accounts:\n- number: 1\n  opening_balance: 1e400\n",
            ["acme.yaml:3: accounts[0].opening_balance: '1e400' is not an amount"],
        ),
        ("accounts:\n- number: 1\n  max_calls: " + "9" * 5000 + "\n", ["acme.yaml:3: accounts[0].max_calls: '999"]),
        (
            'accounts:\n- number: 1\n  display: "a\\u001b[2J"\n',
            ["acme.yaml:3: accounts[0].display: 'a\\x1b[2J' holds a character"],
        ),
        (
            "accounts:\n- number: 1\n  display: " + "x" * 200 + "\n",
            ["acme.yaml:3: accounts[0].display: has 200 characters, 120 at most"],
        ),
        (
            "accounts:\n- number: 1\n  customer: Nobody\n",
            ["acme.yaml:3: accounts[0].customer: there is no customer 'Nobody'"],
        ),
        ("acounts:\n- number: 1\n", ['acme.yaml:1: acounts: unknown key (did you mean "accounts"?)']),
        ("- a\n- b\n", ['acme.yaml:1: expected "key: value" lines']),
        ("a: [1\n", ["acme.yaml:2: not YAML"]),
        ("a: &a [*a]\n", ["too large: its anchors repeat each other"]),
        ("", ['acme.yaml:1: expected "key: value" lines']),
    ],
)
def test_a_mistake_is_told_with_file_line_and_path(file: Path, text: str, mistakes: list[str]) -> None:
    """Cases E2, H6, I4, I5."""
    status, said = applied(file, text)
    assert status == 2, said
    flat = " ".join(said.split())
    for mistake in mistakes:
        assert mistake in flat


@pytest.mark.parametrize(
    "text", ["[" * 5000 + "]" * 5000, "{a: " * 5000 + "}" * 5000, "- " * 5000 + "x", "a: " + "[" * 5000]
)
def test_deep_nesting_is_told_in_words(file: Path, text: str) -> None:
    """Case H6: a traceback."""
    status, said = applied(file, f"accounts: {text}" if text[0] in "[{" else text)
    assert status == 2
    assert "nested more than 40 deep" in said or "not YAML" in said
    broken = file.with_name("deep.yaml")
    broken.write_text(f"sip: {text}" if text[0] in "[{" else text, encoding="utf-8")
    done = softswitch(broken, "check")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_anchors_that_multiply_each_other_are_refused(file: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    status, said = applied(file, "\n".join(lines))
    assert status == 2
    assert "too large" in said


def test_anchors_and_merges_save_writing(tmp_path: Path) -> None:
    document = tmp_path / "a.yaml"
    document.write_text(
        "x: &x {kind: debit, product: Home}\naccounts:\n- {<<: *x, number: 1}\n- <<: *x\n  product: Gold\n",
        encoding="utf-8",
    )
    root, problems = compose(document)
    assert root is not None
    tree = written_tree(root, problems)
    assert problems == []
    assert isinstance(tree, WrittenMapping)
    assert tree["accounts"] == [
        {"number": "1", "kind": "debit", "product": "Home"},
        {"kind": "debit", "product": "Gold"},
    ]
    assert line_of(tree, "accounts[1].product") == 5
    assert line_of(tree, "accounts[1].kind") == 1
    assert line_of(tree, "nowhere[9].x") == 1


def test_a_price_list_that_names_a_prefix_twice_is_refused_with_both_lines(file: Path) -> None:
    """Case I5: the last won silently."""
    prices = file.with_name("prices.csv")
    tariff = "tariffs: [{name: Twice, currency: USD, rates_file: prices.csv}]\n"
    prices.write_text("prefix,price\n420,1\n44,2\n420,3\n", encoding="utf-8")
    status, said = applied(file, tariff)
    assert status == 2
    assert "prices.csv:4: rate 420 is there twice, first in prices.csv:2" in said
    prices.write_text("prefix,price,effective_from\n420,1,2031-01-01\n420,3,2031-02-01\n", encoding="utf-8")
    assert applied(file, tariff)[0] == 0
    prices.write_text("prefix,price,price\n420,1,2\n", encoding="utf-8")
    assert "prices.csv:1: column 'price' is there twice" in applied(file, tariff)[1]
    prices.write_text("prefix,price\n420,NaN\n١٢,1\n44,1e5\n", encoding="utf-8")
    said = applied(file, tariff)[1]
    for mistake in ("prices.csv:2: price: 'NaN'", "prices.csv:3: prefix: '١٢'", "prices.csv:4: price: '1e5'"):
        assert mistake in said


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("topup", "0606", "99999999999999999999"), 2),
        (("topup", "0606", "NaN"), 2),
        (("topup", "0606", "1e5"), 2),
        (("topup", "0606", "999999999999999"), 1),
        (("topup", "0606", "999999999999999.5"), 1),
        (("accounts", "update", "--customer", "Acme", "--set", "max_call_price=NaN", "--yes"), 1),
        (("accounts", "update", "--customer", "Acme", "--set", "max_calls=" + "9" * 5000, "--yes"), 1),
        (("accounts", "update", "--customer", "Acme", "--set", "expiry_date=2027-02-31", "--yes"), 1),
        (("accounts", "update", "--customer", "Acme", "--set", "balance=sNaN", "--yes"), 1),
        (
            (
                "vouchers",
                "generate",
                "--customer",
                "Acme",
                "--batch",
                "b",
                "--count",
                "1",
                "--amount",
                "999999999999999999",
            ),
            2,
        ),
        (("xdrs", "--last", "9" * 30), 2),
        (("accounts", "--limit", "9" * 30), 2),
        (("trace", "--since", "999999w"), 2),
        (("accounts", "generate", "--customer", "Acme", "--batch", "c", "--count", "1", "--prefix", "٤٢"), 2),
        (("account", "x" * 10_000), 1),
    ],
)
def test_a_value_on_the_command_line_is_taken_or_refused_in_words(
    file: Path, words: tuple[str, ...], status: int
) -> None:
    """Case I4: tracebacks."""
    done = softswitch(file, *words)
    assert "Traceback" not in done.stderr
    assert done.returncode == status, done.stderr


@pytest.mark.parametrize("application", ["conference", "selfcare", "menu", "announcement", "feature", "ecco"])
def test_an_access_number_leads_to_an_application_that_is_there(tmp_path: Path, application: str) -> None:
    """Case E3: "in order", and the caller got 404."""
    file = tmp_path / "config.yaml"
    file.write_text(f'ivr:\n  access_numbers: {{"*43": {application}}}\n', encoding="utf-8")
    with pytest.raises(ConfigurationInvalidError) as caught:
        load(file)
    assert f'config.yaml:2: ivr.access_numbers.*43: unknown value "{application}"' in str(caught.value)
    assert "known: " in str(caught.value) or 'did you mean "echo"' in str(caught.value)


class Anything:
    """Has whatever an application is given when it is composed."""

    def __getattr__(self, name: str) -> Anything:
        return Anything()

    def __call__(self, *_: object, **__: object) -> Anything:
        return Anything()


def test_whatever_can_be_configured_can_be_composed() -> None:
    anything: Any = Anything()
    found = Applications(anything, anything, anything).applications(anything)
    assert {"voicemail-access" if name == "voicemail" else name for name in OFFERED} <= found.keys()
