# SPDX-License-Identifier: Apache-2.0
"""Documents are applied as a whole, once, and with every mistake named by its path."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from billing.document.contents import read_document
from tests.billing.back_office import opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def ops(dsn: str) -> Iterator[Any]:
    """The back office of this test's store."""
    yield from opened(dsn)


def document() -> dict[str, Any]:
    """A small provider."""
    return {
        "customers": [{"name": "Acme", "currency": "USD", "credit_limit": 20}],
        "tariffs": [
            {
                "name": "Retail",
                "currency": "USD",
                "rates": [
                    {"prefix": "420", "destination": "Czech Republic", "connect_fee": 0.02, "price": 0.09},
                    {"prefix": 44, "first_price": 0.1, "next_price": 0.05, "first_increment": 60, "next_increment": 30},
                ],
            }
        ],
        "products": [{"name": "Home", "tariff": "Retail"}],
        "accounts": [
            {"number": 101, "customer": "Acme", "kind": "debit", "product": "Home", "opening_balance": 10,
             "password": "pw", "aliases": ["420777", {"name": "420888", "allow_authentication": True}]},
            {"number": "102", "customer": "Acme", "kind": "subordinate", "product": "Home"},
            {"number": "103", "customer": "Acme", "kind": "credit", "credit_limit": "5.5", "product": "Home"},
        ],
        "gateways": [
            {"name": "carrier", "host": "192.0.2.1", "routes": ["420", {"prefix": "44", "order": 2, "strip": 1}]}
        ],
    }  # fmt: skip


def test_a_document_is_applied_once(ops: Any) -> None:
    assert len(ops.apply(document())) > 0
    assert ops.apply(document()) == []
    accounts = {row["number"]: row for row in ops.accounts()}
    assert accounts["101"]["available"] == Decimal(10)
    assert accounts["101"]["aliases"] == ["420777", "420888"]
    assert accounts["102"]["available"] == Decimal(20)
    assert accounts["103"]["credit_limit"] == Decimal("5.5")
    assert ops.audit() == []


def test_a_dry_run_shows_what_would_happen_and_does_nothing(ops: Any) -> None:
    shown = ops.apply(document(), dry_run=True)
    assert ops.accounts() == []
    done = ops.apply(document())
    assert [(change.kind, change.key, change.field) for change in shown] == [
        (change.kind, change.key, change.field) for change in done
    ]


def test_differences_are_named_field_by_field(ops: Any) -> None:
    ops.apply(document())
    changed = document()
    changed["customers"][0]["credit_limit"] = 30
    changed["tariffs"][0]["rates"] = [
        {"prefix": "420", "destination": "Czech Republic", "price": 0.09},
        {"prefix": 1, "price": 1},
    ]
    changed["accounts"][0].update(state="blocked", aliases=["420888"], password="new")
    changed["gateways"][0]["routes"] = ["420"]
    found = {(change.kind, change.key, change.field): (change.before, change.after) for change in ops.apply(changed)}
    assert found.pop(("rate", "Retail/1", ""))[0] is None
    assert found == {
        ("customer", "Acme", "credit_limit"): (Decimal(20), Decimal(30)),
        ("rate", "Retail/420", "connect_fee"): (Decimal("0.02"), Decimal(0)),
        ("rate", "Retail/44", ""): ("present", None),
        ("account", "101", "state"): ("active", "blocked"),
        ("account", "101", "password"): ("********", "********"),
        ("alias", "420777", ""): ({"account": "101"}, None),
        ("alias", "420888", "allow_authentication"): (True, False),
        ("route", "carrier/44", ""): ("present", None),
    }
    assert ops.apply(changed) == []


def test_limits_are_set_shown_and_lifted(ops: Any) -> None:
    limited = document()
    limited["customers"][0].update(max_calls=10, max_calls_in=3, max_call_price=5, daily_limit=50, daily_action="lock")
    limited["accounts"][0].update(max_calls_out=2, max_calls_in=0, max_call_price="0.5")
    ops.apply(limited)
    assert ops.apply(limited) == []
    account = ops.accounts("101")[0]
    assert (account["max_calls"], account["max_calls_in"], account["max_calls_out"]) == (None, 0, 2)
    assert account["max_call_price"] == Decimal("0.5")
    assert account["customer_limits"] == {
        "state": "active", "max_calls": 10, "max_calls_in": 3, "max_call_price": "5.00000",
        "daily_limit": "50.00000", "daily_action": "lock", "spent_today": "0",
    }  # fmt: skip
    lifted = {"customers": [{"name": "Acme", "daily_limit": None}], "accounts": [{"number": 101, "max_calls_in": None}]}
    assert [str(change) for change in ops.apply(lifted)] == [
        "customer Acme: daily_limit 50.00000 -> None",
        "account 101: max_calls_in 0 -> None",
    ]


