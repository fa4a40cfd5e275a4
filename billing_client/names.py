# SPDX-License-Identifier: Apache-2.0
"""Text and names as the store can hold them, whatever the wire brought. Pure."""

from __future__ import annotations

from billing_client.rules.numbering import digits_of, is_credential

__all__ = ["asked_name", "name", "pin_name", "text"]

LONGEST_NAME = 64
LONGEST_PIN = 32
PIN_SUFFIX = "@pin"


def text(value: str, most: int) -> str:
    """Text from the wire as the store can hold it: at most `most` characters, no NUL, nothing that is not Unicode."""
    if not value.isascii():
        value = value.encode("utf-8", "replace").decode()
    return value.replace("\0", "")[:most]


def name(value: str | None) -> str:
    """A name to look for; empty, which no name is, for what cannot be one. PINs are no names: only `pin_name` finds
    them, so that nobody tries them by dialling or by logging in."""
    if value is None or value != text(value, LONGEST_NAME) or value.endswith(PIN_SUFFIX):
        return ""
    return value


def asked_name(value: str) -> str:
    """A name that somebody dials, asks about or registers; empty for what identifies callers: a number as carriers show
    it (`...@pstn`), an address."""
    return "" if is_credential(value) else name(value)


def pin_name(pin: str, company: str = "") -> str:
    """The alias that is a PIN, or a company's authorisation code; empty, which no alias is, for what cannot be one."""
    if not digits_of(pin) or len(pin) > LONGEST_PIN:
        return ""
    return f"{name(company)}#{pin}{PIN_SUFFIX}" if company else f"{pin}{PIN_SUFFIX}"
