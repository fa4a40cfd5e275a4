# SPDX-License-Identifier: Apache-2.0
"""What the applications of one's own account are given, and what all of them do: finding the account, telling of it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ivr.apps.selfcare.settings import CardSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import date
    from decimal import Decimal

    from billing_client.selfcare import SelfCare
    from billing_client.vouchers import Vouchers
    from ivr.verbs import CallDetails, Ivr

__all__ = ["MOST_DIGITS", "Desk", "Receipt", "access_number", "known_account", "log_in", "log_receipt"]

MOST_DIGITS: Final = 32

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A recharge that was made."""

    account: str
    amount: Decimal
    currency: str
    balance: Decimal
    expires_on: date | None
    key: str
    """Names the recharge: a receipt for the same key is the same receipt."""
    language: str


async def log_receipt(receipt: Receipt) -> None:
    """The receipt of an installation that sends none: a line in the log."""
    log.info("recharged", extra={"account": receipt.account, "amount": str(receipt.amount), "key": receipt.key})


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The doors and the settings."""

    selfcare: SelfCare
    vouchers: Vouchers | None
    """None: this installation has no vouchers."""
    settings: Mapping[str, CardSettings] = field(default_factory=dict)
    """Of access numbers; one that is not here has the defaults."""
    on_receipt: Callable[[Receipt], Awaitable[None]] = log_receipt
    """Sends a receipt by e-mail, SMS or whatever there is. Called once a recharge is in the books, whether or not the
    caller is still there, and before he hears of it: it queues and does not wait, and raises nothing."""

    def of(self, details: CallDetails) -> CardSettings:
        """The settings of the number that was dialled."""
        return self.settings.get(access_number(details)) or CardSettings()


def access_number(details: CallDetails) -> str:
    """The number that leads to the application; with one-stage dialling the switch says where it ends."""
    return details.parameters.get("access", "") or details.dialled.removeprefix("+")


def known_account(details: CallDetails) -> str | None:
    """The account that calls by its own phone or number.

    `account` alone may be one that merely forwarded the call to us: the switch names it as `target` too where it is the
    caller itself.
    """
    return details.account if details.account is not None and details.account == details.target else None


async def log_in(call: Ivr, desk: Desk, *, by_number: bool) -> str | None:
    """Ask for the PIN (`by_number`: the account's number first); the account, or None when all tries are used up.

    A wrong PIN, one that is nobody's and one that is locked are refused in the same words. Raises StoreError.
    """
    source = call.details.caller
    for _try in range(desk.of(call.details).max_login_attempts):
        number = await call.ask("card-enter-account", digits=MOST_DIGITS, tries=1) if by_number else ""
        pin = await call.ask("card-enter-pin", digits=MOST_DIGITS, tries=1, secret=True)
        if pin and (number or not by_number):
            login = await desk.selfcare.log_in(pin, source, number=number)
            if login.verdict == "right":
                return login.number
        await call.play("card-wrong-login", interrupt="any")
    await call.play("too-many-attempts")
    return None
