# SPDX-License-Identifier: Apache-2.0
"""Numbers and networks of accounts: what a document takes, and what is somebody else's already."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from billing.carriers.models import Gateway
from billing.customers.models import Account, Alias
from billing.document.change import Change
from billing.numbers.models import NumberRange as NumberRow
from billing.numbers.models import TrunkNetwork
from billing.store.query import rows
from billing_client.rules.numbering import as_address
from billing_client.rules.trunks import NumberRange

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from ipaddress import IPv4Network, IPv6Network

    from billing.customers.names import Reserved
    from billing.document.contents import AccountSpec, Document
    from billing.document.trunks import TrunkSpec

__all__ = ["add_to_trunk", "drop_from_trunk", "foreign_numbers", "taken_numbers", "trunk_problems"]


def foreign_numbers(accounts: Iterable[AccountSpec]) -> list[str]:
    """Numbers that accounts of a document would show and that lead to an account of another customer."""
    shown_by: dict[str, list[tuple[AccountSpec, str]]] = {}
    for spec in accounts:
        section = spec.caller_id or {}
        named = [("default", section.get("default")), *_places(section.get("numbers") or ())]
        for place, number in named:
            if number:
                shown_by.setdefault(number, []).append((spec, f"{spec.path}.caller_id.{place}"))
    if not shown_by:
        return []
    names = [name for number in shown_by for name in (number, f"{number}@pstn")]
    owners = Alias.objects.filter(name__in=names).select_related("account__customer")
    keys = {spec.key for found in shown_by.values() for spec, _ in found}
    customers = dict(Account.objects.filter(number__in=keys).values_list("number", "customer_id"))
    return [
        f"{path}: {owner.name.removesuffix('@pstn')} is a number of account {owner.account.number}"
        f" of {owner.account.customer.name}"
        for owner in owners
        for spec, path in shown_by[owner.name.removesuffix("@pstn")]
        if customers.get(spec.key) != owner.account.customer_id
    ]


def _places(numbers: Iterable[str]) -> Iterator[tuple[str, str]]:
    for index, number in enumerate(numbers):
        yield f"numbers[{index}]", number


TAKEN: Final = """
SELECT n.name, a.number AS account, k.name AS customer, t.number AS trunk, r.first, r.last
  FROM billing_numberrange r
  JOIN billing_account t ON t.id = r.account_id
  JOIN billing_alias n ON n.name BETWEEN r.first::text AND r.last::text AND length(n.name) = length(r.first::text)
  JOIN billing_account a ON a.id = n.account_id AND a.customer_id <> t.customer_id
  JOIN billing_customer k ON k.id = a.customer_id
 ORDER BY n.name LIMIT 20"""
"""Names of one customer within the range of another; those of the same customer are telephones that left the trunk."""


def taken_numbers(accounts: Iterable[AccountSpec]) -> list[str]:
    """What of a document, which is in the store by now, has a number that somebody else has."""
    paths = {spec.key: spec.path for spec in accounts if spec.aliases or (spec.trunk and spec.trunk.ranges)}
    if not paths:
        return []
    return [
        f"{paths.get(row['trunk']) or paths.get(row['account']) or 'accounts'}: {row['name']} is a number of account"
        f" {row['account']} of {row['customer']}, and in the range {NumberRange(row['first'], row['last'])} of account"
        f" {row['trunk']}"
        for row in rows(TAKEN)
    ]


def trunk_problems(document: Document, reserved: Reserved) -> list[str]:
    """Ranges and networks of a document that somebody else has, in it or in the store, with both places."""
    accounts = document.accounts
    trunks = [(spec, spec.trunk) for spec in accounts if spec.trunk is not None]
    sources = list(_sources(document))
    if not (sources or any(trunk.ranges or trunk.networks for _, trunk in trunks)):
        return []
    said = {spec.key for spec, trunk in trunks if trunk.ranges is not None}
    ranges = [(one, f"{trunk.path}.ranges") for _, trunk in trunks for one in trunk.ranges or ()]
    ranges += [
        (NumberRange(row.first, row.last), f"account {row.account.number} in the store")
        for row in NumberRow.objects.exclude(account__number__in=said).select_related("account")
    ]
    said = {spec.key for spec, trunk in trunks if trunk.networks is not None}
    networks = [(ip_network(one), f"{trunk.path}.addresses") for _, trunk in trunks for one in trunk.networks or ()]
    networks += [
        (ip_network(row.network), f"account {row.account.number} in the store")
        for row in TrunkNetwork.objects.exclude(account__number__in=said).select_related("account")
    ]
    spans = [((4, *one), str(one), path) for one, path in ranges]
    hosts = [((net.version, int(net[0]), int(net[-1])), str(net), path) for net, path in networks]
    crossing = [
        f"{path}: {net} has something of {source} of {where}, whose calls are a carrier's"
        for net, path in networks
        for source, where in sources
        if net.version == source.version and net.overlaps(source)
    ]
    return [*_overlaps(spans), *_overlaps(hosts), *crossing, *_taken_addresses(trunks, reserved)]


def _sources(document: Document) -> Iterator[tuple[IPv4Network | IPv6Network, str]]:
    """The networks that carriers call from, as they will be: of the document, else of the store."""
    said = {spec.key: spec for spec in document.gateways if "sources" in spec.columns}
    for key, spec in said.items():
        for text in spec.columns["sources"] or ():
            yield ip_network(text), f"{spec.path}.sources (gateway {key})"
    for name, sources in Gateway.objects.exclude(name__in=said).values_list("name", "sources"):
        for text in sources:
            yield ip_network(text), f"gateway {name} in the store"


def _overlaps(spans: Sequence[tuple[tuple[int, int, int], str, str]]) -> Iterator[str]:
    """Neighbours that have something in common, each with where it is said."""
    widest: tuple[tuple[int, int, int], str, str] | None = None
    for span in sorted(spans):
        if widest is not None and widest[0][0] == span[0][0] and span[0][1] <= widest[0][2]:
            here, there = (span, widest) if " in the store" not in span[2] else (widest, span)
            yield f"{here[2]}: {here[1]} has something of {there[1]} of {there[2]}"
        if widest is None or (span[0][0], span[0][2]) > (widest[0][0], widest[0][2]):
            widest = span


def _taken_addresses(trunks: Iterable[tuple[AccountSpec, TrunkSpec]], reserved: Reserved) -> Iterator[str]:
    """Networks with an address of ours, of a carrier, or of another account in them."""
    gateways = {host: f"gateway {name}" for name, host in Gateway.objects.values_list("name", "host")}
    known = {**reserved.addresses, **gateways}
    names = Alias.objects.filter(name__regex=r"^(\d{1,3}\.){3}\d{1,3}$|:.*:").values_list("name", "account__number")
    owners = [*((name, f"an address of account {number}", number) for name, number in names),
              *((address, what, "") for address, what in known.items())]  # fmt: skip
    for spec, trunk in trunks:
        for written in trunk.networks or ():
            network = ip_network(written)
            for name, what, number in owners:
                address = as_address(name)
                if address is not None and address in network and number != spec.key:
                    yield f"{trunk.path}.addresses: {network} has {address} in it, which is {what}"


def drop_from_trunk(spec: TrunkSpec, account: Account) -> Iterator[Change]:
    """Take from a trunk in the store what is not said of it any more."""
    for row in NumberRow.objects.filter(account=account) if spec.ranges is not None else ():
        one = NumberRange(row.first, row.last)
        if one not in (spec.ranges or ()):
            row.delete()
            yield Change("range", str(one), "", {"account": account.number}, None)
    for network in TrunkNetwork.objects.filter(account=account) if spec.networks is not None else ():
        if network.network not in (spec.networks or ()):
            network.delete()
            yield Change("address", network.network, "", {"account": account.number}, None)


def add_to_trunk(spec: TrunkSpec, account: Account) -> Iterator[Change]:
    """Give it what is new; nobody else has that any more. May raise IntegrityError."""
    ranges = {NumberRange(row.first, row.last) for row in NumberRow.objects.filter(account=account)}
    for one in spec.ranges or ():
        if one not in ranges:
            NumberRow.objects.create(account=account, first=one.first, last=one.last)
            yield Change("range", str(one), "", None, {"account": account.number})
    networks = {row.network for row in TrunkNetwork.objects.filter(account=account)}
    for network in spec.networks or ():
        if network not in networks:
            TrunkNetwork.objects.create(account=account, network=network)
            yield Change("address", network, "", None, {"account": account.number})
