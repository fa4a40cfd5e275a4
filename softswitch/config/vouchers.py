# SPDX-License-Identifier: Apache-2.0
"""The reader of `vouchers`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from softswitch.config import values
from softswitch.config.document import WrongValueError
from softswitch.config.fields import read_section
from softswitch.config.model import Vouchers, VoucherStoreSettings
from softswitch.config.values import text

if TYPE_CHECKING:
    from softswitch.config.document import Section

__all__ = ["read_vouchers"]

LEAST_PLAIN_DIGITS = 12
"""A voucher without a password is as hard to guess as its id is long."""


def read_vouchers(section: Section) -> Vouchers:
    """How vouchers are made and redeemed, and which stores outside are asked."""
    with section.section("external") as external:
        stores = tuple(_store(external, name) for name in external.words())
    found = read_section(section, Vouchers, external=stores)
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
    section = external.section(name)
    with section.section("options") as options:
        given = {key: options.value(key, text, "") for key in options.words()}
    found = read_section(section, VoucherStoreSettings, name=name, options=given)
    if found.adapter == "http" and not section.has("url") and not external.document.has_problem_below(section.path):
        external.problem(name, 'needs "url", where the store is asked')
    return found
