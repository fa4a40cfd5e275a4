# SPDX-License-Identifier: Apache-2.0
"""Addresses that a document gives to accounts and to carriers: nobody is both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.carriers.models import Gateway
from billing.customers.models import Alias
from billing_client.rules.numbering import as_address

if TYPE_CHECKING:
    from billing.customers.names import Reserved
    from billing.document.contents import Document

__all__ = ["address_problems"]


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
    return problems


def _plain(host: str) -> str:
    """An address in the one form in which aliases have it; a name as it is."""
    address = as_address(host)
    return host if address is None else str(address)
