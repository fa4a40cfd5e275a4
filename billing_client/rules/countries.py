# SPDX-License-Identifier: Apache-2.0
"""What the world knows of a country's numbers: its code, what is dialled before them, and how they look.

The metadata of `phonenumbers` is asked once for each country, when its first plan is made (20 ms and 3 MB for the
library, 0.2 ms for a country); a call sees nothing but the `Country` that is kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["Country", "country", "is_country"]


@dataclass(frozen=True, slots=True)
class Country:
    """Facts about a country's numbers (ITU-T E.164, E.129)."""

    name: str
    """ISO 3166-1, two capital letters."""
    code: str
    """Of E.164, without its plus."""
    trunk: str
    """Dialled before a number of the own country, and no part of it: `0`, `8`, `06`; empty: none (Italy has none)."""
    abroad: re.Pattern[str]
    """What is dialled before a number of another country."""
    dialled_abroad: str
    """The usual one of those."""
    number: re.Pattern[str]
    """How a number of the country looks, without code and trunk prefix."""

    def has(self, number: str) -> bool:
        """Whether these digits are a number of the country, written without its code."""
        return self.number.fullmatch(number) is not None


def is_country(name: str) -> bool:
    """Whether a country of this name (ISO 3166-1, two letters, any case) has numbers."""
    return country(name) is not None


@lru_cache(maxsize=512)
def country(name: str) -> Country | None:
    """The facts about a country; None: there is none of this name."""
    from phonenumbers.phonemetadata import PhoneMetadata

    found = PhoneMetadata.metadata_for_region(name.upper(), None)
    looks = None if found is None or found.general_desc is None else found.general_desc.national_number_pattern
    if found is None or looks is None:
        return None
    abroad = found.international_prefix or "00"
    usual = found.preferred_international_prefix or abroad
    usual = "".join(filter(str.isdecimal, usual)) if not set(usual) - set("0123456789~") else ""
    return Country(
        name=name.upper(),
        code=str(found.country_code),
        trunk=found.national_prefix or "",
        abroad=re.compile(abroad),
        dialled_abroad=usual,
        number=re.compile(looks),
    )
