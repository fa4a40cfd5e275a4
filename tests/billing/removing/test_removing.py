# SPDX-License-Identifier: Apache-2.0
"""Things are removed where nothing stands against it, and else it is told what does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.billing.back_office import ACTOR, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT = {
    "customers": [{"name": "Acme", "currency": "USD"}, {"name": "Idle", "currency": "USD"}],
    "tariffs": [{"name": "Retail", "currency": "USD", "rates": [{"prefix": "420", "price": 1}]}],
    "products": [{"name": "Home", "tariff": "Retail"}],
    "accounts": [{"number": "101", "customer": "Acme", "kind": "debit", "product": "Home"}],
    "gateways": [{"name": "carrier", "host": "192.0.2.1", "routes": ["420", "44"]}],
}
XDR = """
INSERT INTO billing_xdr (call_id, node, account_id, balance_id, direction, caller, dialled, destination, country,
                         gateway_id, sip_call_id, started_at, currency, ended_at, billed_seconds, amount, cause,
                         ended_by)
SELECT 'c1', 'n', a.id, a.balance_id, 'outgoing', '101', '420', '', '', g.id, 's', now(), '', now(), 0, 0, 16, 'caller'
  FROM billing_account a, billing_gateway g"""


@pytest.fixture
def office(dsn: str) -> Iterator[Any]:
    for office in opened(dsn):
        office.apply(DOCUMENT)
        yield office


def remove(kind: str, name: str) -> None:
    from billing.removing import actions

    actions.remove(ACTOR, kind, name)


@pytest.mark.parametrize(
    ("kind", "name", "against"),
    [
        ("customer", "Acme", "customer Acme stays: 1 account: 101"),
        ("product", "Home", "product Home stays: 1 account: 101"),
        ("tariff", "Retail", "tariff Retail stays: 1 product: Home"),
        ("gateway", "carrier", "gateway carrier stays: 1 call record (enabled: false"),
        ("product", "Hom", 'there is no product "Hom"'),
        ("route", "carrier/1", 'there is no route "carrier/1"'),
    ],
)
def test_what_stands_against_it_is_told_and_nothing_is_removed(
    office: Any, dsn: str, kind: str, name: str, against: str
) -> None:
    from billing.audit_log.actor import ActionError

    with psycopg.connect(dsn) as connection:
        connection.execute(XDR)
    with pytest.raises(ActionError) as refused:
        remove(kind, name)
    assert str(refused.value).startswith(against)
    assert office.apply(DOCUMENT) == []


def test_what_nothing_stands_against_is_removed_and_noted(office: Any, dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE billing_account SET product_id = NULL")
    things = [
        ("customer", "Idle"),
        ("product", "Home"),
        ("tariff", "Retail"),
        ("route", "carrier/44"),
        ("gateway", "carrier"),
    ]
    for kind, name in things:
        remove(kind, name)
    assert {str(change) for change in office.apply(DOCUMENT) if not change.field} >= {
        "+ customer Idle", "+ tariff Retail", "+ product Home", "+ gateway carrier",
    }  # fmt: skip
    with psycopg.connect(dsn) as connection:
        noted = connection.execute(
            "SELECT action, subject FROM billing_auditlog WHERE action LIKE '%.remove'"
        ).fetchall()
    assert noted == [(f"{kind}s.remove", name) for kind, name in things]


def test_a_complete_list_removes_what_it_leaves_out(office: Any) -> None:
    only = {"customers": [{"name": "Acme"}], "complete": ["customers"]}
    assert [str(change) for change in office.apply(only, dry_run=True)] == ["- customer Idle"]
    assert [str(change) for change in office.apply(only)] == ["- customer Idle"]
    assert office.apply(only) == []


def test_a_complete_list_that_leaves_out_what_is_in_use_is_refused_with_all_that_is(office: Any) -> None:
    from billing.document.apply import ApplyError

    with pytest.raises(ApplyError) as refused:
        office.apply({"customers": [], "products": [], "complete": ["customers", "products"]})
    assert refused.value.problems == [
        "complete: product Home stays: 1 account: 101, and is not in products",
        "complete: customer Acme stays: 1 account: 101, and is not in customers",
    ]
    assert office.apply(DOCUMENT) == []


@pytest.mark.parametrize(
    ("complete", "mistake"),
    [
        (["accounts"], "complete[0]: 'accounts' is none of gateways, products, tariffs, customers"),
        (["gateways"], "complete[0]: the document has no list gateways: all of them would go"),
        ("gateways", "complete: is not a list of gateways, products, tariffs, customers"),
    ],
)
def test_a_list_that_cannot_be_complete_is_a_mistake(office: Any, complete: Any, mistake: str) -> None:
    from billing.document.apply import ApplyError

    with pytest.raises(ApplyError) as refused:
        office.apply({"complete": complete})
    assert refused.value.problems == [mistake]
