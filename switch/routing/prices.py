# SPDX-License-Identifier: Apache-2.0
"""By which tariff, and as a call to which number, a call is priced. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing_client.rules.numbering import is_global

if TYPE_CHECKING:
    from billing_client.parties import Party

__all__ = ["priced_by"]


def priced_by(account: Party, callee: Party | None, dialled: str) -> tuple[int | None, str]:
    """The tariff that prices a call, and the number that it is priced by; no tariff within a customer: it is free."""
    if callee is None:
        return account.tariff_id, dialled
    # By its own number, whichever of its names was dialled: a dear line has no cheap alias.
    if account.customer_id == callee.customer_id:
        return account.inside_id, callee.number
    if account.between_id is not None:
        return account.between_id, callee.number
    # As from anywhere else: by its public number. Other digits are no beginning of a country, and priced by the rate
    # for everything alone.
    return account.tariff_id, next((number for number in (callee.number, dialled) if is_global(number)), "")
