# SPDX-License-Identifier: Apache-2.0
"""Of a document: number plans, extensions, and what a call for help needs. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from billing.reading.reader import Reader, read_list, shown
from billing_client.rules.countries import is_country
from billing_client.rules.dialling import LONGEST_INTERNAL, is_internal
from billing_client.rules.numbering import digits_of, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing.customers.names import Reserved

__all__ = ["EmergencySpec", "read_emergency", "read_extension", "read_numbering", "read_place"]

LONGEST_AREA: Final = 8
LONGEST_LOCATION: Final = 255
SHORT: Final = re.compile(r"[0-9]{2,14}x{0,12}")
NONE: Final = "none"
"""Says that there is no such prefix."""


@dataclass(frozen=True, slots=True)
class EmergencySpec:
    """Where a gateway takes emergency calls from."""

    number: str
    country: str
    area: str
    position: int
    send: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from the other ones of its gateway."""
        return self.number, self.country, self.area


def read_extension(fields: Reader, reserved: Reserved) -> str:
    """The field `extension`; empty: there is none."""
    extension = fields.text("extension", most=LONGEST_INTERNAL)
    if extension and not is_internal(extension):
        fields.problem("extension", f"{shown(extension)} is not 1 to {LONGEST_INTERNAL} digits")
        return ""
    problem = reserved.problem(extension) if extension else None
    if problem is not None:
        fields.problem("extension", problem)
    return extension


def read_numbering(fields: Reader) -> dict[str, Any]:
    """The field `numbering`: how phones dial (`billing_client.rules.dialling.NumberPlan`)."""
    plan = _inner(fields, "numbering")
    if plan is None:
        return {}
    found: dict[str, Any] = plan.given(
        country=_country(plan),
        area=_digits_or_none(plan, "area"),
        international=_texts(plan, "international", _is_prefix, "a prefix of digits"),
        national=_digits_or_none(plan, "national"),
        short=_texts(plan, "short", _is_short, 'a short number such as "1188" or "116xxx"'),
    )
    plan.end()
    return found


def read_place(fields: Reader) -> dict[str, str]:
    """The field `emergency` of an account or customer: where its phones are, and the number to call back."""
    place = _inner(fields, "emergency")
    if place is None:
        return {}
    callback = place.text("callback")
    number = read(callback)
    if callback and number.kind != "number":
        place.problem("callback", f"{shown(callback)} is no telephone number")
    found = place.given(location=place.text("location", most=LONGEST_LOCATION), callback=number.text)
    place.end()
    return found


def read_emergency(fields: Reader) -> tuple[EmergencySpec, ...] | None:
    """The field `emergency` of a gateway; None: the document does not speak of it."""
    return read_list(fields, "emergency", _route) if fields.has("emergency") else None


def _route(fields: Reader) -> EmergencySpec:
    area = fields.digits("area")
    country = _country(fields)
    if area and not country:
        fields.problem("country", "is missing: an area is one of a country")
    return EmergencySpec(
        number=fields.digits("number"),
        country=country,
        area=area,
        position=fields.integer("order", least=0) or 1,
        send=fields.digits("send", plus=True),
    )


def _inner(fields: Reader, field: str) -> Reader | None:
    value = fields.bare(field)
    return None if value is None else Reader(value, fields.where(field), fields.problems)


def _country(fields: Reader) -> str:
    country = fields.text("country").upper()
    if country and not (len(country) == 2 and is_country(country)):
        fields.problem("country", f"{shown(country)} is no country such as CZ or US")
        return ""
    return country


def _digits_or_none(fields: Reader, field: str) -> str:
    value = fields.text(field)
    if value == NONE:
        return ""
    if value != digits_of(value) or len(value) > LONGEST_AREA:
        fields.problem(field, f"{shown(value)} is not up to {LONGEST_AREA} digits, nor {NONE}")
        return ""
    return value


def _texts(fields: Reader, field: str, is_right: Callable[[str], bool], what: str) -> list[str]:
    written = fields.bare(field)
    values = [str(one) for one in written] if isinstance(written, list) else [] if written is None else [str(written)]
    for value in values:
        if not is_right(value):
            fields.problem(field, f"{shown(value)} is not {what}")
    return values


def _is_prefix(value: str) -> bool:
    return bool(digits_of(value)) and len(value) <= LONGEST_AREA


def _is_short(value: str) -> bool:
    return SHORT.fullmatch(value) is not None
