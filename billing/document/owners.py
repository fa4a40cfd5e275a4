# SPDX-License-Identifier: Apache-2.0
"""Numbers of a document that are somebody else's already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.customers.models import Account, Alias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from billing.document.contents import AccountSpec

__all__ = ["foreign_numbers"]


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
