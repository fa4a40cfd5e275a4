# SPDX-License-Identifier: Apache-2.0
"""What administrators set of accounts, and what they are shown."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from softswitch.cli.accounts import funds_text
from tests.store.test_operations import ops

__all__ = ["ops"]

DOCUMENT: dict[str, Any] = {
    "customers": [{"name": "Acme", "currency": "USD", "timezone": "America/New_York", "alias_authentication": False}],
    "accounts": [
        {
            "number": "700",
            "customer": "Acme",
            "kind": "debit",
            "state": "inactive",
            "activation_date": "2026-12-23",
            "expiry_date": "2099-03-20",
            "expire_after_first_use_days": 25,
            "expire_after_last_use_days": 60,
            "aliases": ["48291744@pin", "192.0.2.10", {"name": "2001:DB8:0::1", "allow_authentication": False}],
        }
    ],
}


def test_terms_are_applied_and_shown_and_a_pin_never(ops: Any) -> None:
    """The specification: "An account may be created in an inactive state. This enables you to fully provision the
    entire service configuration for this account, yet the service can only be used once the account is
    activated." """
    changes = ops.apply(DOCUMENT)
    assert "482917" not in str(changes)
    assert ops.apply(DOCUMENT) == []
    row = ops.account("192.0.2.10")
    assert row["number"] == "700"
    assert (row["status"], row["refusal"], row["billing_timezone"]) == (
        "inactive", "account inactive", "America/New_York",
    )  # fmt: skip
    assert (row["expiry_reason"], str(row["expires_on"])) == ("its expiry date", "2099-03-20")
    assert sorted(row["aliases"]) == ["******44@pin", "192.0.2.10", "2001:db8::1"]
    assert ops.move("700", "activate") == ("inactive", "active")
    assert ops.account("700")["status"] in ("active", "not yet active")
    assert ops.account("nobody") is None


def test_states_are_left_by_the_ways_there_are(ops: Any) -> None:
    ops.apply(DOCUMENT)
    moves = ("activate", "block", "block", "unblock", "suspend", "unblock", "close", "unblock", "activate")
    assert [ops.move("700", move)[1] for move in moves] == [
        "active", "blocked", None, "active", "suspended", "active", "closed", None, None,
    ]  # fmt: skip
    assert ops.move("nobody", "block") == ("", None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("expire_after_first_use_days", 0),
        ("expire_after_last_use_days", 40_000),
        ("aliases", ["123@pin"]),
        ("aliases", ["12345a@pin"]),
        ("activation_date", "soon"),
    ],
)
def test_wrong_terms_are_refused(ops: Any, field: str, value: object) -> None:
    from billing.document.apply import ApplyError

    account = {**DOCUMENT["accounts"][0], field: value}
    with pytest.raises(ApplyError, match=r"accounts\[0\]"):
        ops.apply({**DOCUMENT, "accounts": [account]})


def test_balances_are_shown_by_their_kind(ops: Any) -> None:
    """A debit balance is what there is, a credit balance what is owed; the command line says so. The specification:
    "displaying the balance of individual accounts [...] is not necessary. The administrator operates with the
    customer's balance only." """
    assert funds_text(_row("debit", "7.5", "7")) == "7.50 USD, 7.00 available"
    assert funds_text(_row("credit", "3", "2", "5")) == "owes 3.00 USD, limit 5.00, 2.00 available"
    assert funds_text(_row("credit", "-7", "7", "0")) == "has a deposit of 7.00 USD, limit 0.00, 7.00 available"
    assert funds_text(_row("subordinate", "3", "17", "20")) == "Acme owes 3.00 USD, limit 20.00, 17.00 available"


def _row(kind: str, balance: str, available: str, limit: str | None = None) -> dict[str, Any]:
    return {
        "kind": kind, "balance": Decimal(balance), "available": Decimal(available), "currency": "USD",
        "credit_limit": None if limit is None else Decimal(limit), "customer": "Acme",
    }  # fmt: skip
