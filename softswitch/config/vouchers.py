# SPDX-License-Identifier: Apache-2.0
"""The reader of `vouchers`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from billing_client.vouchers.redeeming import LONGEST_ID
from softswitch.config import values
from softswitch.config.document import WrongValueError
from softswitch.config.model import Vouchers, VoucherStoreSettings
from softswitch.config.values import boolean, integer, number, text

if TYPE_CHECKING:
    from softswitch.config.document import Section

__all__ = ["read_vouchers"]

LEAST_ID_DIGITS = 8
LEAST_PLAIN_DIGITS = 12
"""A voucher without a password is as hard to guess as its id is long."""


def read_vouchers(section: Section) -> Vouchers:
    """How vouchers are made and redeemed, and which stores outside are asked."""
    plain = Vouchers()

    def file(value: str) -> Path:
        return (section.document.file.parent / Path(text(value)).expanduser()).resolve()

    with section:
        with section.section("external") as external:
            stores = tuple(_store(external, name) for name in external.words())
        found = Vouchers(
            encrypt=section.value("encrypt", boolean, plain.encrypt),
            password_length=section.value("password_length", integer(4, 20), plain.password_length),
            id_digits=section.value("id_digits", integer(LEAST_ID_DIGITS, LONGEST_ID), plain.id_digits),
            allow_plain=section.value("allow_plain", boolean, plain.allow_plain),
            keys_file=section.value("keys_file", file, None),
            external=stores,
        )
    if not found.encrypt and found.id_digits < LEAST_PLAIN_DIGITS:
        path = section.where("id_digits" if section.has("id_digits") else "encrypt")
        section.document.warn_at(
            path, f"without a password, ids of {found.id_digits} digits are easy to guess: {LEAST_PLAIN_DIGITS} or more"
        )
    return found


def _store(external: Section, name: str) -> VoucherStoreSettings:
    try:
        values.name(name)
    except WrongValueError as wrong:
        external.problem(name, str(wrong))
    with external.section(name) as section:
        adapter = section.value("adapter", _voucher_adapter, "" if section.has("adapter") else "http")
        with section.section("options") as options:
            given = {key: options.value(key, text, "") for key in options.words()}
        found = VoucherStoreSettings(
            name=name,
            adapter=adapter,
            url=section.value("url", values.url, None),
            token=section.value("token", text, ""),
            timeout_seconds=section.value("timeout_seconds", number(0.5, 60), 5.0),
            options=given,
        )
        if adapter == "http" and not section.has("url"):
            external.problem(name, 'needs "url", where the store is asked')
    return found


def _voucher_adapter(value: str) -> str:
    return values.adapter(value, "http, ")