def test_an_account_makes_one_call_at_a_time_or_ten_by_credit_unless_told_otherwise(ops: Any) -> None:
    """Case L15."""
    many = document()
    many["accounts"].append({"number": "104", "customer": "Acme", "kind": "debit", "max_calls_out": None})
    many["accounts"].append({"number": "105", "customer": "Acme", "kind": "subordinate", "max_calls_out": None})
    ops.apply(many)
    assert {row["number"]: row["max_calls_out"] for row in ops.accounts()} == {
        "101": 1, "102": 10, "103": 10, "104": None, "105": None,
    }  # fmt: skip


def test_what_a_document_does_not_say_stays(ops: Any) -> None:
    ops.apply(document())
    changes = ops.apply({"accounts": [{"number": "101", "display": "Alice"}], "tariffs": [{"name": "Retail"}]})
    assert [str(change) for change in changes] == ["account 101: display  -> Alice"]


def test_an_account_without_a_password_gets_one_and_keeps_it(ops: Any, dsn: str) -> None:
    ops.apply(document())
    ops.apply(document())
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT password FROM billing_account WHERE number = '102'").fetchone()
    assert row is not None
    assert len(row[0]) >= 12


def test_the_opening_balance_is_paid_in_once(ops: Any) -> None:
    ops.apply(document())
    ops.topup("101", Decimal(5), "k")
    changed = document()
    changed["accounts"][0]["opening_balance"] = 99
    assert ops.apply(changed) == []
    assert ops.accounts("101")[0]["balance"] == Decimal(15)


def test_every_mistake_is_named_by_its_path(ops: Any) -> None:
    from billing.document.apply import ApplyError

    with pytest.raises(ApplyError) as caught:
        ops.apply(
            {
                "custmers": [],
                "customers": [{"currency": "usd"}],
                "tariffs": [{"name": "T", "rates": [{"prefix": "4x", "price": 1}, {"prefix": "1"}, {"price": -1}]}],
                "accounts": [{"number": "1", "kind": "debt", "aliases": [{"nam": "x"}], "max_calls": 0}, "what"],
                "gateways": {"name": "x"},
            }
        )
    assert set(caught.value.problems) == {
        'custmers: unknown key (did you mean "customers"?)',
        "customers[0].name: is missing",
        "customers[0].currency: 'usd' is not a currency code such as USD",
        "tariffs[0].rates[0].prefix: '4x' is not up to 18 digits",
        "tariffs[0].rates[1].price: is missing (or first_price and next_price)",
        "tariffs[0].rates[2].price: -1 is not an amount of at most 5 decimals, 0 or more",
        "accounts[0].kind: 'debt' is none of debit, credit, subordinate (did you mean \"debit\"?)",
        "accounts[0].aliases[0].name: is missing",
        'accounts[0].aliases[0].nam: unknown key (did you mean "name"?)',
        "accounts[0].max_calls: 0 is not a whole number from 1 to 2147483647",
        "accounts[1]: is not a mapping of fields to values",
        "accounts[1].number: is missing",
        "gateways: is not a list",
    }


@pytest.mark.parametrize(
    ("section", "value", "problem"),
    [
        ("customers", {"name": "New"}, "customers[0].currency: is missing, and New does not exist yet"),
        ("customers", {"name": "Acme", "currency": "EUR"}, "customers[0].currency: Acme is kept in USD and stays so"),
        ("products", {"name": "P", "tariff": "None"}, "products[0].tariff: there is no tariff 'None'"),
        (
            "accounts",
            {"number": "101", "kind": "credit"},
            "accounts[0].kind: account 101 is a debit account and stays one",
        ),
        ("accounts", {"number": "101", "credit_limit": 1}, "accounts[0].credit_limit: only credit accounts have one"),
        ("accounts", {"number": "9", "customer": "Nobody"}, "accounts[0].customer: there is no customer 'Nobody'"),
        ("gateways", {"name": "g"}, "gateways[0].host: is missing, and g does not exist yet"),
    ],
)
def test_what_the_store_cannot_do_is_named_by_its_path(ops: Any, section: str, value: Any, problem: str) -> None:
    from billing.document.apply import ApplyError

    ops.apply(document())
    with pytest.raises(ApplyError) as caught:
        ops.apply({section: [value]})
    assert caught.value.problems == [problem]


