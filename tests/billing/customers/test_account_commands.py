# SPDX-License-Identifier: Apache-2.0
"""What administrators set of accounts, and what they are shown."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from billing.audit_log.actor import ActionError
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
    with pytest.raises(ActionError, match='nobody has the number or alias "nobody"'):
        ops.account("nobody")


def test_states_are_left_by_the_ways_there_are(ops: Any) -> None:
    ops.apply(DOCUMENT)
    moves = ("activate", "block", "block", "unblock", "suspend", "unblock", "close", "unblock", "activate")
    assert [moved(ops, "700", move) for move in moves] == [
        "active", "blocked", "account 700 is blocked: it cannot be blocked", "active", "suspended", "active", "closed",
        "account 700 is closed: it cannot be unblocked", "account 700 is closed: it cannot be activated",
    ]  # fmt: skip
    assert moved(ops, "nobody", "block") == 'nobody has the number or alias "nobody"'


def moved(ops: Any, name: str, move: str) -> str:
    """The state that a move led to, or why it was refused."""
    try:
        return str(ops.move(name, move)[1])
    except ActionError as refused:
        return str(refused)


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
