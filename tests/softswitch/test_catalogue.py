# SPDX-License-Identifier: Apache-2.0
"""What is sold to whom and over which carriers: listed, shown one by one, searched, as a table, as CSV, as JSON."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest

from softswitch.config import load
from softswitch.processes.store import EmbeddedStore
from tests.softswitch.support import softswitch, write_configuration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TENANT = """\
customers: [{name: Acme, currency: USD, credit_limit: 50}, {name: "=Sum", currency: EUR}]
tariffs:
  - name: Retail
    currency: USD
    rates: [{prefix: "420", destination: Czech Republic, price: 0.05},
            {prefix: "4207", destination: Czech mobile, price: 0.1},
            {prefix: "44", destination: United Kingdom, price: 0.03}]
products: [{name: Home, tariff: Retail}]
accounts:
  - {number: "101", customer: Acme, kind: debit, product: Home, display: Alice,
     aliases: ["420222000101", "48291744@pin"]}
gateways:
  - {name: first, host: 192.0.2.1, vendor: Telco, routes: ["420", {prefix: "44", order: 2}]}
  - {name: second, host: 192.0.2.2, username: us, password: verysecret, routes: ["44"]}
"""
KINDS = ("customer", "tariff", "product", "gateway", "vendor")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The configuration of an installation with nothing in it."""
    file = write_configuration(tmp_path_factory.mktemp("empty"))
    with EmbeddedStore(load(file).data_dir).running():
        assert softswitch(file, "migrate").returncode == 0
        yield file


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The configuration of an installation with a small tenant."""
    file = write_configuration(tmp_path_factory.mktemp("catalogue"))
    with EmbeddedStore(load(file).data_dir).running():
        assert softswitch(file, "migrate").returncode == 0
        document = file.with_name("acme.yaml")
        document.write_text(TENANT, encoding="utf-8")
        assert softswitch(file, "apply", "--yes", str(document)).returncode == 0
        yield file


def listed(file: Path, *words: str) -> list[dict[str, object]]:
    done = softswitch(file, *words, "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_list_says_what_to_do(empty: Path, kind: str) -> None:
    said = softswitch(empty, f"{kind}s").stdout
    assert said.startswith(f"No {kind}s.")
    assert "softswitch apply" in said
    assert listed(empty, f"{kind}s") == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_plural_lists_and_the_singular_shows_one(file: Path, kind: str) -> None:
    names = [str(row["name"]) for row in listed(file, f"{kind}s")]
    table = softswitch(file, f"{kind}s").stdout
    assert table.splitlines()[0].strip().startswith(kind.capitalize())
    for name in names:
        assert name in table
        shown = softswitch(file, kind, name)
        assert shown.returncode == 0
        assert name in shown.stdout
        assert json.loads(softswitch(file, kind, name, "--json").stdout)["name"] == name


@pytest.mark.parametrize(("kind", "name", "near"), [("customer", "Akme", "Acme"), ("gateway", "frist", "first")])
def test_one_that_is_not_there_is_told_with_the_nearest_name(file: Path, kind: str, name: str, near: str) -> None:
    refused = softswitch(file, kind, name)
    assert refused.returncode == 1
    assert f'there is no {kind} "{name}" (did you mean "{near}"?)' in refused.stderr


def test_a_list_keeps_what_is_searched_for(file: Path) -> None:
    assert [row["name"] for row in listed(file, "customers", "ac")] == ["Acme"]
    assert [row["name"] for row in listed(file, "customers", "420222")] == ["Acme"]
    assert listed(file, "customers", "%") == []
    assert [row["prefix"] for row in listed(file, "rates", "Retail", "4207")] == ["420", "4207"]
    assert [row["prefix"] for row in listed(file, "rates", "Retail", "king")] == ["44"]
    assert [row["number"] for row in listed(file, "accounts", "alice")] == ["101"]
    assert 'Nothing has "nobody".' in softswitch(file, "customers", "nobody").stdout
    assert 'there is no tariff "Retale" (did you mean "Retail"?)' in softswitch(file, "rates", "Retale").stderr


def test_routes_are_shown_in_the_order_in_which_they_are_tried(file: Path) -> None:
    assert [row["gateway"] for row in listed(file, "routes", "44")] == ["second", "first"]
    assert [row["prefix"] for row in listed(file, "routes", "--gateway", "first")] == ["420", "44"]


def test_whatever_a_number_or_a_name_leads_to_is_found(file: Path) -> None:
    found = {(row["kind"], row["name"]) for row in listed(file, "find", "420222")}
    assert found == {("alias", "420222000101 of account 101")}
    assert ("gateway", "first") in {(row["kind"], row["name"]) for row in listed(file, "find", "192.0.2.1")}


def test_neither_passwords_nor_pins_are_found_or_shown(file: Path) -> None:
    for words in (("gateway", "second"), ("gateways",), ("find", "48291744"), ("find", "4829"), ("customers", "4829")):
        done = softswitch(file, *words, *(["--json"] if len(words) == 2 else []))
        assert "verysecret" not in done.stdout
        assert "pin" not in done.stdout.lower()
        assert "Acme" not in done.stdout


def test_csv_is_harmless_in_a_spreadsheet_and_rates_are_read_back(file: Path) -> None:
    lines = list(csv.DictReader(io.StringIO(softswitch(file, "customers", "--csv").stdout)))
    assert {line["name"] for line in lines} == {"Acme", "'=Sum"}
    prices = file.with_name("prices.csv")
    prices.write_text(softswitch(file, "rates", "Retail", "--csv").stdout, encoding="utf-8")
    document = file.with_name("retail.yaml")
    document.write_text("tariffs: [{name: Retail, rates_file: prices.csv}]\n", encoding="utf-8")
    assert "Nothing to change" in softswitch(file, "apply", "--dry-run", str(document)).stdout


def test_call_records_are_filtered_and_printed_as_csv(file: Path) -> None:
    head = softswitch(file, "xdrs", "--csv", "--since", "7d", "--customer", "Acme", "--cause", "16").stdout
    assert head.startswith("started_at,caller,dialled")
    assert "No such call records" in softswitch(file, "xdrs", "--gateway", "first", "--number", "420").stdout
