# SPDX-License-Identifier: Apache-2.0
"""Which numbers an account may show when it calls, and how a carrier wants to be told. Pure.

A number is public if the world can dial it: 7 to 15 digits. All else (101, alice) is a name within the house, and no
carrier ever sees it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Final, Literal, cast, get_args

from billing_client.rules.numbering import digits_of, read
from billing_client.rules.trunks import NumberRange, Trunk, read_trunk

__all__ = [
    "ASSERTED",
    "FOREIGN",
    "HIDDEN",
    "NO_STYLE",
    "WITHOUT_NUMBER",
    "Asserted",
    "CallerRules",
    "CarrierStyle",
    "Foreign",
    "Hidden",
    "WithoutNumber",
    "is_public",
    "read_rules",
    "read_style",
]

Foreign = Literal["replace", "refuse"]
"""What becomes of a call whose phone shows a number that is not the account's: the account's default is shown in its
place; it is refused."""
WithoutNumber = Literal["anonymous", "refuse"]
"""What becomes of a call to a carrier by an account without a public number."""
Asserted = Literal["sip", "tel", "no"]
"""P-Asserted-Identity as a carrier wants it: a SIP URI, a tel URI, none."""
Hidden = Literal["anonymous", "number"]
"""From of a caller who hides: anonymous; the number, with a word beside it that it is not to be shown."""

FOREIGN: Final[tuple[Foreign, ...]] = get_args(Foreign)
WITHOUT_NUMBER: Final[tuple[WithoutNumber, ...]] = get_args(WithoutNumber)
ASSERTED: Final[tuple[Asserted, ...]] = get_args(Asserted)
HIDDEN: Final[tuple[Hidden, ...]] = get_args(Hidden)

_SHORTEST: Final = 7
_LONGEST: Final = 15


def is_public(number: str) -> bool:
    """Whether the world can dial a number, as far as its digits say."""
    return bool(digits_of(number)) and _SHORTEST <= len(number) <= _LONGEST


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerRules:
    """What an account may show."""

    names: frozenset[str] = frozenset()
    """Its own: its number, its aliases, numbers of the outside that are known to be its, others that were verified."""
    default: str = ""
    """What it shows to the outside unless its phone says otherwise; empty: it has no public number."""
    hides: bool = False
    """Its number is withheld unless one call says otherwise."""
    foreign: Foreign = "replace"
    ranges: tuple[NumberRange, ...] = ()
    """Of a trunk: all of them are its own."""
    trunk: Trunk | None = None

    def owns(self, number: str) -> bool:
        """Whether a number, in its one spelling, is its own."""
        return number in self.names or any(one.holds(number) for one in self.ranges)

    def find(self, claimed: str) -> str:
        """The number of its own that a phone means by what it shows; empty: it is none of its own."""
        found = read(claimed).text
        if found in self.names:
            return found
        if not (self.ranges and digits_of(found)):
            return ""
        for spelling in (found, *(Trunk() if self.trunk is None else self.trunk).spellings(found)):
            if self.owns(spelling):
                return spelling
        ending = [number for one in self.ranges for number in one.ending(found)]
        return ending[0] if len(ending) == 1 else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierStyle:
    """How a carrier wants to be told who calls."""

    number_format: Literal["", "digits", "e164"] = ""
    """Of callers' numbers; empty: as of those that are called."""
    domain: str = "own"
    """Of From: `own` (ours), `gateway` (the host of the gateway), or a name."""
    asserted_domain: str = ""
    """Of P-Asserted-Identity, Remote-Party-ID and Diversion; empty: as of From."""
    asserted: Asserted = "sip"
    remote_party: bool = False
    """Remote-Party-ID too (draft-ietf-sip-privacy-04), which old equipment reads."""
    privacy: bool = True
    """It honours Privacy (RFC 3323): a hidden number may be asserted to it."""
    hidden: Hidden = "anonymous"
    diversion: bool = True
    """It is told who forwarded a call (RFC 5806)."""
    name: bool = True
    """It is told callers' names."""
    default_number: str = ""
    """What it gets for accounts without a public number."""


NO_STYLE: Final = CarrierStyle()


@lru_cache(maxsize=4096)
def read_rules(written: str | None, number: str, names: tuple[str, ...] = ()) -> CallerRules:
    """Rules of an account as the store writes them in JSON; None: the usual ones. `names`: all that are its own."""
    values = json.loads(written) if written else {}
    own = [number, *sorted(name.removesuffix("@pstn") for name in names if name != number)]
    may_show = [*own, *map(str, values.get("numbers") or ())]
    default = str(values.get("default") or "")
    foreign = values.get("foreign")
    ranges = tuple(NumberRange(*one) for one in values.get("ranges") or ())
    if not default and ranges:
        default = str(ranges[0].first)
    return CallerRules(
        names=frozenset([*may_show, default] if default else may_show),
        default=default or next(filter(is_public, own), ""),
        hides=values.get("hide") is True,
        foreign=foreign if foreign in FOREIGN else "replace",
        ranges=ranges,
        trunk=read_trunk(json.dumps(values["trunk"])) if values.get("trunk") else None,
    )


@lru_cache(maxsize=1024)
def read_style(written: str) -> CarrierStyle:
    """How a gateway wants it, as the store writes it in JSON; keys of a later version are passed over."""
    known = {field.name for field in fields(CarrierStyle)}
    values = {key: value for key, value in json.loads(written).items() if key in known and value is not None}
    return CarrierStyle(**cast("dict[str, Any]", values)) if values else NO_STYLE