def test_what_the_store_refuses_leaves_nothing_behind(ops: Any) -> None:
    from billing.document.apply import ApplyError

    ops.apply(document())
    with pytest.raises(ApplyError, match=r"^accounts\[1\]\.aliases: 420777 is taken: it leads to another"):
        ops.apply({"accounts": [{"number": "102", "display": "x"}, {"number": "103", "aliases": ["420777"]}]})
    assert ops.accounts("102")[0]["display"] == ""


def test_an_account_that_was_closed_for_good_is_not_opened_by_a_document(ops: Any) -> None:
    from billing.document.apply import ApplyError

    ops.apply(document())
    ops.move("101", "close")
    with pytest.raises(ApplyError, match=r"^accounts\[0\]\.state: account 101 is closed for good"):
        ops.apply({"accounts": [{"number": "101", "state": "active"}]})
    ops.apply({"accounts": [{"number": "101", "state": "closed", "display": "Left us"}]})
    assert ops.account("101")["display"] == "Left us"


def many(count: int) -> dict[str, Any]:
    """So many accounts, each with an alias and a mailbox."""
    accounts = [
        {
            "number": f"7{number:05}",
            "customer": "Acme",
            "kind": "debit",
            "product": "Home",
            "opening_balance": 5,
            "aliases": [f"44{number:05}"],
            "voicemail": {"ask_pin": True},
        }
        for number in range(count)
    ]
    return {"accounts": accounts}


def test_how_often_the_store_is_asked_does_not_depend_on_how_many_accounts_there_are(ops: Any) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    ops.apply(document())
    asked = []
    for count in (20, 200):
        for _ in range(2):
            with CaptureQueriesContext(connection) as queries:
                ops.apply(many(count))
            asked.append(len(queries))
    assert max(asked) <= 20
    assert ops.audit() == []
    assert ops.account("4400199")["balance"] == 5


def test_an_account_that_is_named_twice_is_a_mistake(ops: Any) -> None:
    from billing.document.apply import ApplyError

    ops.apply(document())
    first, second = many(1)["accounts"][0], {"number": "700000", "display": "Zoe"}
    with pytest.raises(ApplyError) as caught:
        ops.apply({"accounts": [first, second]})
    assert caught.value.problems == ["accounts[1].number: number '700000' is there twice, first in accounts[0]"]
    assert ops.accounts("700000") == []


def test_an_alias_moves_from_one_account_to_another(ops: Any) -> None:
    ops.apply(document())
    ops.apply({"accounts": [{"number": "101", "aliases": []}, {"number": "102", "aliases": ["420777"]}]})
    assert ops.account("420777")["number"] == "102"


def test_pins_are_hashed_once(ops: Any) -> None:
    from billing.models import Mailbox

    ops.apply(document())
    pins = {
        "accounts": [{"number": "101", "voicemail": {"pin": "4829"}}, {"number": "102", "voicemail": {"pin": "7351"}}]
    }
    assert [str(change) for change in ops.apply(pins)] == [
        "mailbox 101: pin none -> ********",
        "mailbox 102: pin none -> ********",
    ]
    kept = set(Mailbox.objects.values_list("pin", flat=True))
    assert ops.apply(pins) == []
    assert set(Mailbox.objects.values_list("pin", flat=True)) == kept


def test_rates_come_from_a_file_too(ops: Any, tmp_path: Path) -> None:
    lines = ["prefix,destination,price,effective_from", "0044,UK,0.03,", "49,Germany,0.02,2031-01-01T00:00:00+02:00"]
    (tmp_path / "retail.csv").write_text("\n".join(lines), encoding="utf-8")
    tariff = {"name": "Retail", "currency": "USD", "rates_file": "retail.csv"}
    assert len(ops.apply({"tariffs": [tariff]}, base=tmp_path)) == 3
    assert ops.apply({"tariffs": [tariff]}, base=tmp_path) == []


def test_mistakes_of_a_file_are_named_by_line(ops: Any, tmp_path: Path) -> None:
    from billing.document.apply import ApplyError

    (tmp_path / "bad.csv").write_text("prefix,price,zzz\n44,0.03,red\nx,1\n", encoding="utf-8")
    with pytest.raises(ApplyError) as caught:
        ops.apply({"tariffs": [{"name": "T", "currency": "USD", "rates_file": str(tmp_path / "bad.csv")}]})
    known = (
        "blocked, connect_fee, country, destination, effective_from, effective_to, first_increment, first_price, "
        "next_increment, next_price, prefix, price"
    )
    assert caught.value.problems == [
        f"bad.csv:2: zzz: unknown key; known here: {known}",
        "bad.csv:3: prefix: 'x' is not up to 18 digits",
        f"bad.csv:3: zzz: unknown key; known here: {known}",
    ]
    with pytest.raises(ApplyError, match="cannot be read"):
        ops.apply({"tariffs": [{"name": "T", "rates_file": "absent.csv"}]}, base=tmp_path)


