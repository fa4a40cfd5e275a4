# SPDX-License-Identifier: Apache-2.0
"""A trunk: a customer's telephone system, the ranges of numbers that lead to it, and how it wants them. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, NamedTuple, get_args

from billing_client.rules.numbering import digits_of, e164

__all__ = ["FORMATS", "SHARING", "Format", "NumberRange", "Sharing", "Trunk", "TrunkPlace", "read_range", "read_trunk"]

Format = Literal["digits", "e164", "national", "last"]
"""`420222333010`, `+420222333010`, `222333010` (or with the national prefix), `010`."""
Sharing = Literal["order", "share"]
"""Of several addresses the first that answers, or each in turn first."""

FORMATS: Final[tuple[Format, ...]] = get_args(Format)
SHARING: Final[tuple[Sharing, ...]] = get_args(Sharing)
_SHORTEST, _LONGEST = 7, 15


class NumberRange(NamedTuple):
    """Public numbers of one length, both ends among them."""

    first: int
    last: int

    def holds(self, number: str) -> bool:
        """Whether a number is in it."""
        is_long_enough = bool(digits_of(number)) and len(number) == len(str(self.first))
        return is_long_enough and self.first <= int(number) <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"

    def ending(self, digits: str) -> list[str]:
        """Those numbers of it, two at most, that end with some digits."""
        step = 10 ** len(digits)
        if len(digits) >= len(str(self.first)):
            return []
        lowest = self.first + (int(digits) - self.first) % step
        return [str(number) for number in range(lowest, min(self.last, lowest + step) + 1, step)]


def read_range(written: str) -> NumberRange | None:
    """`420222333000-420222333099`, or one number; None: it is neither."""
    first, dash, last = (part.strip().removeprefix("+") for part in written.partition("-"))
    last = last if dash else first
    if not (digits_of(first) and digits_of(last)) or first[0] == "0":
        return None
    is_range = _SHORTEST <= len(first) <= _LONGEST and len(first) == len(last) and first <= last
    return NumberRange(int(first), int(last)) if is_range else None


class TrunkPlace(NamedTuple):
    """An address of the telephone system."""

    host: str
    port: int | None = None
    transport: str = "udp"

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"{self.transport}:{self.host}{port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trunk:
    """How a telephone system is called."""

    to: tuple[TrunkPlace, ...] = ()
    """Where; none: where it registers."""
    sharing: Sharing = "order"
    number_format: Format = "digits"
    country: str = ""
    """The country code whose numbers are national."""
    national_prefix: str = ""
    digits: int = 3
    """Of the format `last`."""

    def number(self, public: str) -> str:
        """A public number as it wants to be called; all else as it is."""
        if e164(public) == public:
            return public
        match self.number_format:
            case "e164":
                return e164(public)
            case "national" if self.country and public.startswith(self.country):
                return self.national_prefix + public.removeprefix(self.country)
            case "last":
                return public[-self.digits :]
            case _:
                return public

    def caller(self, public: str) -> str:
        """The number of who calls it: a short form would name somebody else."""
        return public if self.number_format == "last" else self.number(public)

    def spellings(self, written: str) -> list[str]:
        """What it may mean by digits that are no number of its own as they stand."""
        found = [written.removeprefix("00")]
        if self.country:
            found.append(self.country + written.removeprefix(self.national_prefix))
        return found


@lru_cache(maxsize=4096)
def read_trunk(written: str | None) -> Trunk | None:
    """As the store writes it in JSON; None: the account is no trunk."""
    values = json.loads(written) if written else None
    if not values:
        return None
    places = tuple(
        TrunkPlace(str(place["host"]), place.get("port"), place.get("transport") or "udp")
        for place in values.get("to") or ()
    )
    number_format, sharing = values.get("number_format"), values.get("sharing")
    return Trunk(
        to=places,
        sharing=sharing if sharing in SHARING else "order",
        number_format=number_format if number_format in FORMATS else "digits",
        country=values.get("country") or "",
        national_prefix=values.get("national_prefix") or "",
        digits=values.get("digits") or 3,
    )
