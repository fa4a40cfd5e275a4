# SPDX-License-Identifier: Apache-2.0
"""What the applications of one's own account are given, and what all of them do: finding the account, telling of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from billing_client.selfcare import KnownPhone
from billing_client.vouchers.words import WantedReceipts
from ivr.apps.guessing import access_number, guess_source, wait
from ivr.apps.selfcare.settings import CardSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing_client.selfcare import AccountStatus, SelfCare
    from billing_client.vouchers.words import Vouchers
    from ivr.verbs import CallDetails, DialRequest, Ivr

__all__ = [
    "FIRST_SECONDS",
    "MOST_DIGITS",
    "NEXT_SECONDS",
    "RING_BACK",
    "Desk",
    "RingBack",
    "access_number",
    "calling_account",
    "calling_number",
    "calling_phone",
    "guess_source",
    "is_admitted",
    "log_in",
    "log_in_by_code",
    "prove",
    "wait",
    "wanted_receipts",
]

MOST_DIGITS: Final = 32
RING_BACK: Final = "ring_back"
"""The parameter of a call of our own that says how it is counted."""
FIRST_SECONDS: Final = 10.0
NEXT_SECONDS: Final = 6.0
"""Between two digits: they are read from a card, or from an address book."""


class RingBack(Protocol):
    """Makes a call of the media server's own (`ivr.server.server.IvrServer.ring_back`)."""

    def __call__(
        self, request: DialRequest, details: CallDetails, *, after_seconds: float, ring_seconds: float
    ) -> bool:
        """Soon, if that number is not about to be rung already; returns at once. Whoever answers gets the application
        of `details`. False: not now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The doors and the settings."""

    selfcare: SelfCare
    vouchers: Vouchers | None
    """None: this installation has no vouchers."""
    ring_back: RingBack | None = None
    """Calls of our own; None: there are none."""
    settings: Mapping[str, CardSettings] = field(default_factory=dict)
    """Of access numbers; one that is not here has the defaults."""

    def of(self, details: CallDetails) -> CardSettings:
        """The settings of the number that was dialled."""
        return self.settings.get(access_number(details)) or CardSettings()


def calling_number(details: CallDetails, settings: CardSettings) -> str:
    """The calling number in the form in which accounts have it."""
    number = details.caller.removeprefix("+")
    for rule in settings.translate_ani:
        number = rule.apply(number)
    return number


def wanted_receipts(call: Ivr, settings: CardSettings) -> WantedReceipts:
    """How the owner is told of a recharge beside the call."""
    return WantedReceipts(settings.receipts, call.language, calling_number(call.details, settings))


async def calling_phone(call: Ivr, desk: Desk) -> KnownPhone | None:
    """The account that calls by its own phone or number, and what a number shows; None: it must say who it is. Raises
    StoreError.

    `account` alone may be one that merely forwarded the call to us: the switch names it as `target` too where it is the
    caller itself. It looked for the number as it came; here it is looked for as the rules translate it, where the
    carrier vouches for it.
    """
    details, settings = call.details, desk.of(call.details)
    if details.account is not None and details.account == details.target:
        return KnownPhone(details.account, "claimed" if details.vouched == "claimed" else "number")
    number = calling_number(details, settings)
    if number == details.caller.removeprefix("+") or not details.is_identified:
        return None
    found = await desk.selfcare.by_phone(number, details.gateway)
    if found is not None:
        call.known_by_number(found.number)
    return found


async def calling_account(call: Ivr, desk: Desk) -> str | None:
    """The same where what is done needs more than a number that somebody has merely claimed."""
    found = await calling_phone(call, desk)
    return None if found is None or found.vouched == "claimed" else found.number


def is_admitted(status: AccountStatus, settings: CardSettings) -> bool:
    """Whether this access number is for the account."""
    return (not settings.customers or status.customer in settings.customers) and (
        not settings.products or status.product in settings.products
    )


async def log_in(call: Ivr, desk: Desk, *, by_number: bool) -> str | None:
    """Ask for the PIN (`by_number`: the account's number first), and for the password where the settings want that; the
    account, or None when all tries are used up.

    A wrong PIN, one that is nobody's, one that is locked and a wrong password are refused in the same words, later and
    later. Raises StoreError.
    """
    settings = desk.of(call.details)
    for _try in range(settings.max_login_attempts):
        number = await _digits(call, "card-enter-account") if by_number else ""
        pin = await _digits(call, "card-enter-pin")
        password = None
        if settings.service_password:
            password = await _digits(call, "card-enter-password")
        if not pin and not number:
            continue  # nothing was typed that could be wrong: ask again
        if pin and (number or not by_number):
            login = await desk.selfcare.log_in(pin, guess_source(call.details), number=number, password=password)
            await wait(call, login.delay_seconds)
            if login.verdict == "right":
                call.prove()
                return login.number
        await call.play("card-wrong-login", interrupt="any")
    await call.play("too-many-attempts")
    return None


async def prove(call: Ivr, desk: Desk, account: str) -> bool:
    """Ask who is known by his number alone for a PIN of the account; whether it was right. Raises StoreError."""
    for _try in range(desk.of(call.details).max_login_attempts):
        pin = await _digits(call, "card-enter-pin")
        if pin:
            login = await desk.selfcare.log_in(pin, guess_source(call.details), number=account)
            await wait(call, login.delay_seconds)
            if login.verdict == "right":
                call.prove()
                return True
        await call.play("card-wrong-login", interrupt="any")
    return False


async def log_in_by_code(call: Ivr, desk: Desk, company: str) -> str | None:
    """Ask for the authorisation code of one person of the company that calls; that person's account, or None."""
    settings = desk.of(call.details)
    least, most = settings.min_auth_code_length, settings.max_auth_code_length
    for _try in range(settings.max_login_attempts):
        code = await _digits(call, "card-enter-auth-code", most=most)
        if len(code) >= least:
            login = await desk.selfcare.log_in(code, guess_source(call.details), company=company)
            await wait(call, login.delay_seconds)
            if login.verdict == "right":
                call.prove()
                return login.number
        await call.play("card-wrong-code", interrupt="any")
    await call.play("too-many-attempts")
    return None


async def _digits(call: Ivr, prompt: str, *, most: int = MOST_DIGITS) -> str:
    """Asked once; whoever asks tells what was wrong with them."""
    return await call.ask(prompt, digits=most, first_seconds=FIRST_SECONDS, next_seconds=NEXT_SECONDS, tries=1)
