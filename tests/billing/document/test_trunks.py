# SPDX-License-Identifier: Apache-2.0
"""Trunks in a document: ranges and addresses are one customer's, and a mistake names both places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.billing.document.test_apply import document, ops

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ops"]

RANGES = ["420222333000-420222333099", "420222444555"]


def with_trunks(*trunks: Mapping[str, Any] | None) -> dict[str, Any]:
    """The small provider, with a second customer; accounts 102 and 666 have these trunks."""
    made = document()
    made["customers"].append({"name": "Bank", "currency": "USD", "credit_limit": 0})
    made["accounts"].append({"number": "666", "customer": "Bank", "kind": "subordinate"})
    for number, trunk in zip((1, -1), trunks, strict=False):
        made["accounts"][number]["trunk"] = trunk
    return made


def problems(ops: Any, written: dict[str, Any], **options: Any) -> list[str]:
    """What is wrong with it."""
    from billing.document.apply import ApplyError

    with pytest.raises(ApplyError) as refused:
        ops.apply(written, **options)
    found: list[str] = refused.value.problems
    return found


def stored() -> dict[str, list[str]]:
    """Ranges and networks by account."""
    from billing.numbers.models import NumberRange, TrunkNetwork

    found: dict[str, list[str]] = {}
    for row in NumberRange.objects.select_related("account").order_by("first"):
        found.setdefault(row.account.number, []).append(f"{row.first}-{row.last}")
    for network in TrunkNetwork.objects.select_related("account").order_by("network"):
        found.setdefault(network.account.number, []).append(network.network)
    return found


def test_a_trunk_is_applied_once_and_taken_away(ops: Any) -> None:
    trunk = {"ranges": RANGES, "addresses": ["192.0.2.64/28", "198.51.100.7", "2001:db8::/48"],
             "to": ["192.0.2.65", {"host": "pbx.example.com", "port": 5070, "transport": "tcp"}],
             "sharing": "share", "number_format": "national", "country": 420}  # fmt: skip
    written = with_trunks(trunk)
    ops.apply(written)
    assert ops.apply(written) == []
    assert stored() == {
        "102": ["420222333000-420222333099", "420222444555-420222444555", "192.0.2.64/28", "198.51.100.7/32",
                "2001:db8::/48"],
    }  # fmt: skip
    account = {"number": "102", "trunk": {"ranges": RANGES[:1], "number_format": "e164"}}
    changes = [str(change) for change in ops.apply({"accounts": [account]})]
    assert "- range 420222444555" in changes
    assert len(stored()["102"]) == 4
    ops.apply({"accounts": [{"number": "102", "trunk": None}]})
    assert stored() == {}


def test_a_range_moves_to_another_account_in_one_document(ops: Any) -> None:
    ops.apply(with_trunks({"ranges": RANGES}))
    ops.apply(with_trunks({"ranges": []}, {"ranges": RANGES}))
    assert list(stored()) == ["666"]
    ops.apply(with_trunks({"ranges": RANGES}, {"ranges": []}))
    assert list(stored()) == ["102"]


@pytest.mark.parametrize(
    ("trunk", "expected"),
    [
        ({"ranges": ["101-109"]}, "accounts[1].trunk.ranges[0].range: '101-109' is no range such as"),
        ({"ranges": [RANGES[0], "420222333050"]}, "accounts[1].trunk.ranges[1]: 420222333050 has numbers of"),
        ({"addresses": ["10.0.0.0/8"]}, "accounts[1].trunk.addresses[0].address: 10.0.0.0/8 is too wide: /16 at most"),
        ({"addresses": ["10.0.0.1/24"]}, "accounts[1].trunk.addresses[0].address: '10.0.0.1/24' is no address and no"),
        ({"to": [{"port": 5060}]}, "accounts[1].trunk.to[0].host: is missing"),
        ({"to": ["a b"]}, "accounts[1].trunk.to[0].host: 'a b' is neither an address nor a host name"),
        ({"number_format": "national"}, "accounts[1].trunk.country: is missing"),
        ({"sharing": "fair"}, "accounts[1].trunk.sharing: 'fair' is none of order, share"),
        ({"range": []}, 'accounts[1].trunk.range: unknown key (did you mean "ranges"?)'),
    ],
)
def test_a_mistake_is_told_with_its_path(ops: Any, trunk: dict[str, Any], expected: str) -> None:
    assert problems(ops, with_trunks(trunk))[0].startswith(expected)


def test_no_number_and_no_address_is_of_two_trunks_and_both_places_are_told(ops: Any) -> None:
    """Abuse: a customer's document takes another one's numbers."""
    mine = {"ranges": RANGES, "addresses": ["192.0.2.64/28"]}
    theirs = {"ranges": ["420222333090-420222333190"], "addresses": ["192.0.2.70"]}
    both = problems(ops, with_trunks(mine, theirs))
    assert both == [
        f"accounts[3].trunk.ranges: 420222333090-420222333190 has something of {RANGES[0]} of accounts[1].trunk.ranges",
        "accounts[3].trunk.addresses: 192.0.2.70/32 has something of 192.0.2.64/28 of accounts[1].trunk.addresses",
    ]
    ops.apply(with_trunks(mine))
    later = {"accounts": [{"number": "666", "customer": "Bank", "kind": "subordinate", "trunk": theirs}]}
    assert problems(ops, {**later, "customers": with_trunks()["customers"]}) == [
        f"accounts[0].trunk.ranges: 420222333090-420222333190 has something of {RANGES[0]} of account 102 in the store",
        "accounts[0].trunk.addresses: 192.0.2.70/32 has something of 192.0.2.64/28 of account 102 in the store",
    ]


def test_a_number_of_another_customer_is_in_no_range_and_one_of_a_colleague_may_be(ops: Any) -> None:
    written = with_trunks({"ranges": RANGES})
    written["accounts"][2]["aliases"] = ["420222333007"]  # of the same customer: a telephone that left the trunk
    ops.apply(written)
    thief = {"number": "666", "aliases": ["420222333008"]}
    taken = "420222333008 is a number of account 666 of Bank, and in the range 420222333000-420222333099 of account 102"
    assert problems(ops, {"accounts": [thief]}) == [f"accounts[0]: {taken}"]
    ops.apply({"accounts": [{"number": "666", "aliases": ["420222555000"]}]})
    wider = {"number": "102", "trunk": {"ranges": ["420222555000-420222555099"]}}
    assert "420222555000 is a number of account 666 of Bank" in problems(ops, {"accounts": [wider]})[0]


def test_the_addresses_of_carriers_of_others_and_of_ours_are_no_trunks(ops: Any) -> None:
    from billing.customers.names import Reserved

    ours = Reserved(addresses={"198.51.100.1": "our own address"})
    written = with_trunks({"addresses": ["192.0.2.0/28"]})
    ops.apply(document())
    assert problems(ops, written) == [
        "accounts[1].trunk.addresses: 192.0.2.0/28 has 192.0.2.1 in it, which is gateway carrier"
    ]
    written = with_trunks({"addresses": ["198.51.100.0/24"]})
    found = problems(ops, written, reserved=ours)
    assert found == ["accounts[1].trunk.addresses: 198.51.100.0/24 has 198.51.100.1 in it, which is our own address"]
    ops.apply({"accounts": [{"number": "101", "aliases": ["203.0.113.9"]}]})
    found = problems(ops, with_trunks({"addresses": ["203.0.113.0/24"]}))
    assert found == [
        "accounts[1].trunk.addresses: 203.0.113.0/24 has 203.0.113.9 in it, which is an address of account 101"
    ]


def test_a_network_is_a_trunks_or_a_carriers_and_never_of_both(ops: Any) -> None:
    """Abuse: calls of the one would be taken for calls of the other."""
    written = with_trunks({"addresses": ["203.0.113.64/28"]})
    written["gateways"][0]["sources"] = ["203.0.113.0/24"]
    (problem,) = problems(ops, written)
    assert problem.startswith("accounts[1].trunk.addresses: 203.0.113.64/28 has something of 203.0.113.0/24")
    assert problem.endswith("of gateways[0].sources (gateway carrier), whose calls are a carrier's")
    del written["gateways"][0]["sources"]
    ops.apply(written)
    carrier = {"gateways": [{"name": "carrier", "sources": ["203.0.113.72"]}]}
    assert "account 102 in the store: 203.0.113.64/28 has something of 203.0.113.72/32" in problems(ops, carrier)[0]
