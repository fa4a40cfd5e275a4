# SPDX-License-Identifier: Apache-2.0
"""Which names accounts and aliases may have: none that leads somewhere else than to them. Every door that makes names
asks here. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from billing_client.rules.numbering import as_address, name_problem, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["FREE", "Reserved", "alias_problem"]

PSTN: Final = "@pstn"
PIN: Final = "@pin"


@dataclass(frozen=True, slots=True)
class Reserved:
    """Names that the configuration gives to something else, each with what that is."""

    numbers: Mapping[str, str] = field(default_factory=dict)
    """What is dialled for something else than an account."""
    beginnings: Mapping[str, str] = field(default_factory=dict)
    """Access numbers after which a destination is dialled at once."""
    addresses: Mapping[str, str] = field(default_factory=dict)
    """Of ours."""

    def problem(self, name: str) -> str | None:
        """Why nobody may be called so; None: one may."""
        found = name_problem(name)
        if found is not None:
            return found
        if name in self.numbers:
            return f"{name!r} is {self.numbers[name]}"
        beginning = next((one for one in self.beginnings if name.startswith(one)), None)
        return None if beginning is None else f"{name!r} begins with {self.beginnings[beginning]}"

    def address_problem(self, address: str, gateways: Mapping[str, str]) -> str | None:
        """The same of an address that calls come from; `gateways`: those of carriers."""
        if address in self.addresses:
            return f"{address} is {self.addresses[address]}"
        return f"{address} is the address of gateway {gateways[address]}" if address in gateways else None

    def names(self) -> Iterator[str]:
        """All of them, to look for accounts that have one already."""
        yield from self.numbers
        yield from self.addresses


FREE: Final = Reserved()


def alias_problem(name: str, reserved: Reserved) -> str | None:
    """Why no alias may be written so; None: one may. Of `NUMBER@pstn` the number counts, a PIN has a form of its own,
    and so has an address."""
    if name.endswith(PIN) or as_address(name) is not None:
        return None
    if not name.endswith(PSTN):
        return reserved.problem(name)
    number = name.removesuffix(PSTN)
    found = read(number)
    if found.text != number or found.kind not in ("number", "name"):
        return f"{name!r} is no calling number: write it in digits, as {found.text or 'NUMBER'}{PSTN}"
    return None
