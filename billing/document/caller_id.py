# SPDX-License-Identifier: Apache-2.0
"""Who calls, as accounts may show it and carriers want it told, in the document of `softswitch apply`.

    accounts:
      - number: "101"
        caller_id: {default: "420222000101", numbers: ["420603123456"], hide: false, foreign: replace}
    gateways:
      - name: carrier
        caller_id: {number_format: e164, domain: gateway, asserted_domain: sip.example.net, asserted: tel,
                    remote_party: true, privacy: true, hidden: anonymous, diversion: true, name: true,
                    default_number: "420222000000"}

What is said replaces what there was under the same key; null takes it away; what is not said stays. The store keeps the
same form as JSON, which `billing_client.rules.callerid` reads.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from billing.reading.reader import Reader, shown
from billing_client.rules.callerid import ASSERTED, FOREIGN, HIDDEN, is_public
from billing_client.rules.numbering import read

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["merge_caller_id", "read_account_caller_id", "read_gateway_caller_id"]

_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
_MOST_NUMBERS: Final = 100


def merge_caller_id(present: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """What there is after a document: keys set to null are gone."""
    return {key: value for key, value in {**present, **change}.items() if value is not None}


def read_account_caller_id(account: Reader) -> dict[str, Any] | None:
    """The section of an account; None where it has none."""
    if not account.has("caller_id"):
        return None
    fields = Reader(account.bare("caller_id") or {}, account.where("caller_id"), account.problems)
    found = fields.given(
        default=_public(fields, "default"),
        numbers=_numbers(fields),
        hide=fields.flag("hide"),
        foreign=fields.choice("foreign", FOREIGN),
    )
    fields.end()
    return found


def read_gateway_caller_id(gateway: Reader) -> dict[str, Any] | None:
    """The section of a gateway; None where it has none."""
    if not gateway.has("caller_id"):
        return None
    fields = Reader(gateway.bare("caller_id") or {}, gateway.where("caller_id"), gateway.problems)
    found = fields.given(
        number_format=fields.choice("number_format", ("digits", "e164")),
        domain=_domain(fields, "domain"),
        asserted_domain=_domain(fields, "asserted_domain"),
        asserted=_asserted(fields),
        remote_party=fields.flag("remote_party"),
        privacy=fields.flag("privacy"),
        hidden=fields.choice("hidden", HIDDEN),
        diversion=fields.flag("diversion"),
        name=fields.flag("name"),
        default_number=_public(fields, "default_number"),
    )
    fields.end()
    return found


def _asserted(fields: Reader) -> str | None:
    """`no` may have been read as false (YAML 1.1)."""
    return "no" if fields.bare("asserted") is False else fields.choice("asserted", ASSERTED)


def _public(fields: Reader, field: str) -> str | None:
    written = fields.optional_text(field)
    return None if not written else _checked(fields, field, written)


def _checked(fields: Reader, field: str, written: str) -> str | None:
    number = read(written).text
    if not is_public(number):
        fields.problem(field, f"{shown(written)} is no public number: write it as 420222000101, 7 to 15 digits")
        return None
    return number


def _numbers(fields: Reader) -> list[str] | None:
    values = fields.bare("numbers")
    if values is None:
        return None
    if not isinstance(values, list) or len(values) > _MOST_NUMBERS:
        fields.problem("numbers", f"is not a list of at most {_MOST_NUMBERS} numbers")
        return None
    found = [_checked(fields, f"numbers[{index}]", str(value)) for index, value in enumerate(values)]
    return [number for number in found if number is not None]


def _domain(fields: Reader, field: str) -> str | None:
    written = fields.optional_text(field, most=255)
    if written and not _HOST.fullmatch(written):
        fields.problem(field, f"{shown(written)} is neither own, gateway, nor a host name")
        return None
    return written or None
