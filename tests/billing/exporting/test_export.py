# SPDX-License-Identifier: Apache-2.0
"""What is exported is what `apply` reads: the same, byte for byte, after it was applied to an empty store."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from softswitch.cli.documents import read_yaml
from softswitch.cli.export import written
from tests.billing.back_office import ACTOR, opened
from tests.conftest import EMPTY

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[3] / "docs" / "apply.md"
SECRET = ("a-long-password", "another-long-password", "48291744")
NEVER = {"opening_balance", "merge", "price"}
"""Keys of the page that no export has."""
CARD = {"accounts": [{"number": "104", "customer": "Acme", "kind": "debit", "aliases": ["48291744@pin"]}]}


def examples() -> str:
    """All examples of the page as one document."""
    return "\n".join(re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))


@pytest.fixture
def office(dsn: str, tmp_path: Path) -> Iterator[Any]:
    """A store to which the examples of the page were applied."""
    for office in opened(dsn):
        apply(office, examples(), tmp_path)
        office.apply(CARD)
        yield office


def apply(office: Any, text: str, folder: Path) -> Any:
    file = folder / "document.yaml"
    file.write_text(text, encoding="utf-8")
    return office.apply(read_yaml(file))


def exported(**options: Any) -> str:
    from billing.exporting.actions import export

    return "".join(written(export(ACTOR, **options)))


def test_the_examples_of_the_page_are_applied_and_nothing_is_left_to_change(office: Any, tmp_path: Path) -> None:
    changes = apply(office, examples(), tmp_path)
    assert [str(change) for change in changes] == []


def test_every_key_of_the_page_is_exported(office: Any) -> None:
    keys = set(re.findall(r"[{ ](\w+):(?: |\n)", re.sub(r"#.*", "", examples()))) - NEVER
    text = exported(secrets=True).replace(":\n", ": ")
    assert [key for key in sorted(keys) if f"{key}: " not in text] == []


@pytest.mark.parametrize("secrets", [False, True])
def test_an_export_applied_to_an_empty_store_is_exported_the_same(
    office: Any, dsn: str, tmp_path: Path, *, secrets: bool
) -> None:
    first = exported(secrets=secrets)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(EMPTY)
    apply(office, first, tmp_path)
    assert exported(secrets=secrets) == first


def test_an_export_applied_where_it_was_made_changes_nothing(office: Any, tmp_path: Path) -> None:
    """The PINs of cards, which it does not have, stay."""
    assert apply(office, exported(), tmp_path) == []
    assert "48291744@pin" in exported(secrets=True)


def test_secrets_are_exported_when_asked_for_and_that_is_noted(office: Any, dsn: str) -> None:
    plain, full = exported(), exported(secrets=True)
    assert not [secret for secret in SECRET if secret in plain]
    assert [secret for secret in SECRET if secret in full] == list(SECRET)
    with psycopg.connect(dsn) as connection:
        noted = connection.execute(
            "SELECT details->>'secrets' FROM billing_auditlog WHERE action = 'document.export' ORDER BY id"
        ).fetchall()
    assert noted == [("false",), ("true",)]


def test_numbers_that_were_claimed_by_telephone_are_not_exported_as_proven(office: Any, dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE billing_alias SET claimed_at = now() WHERE name = '420603123456@pstn'")
    assert "420603123456@pstn" not in exported(secrets=True)


def test_one_customer_is_exported_without_the_others(office: Any) -> None:
    office.apply({"customers": [{"name": "Other", "currency": "EUR"}], "tariffs": [{"name": "T2", "currency": "EUR"}]})
    text = exported(customer="Acme")
    assert "Acme" in text
    assert "Other" not in text
    assert "T2" not in text
    assert "gateways" not in text


def test_lists_that_are_merged_keep_what_they_leave_out(office: Any) -> None:
    more = {"merge": ["aliases", "rates", "routes"],
            "accounts": [{"number": "104", "aliases": ["420222000104"]}],
            "tariffs": [{"name": "Retail", "rates": [{"prefix": "44", "price": 1}]}],
            "gateways": [{"name": "carrier", "routes": ["44"]}]}  # fmt: skip
    assert {str(change) for change in office.apply(more)} == {
        "+ alias 420222000104", "+ rate Retail/44", "+ route carrier/44",
    }  # fmt: skip
    gone = {str(change) for change in office.apply({**more, "merge": []})}
    assert {"- rate Retail/420", "- route carrier/420"} <= gone
