# SPDX-License-Identifier: Apache-2.0
"""Addresses that a document gives to accounts and to carriers: nobody is both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from billing.carriers.models import Gateway
from billing.customers.models import Alias
from billing.document.carriers import network_of
from billing.store.query import rows
from billing_client.rules.numbering import as_address

if TYPE_CHECKING:
    from billing.customers.names import Reserved
    from billing.document.contents import Document

__all__ = ["address_problems"]

ALIASES: Final = """
SELECT n.name, a.number FROM billing_alias n JOIN billing_account a ON a.id = n.account_id
 WHERE n.name IN (SELECT name FROM addresses())"""
PHONES: Final = "SELECT DISTINCT aor, received FROM billing_binding WHERE expires_at > now() AND received IS NOT NULL"


def address_problems(document: Document, reserved: Reserved) -> list[str]:
    """Aliases that are addresses of carriers or of our own, and gateways at the address of an account."""
    hosts = {spec.key: spec.columns["host"] for spec in document.gateways if spec.columns.get("host")}
    present = {name: host for name, host in Gateway.objects.values_list("name", "host") if name not in hosts}
    gateways = {_plain(host): name for name, host in {**present, **hosts}.items()}
    problems, named = [], set()
    for account in document.accounts:
        for index, alias in enumerate(account.aliases or ()):
            if as_address(alias.name) is None:
                continue
            named.add(alias.name)
            problem = reserved.address_problem(alias.name, gateways)
            if problem is not None:
                problems.append(f"{account.path}.aliases[{index}].name: {problem}")
    owners = dict(
        Alias.objects.filter(name__in=[_plain(host) for host in hosts.values()]).values_list("name", "account__number")
    )
    for gateway in document.gateways:
        address = _plain(hosts.get(gateway.key, ""))
        if address in owners and address not in named:
            problems.append(f"{gateway.path}.host: {address} is an alias of account {owners[address]}")
    return problems + _source_problems(document, reserved)


def _source_problems(document: Document, reserved: Reserved) -> list[str]:
    """Networks that carriers call from without password, and somebody else is in: an account, a phone, ourselves."""
    asked = [
        (f"{spec.path}.sources[{index}]", network)
        for spec in document.gateways
        for index, text in enumerate(spec.columns.get("sources") or ())
        if (network := network_of(text)) is not None
    ]
    if not asked:
        return []
    known = {address: what for address, what in reserved.addresses.items() if as_address(address) is not None}
    for account in document.accounts:
        known |= {alias.name: f"an alias of account {account.key}" for alias in account.aliases or ()}
    for row in rows(ALIASES):
        known[row["name"]] = f"an alias of account {row['number']}"
    for row in rows(PHONES):
        address = row["received"].partition(":")[2].rpartition(":")[0].strip("[]")
        known.setdefault(address, f"where the phone of {row['aor']} is registered from")
    return [
        f"{path}: {address} in it is {what}: it would call without password, as the carrier"
        for path, network in asked
        for address, what in known.items()
        if (one := as_address(address)) is not None and one in network
    ]


def _plain(host: str) -> str:
    """An address in the one form in which aliases have it; a name as it is."""
    address = as_address(host)
    return host if address is None else str(address)