def test_twenty_thousand_rates_load_in_one_go(ops: Any, tmp_path: Path) -> None:
    rows = (f"{number},Somewhere,0.0{number % 9}" for number in range(100_000, 120_000))
    (tmp_path / "big.csv").write_text("prefix,destination,price\n" + "\n".join(rows), encoding="utf-8")
    tariffs = {"tariffs": [{"name": "Big", "currency": "USD", "rates_file": "big.csv"}]}
    assert len(ops.apply(tariffs, base=tmp_path)) == 20_001
    assert ops.apply(tariffs, base=tmp_path) == []


def test_a_voucher_is_no_account() -> None:
    problems: list[str] = []
    read_document({"accounts": [{"number": "900", "kind": "voucher"}]}, problems)
    assert problems == ["accounts[0].kind: vouchers are no accounts: `softswitch vouchers generate` makes them"]


def test_a_gateway_without_a_port_has_none_and_one_with_a_port_can_lose_it(ops: Any) -> None:
    """Case J2: without a port the DNS says where a name is (RFC 3263)."""
    from billing.models import Gateway

    def port() -> int | None:
        return Gateway.objects.get(name="named").port

    ops.apply({"gateways": [{"name": "named", "host": "carrier.example.net"}]})
    assert port() is None
    ops.apply({"gateways": [{"name": "named", "port": 5080}]})
    assert port() == 5080
    ops.apply({"gateways": [{"name": "named", "outbound": True}]})
    assert port() == 5080
    ops.apply({"gateways": [{"name": "named", "port": None}]})
    assert port() is None


def test_what_accounts_show_and_carriers_want_is_merged_key_by_key(ops: Any) -> None:
    named = document()
    named["accounts"][0]["caller_id"] = {"default": "+420 222 000 101", "hide": True, "foreign": "refuse"}
    named["gateways"][0]["caller_id"] = {"asserted": False, "domain": "gateway", "remote_party": True}
    ops.apply(named)
    from billing.carriers.models import Gateway
    from billing.customers.models import Account

    account, gateway = Account.objects.get(number="101"), Gateway.objects.get(name="carrier")
    assert account.caller_id == {"default": "420222000101", "hide": True, "foreign": "refuse"}
    assert gateway.caller_id == {"asserted": "no", "domain": "gateway", "remote_party": True}
    assert ops.apply(named) == []
    ops.apply({"accounts": [{"number": "101", "caller_id": {"hide": None, "numbers": ["420603000001"]}}]})
    account.refresh_from_db()
    assert account.caller_id == {"default": "420222000101", "foreign": "refuse", "numbers": ["420603000001"]}


@pytest.mark.parametrize(
    ("caller_id", "expected"),
    [
        ({"default": "101"}, "accounts[0].caller_id.default: '101' is no public number: write it as 420222000101"),
        ({"numbers": ["abc"]}, "accounts[0].caller_id.numbers[0]: 'abc' is no public number"),
        ({"foreign": "maybe"}, "accounts[0].caller_id.foreign: 'maybe' is none of replace, refuse"),
        ({"hides": True}, 'accounts[0].caller_id.hides: unknown key (did you mean "hide"?)'),
    ],
)
def test_a_mistake_in_what_is_shown_is_told_with_its_path(ops: Any, caller_id: dict[str, Any], expected: str) -> None:
    named = document()
    named["accounts"][0]["caller_id"] = caller_id
    from billing.document.apply import ApplyError

    with pytest.raises(ApplyError) as refused:
        ops.apply(named)
    assert refused.value.problems[0].startswith(expected)


def test_nobody_may_show_a_number_of_another_customer(ops: Any) -> None:
    from billing.document.apply import ApplyError

    named = document()
    named["customers"].append({"name": "Bank", "currency": "USD", "credit_limit": 0})
    named["accounts"][0]["aliases"] = ["420222000101", "420603000001@pstn"]
    ops.apply(named)
    for caller_id in ({"default": "420222000101"}, {"numbers": ["420777000001", "420603000001"]}):
        thief = {"number": "666", "customer": "Bank", "kind": "debit", "caller_id": caller_id}
        with pytest.raises(ApplyError, match="is a number of account 101 of Acme"):
            ops.apply({"accounts": [thief]})
    colleague = {"number": "104", "customer": "Acme", "kind": "debit", "caller_id": {"default": "420222000101"}}
    ops.apply({"accounts": [colleague]})
