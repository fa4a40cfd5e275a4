# SPDX-License-Identifier: Apache-2.0
"""`calling_card`: who calls an access number makes calls on his account.

    welcome, language -> who is it: the calling number, else a PIN -> low: recharge? -> balance -> "this phone?"
    -> [ destination -> longest time -> the call -> another one, balance, recharge ] ...

A call that ends, by the other side or by `**`, comes back to the menu. The switch authorises, charges and ends each
call as it does all others; what is told of its length beforehand is what its funds pay for then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from billing_client.types import StoreError
from ivr.apps.guessing import PIN_WANTED
from ivr.apps.selfcare.desk import (
    FIRST_SECONDS,
    NEXT_SECONDS,
    RING_BACK,
    calling_number,
    calling_phone,
    is_admitted,
    log_in,
    log_in_by_code,
    prove,
)
from ivr.apps.selfcare.phones import NUMBER, register_phone
from ivr.apps.selfcare.recharge import top_up
from ivr.apps.selfcare.telling import tell_balance, tell_expiry, tell_limit, tell_price, tell_time
from ivr.verbs import DialResult, TooManyTries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from billing_client.selfcare import AccountStatus
    from ivr.apps.selfcare.desk import Desk
    from ivr.apps.selfcare.settings import CardSettings
    from ivr.verbs import Ivr, Playable

__all__ = ["calling_card"]

MOST_DIGITS: Final = 32
SETTLING_SECONDS: Final = 1.0
"""What a call that has just ended held of the funds is free again after so long."""
CHOICE_SECONDS: Final = 5.0
PAYMENT_REQUIRED: Final = 402
FAILURES: Final = {486: "vm-call-busy", 600: "vm-call-busy", 408: "vm-call-no-answer", 480: "vm-call-no-answer"}
WRONG: Final = frozenset({403, 404, 410, 484, 604})
"""Statuses of numbers that do not exist, or may not be called."""

_Answer = TypeVar("_Answer")
Next = Literal["call", "balance", "recharge"]
CHOICES: Final[dict[str, Next]] = {"1": "call", "2": "balance", "3": "recharge"}
CHOICE_PROMPTS: Final = ("card-another-call", "press-1", "card-to-balance", "press-2", "card-to-recharge", "press-3")


class _End(Exception):  # noqa: N818
    """The caller has heard why the session ends."""


@dataclass(slots=True)
class _Session:
    """One caller."""

    call: Ivr
    desk: Desk
    settings: CardSettings
    status: AccountStatus = field(init=False)
    attempts: int = 0
    """Codes of vouchers that may have been tried."""
    ring: Callable[[], bool] | None = None
    """Rings a number that was claimed in this session, at its end."""
    is_claimed: bool = False
    """The caller is known by a number that somebody has merely claimed for the card: it dials, and no more."""

    @property
    def is_empty(self) -> bool:
        return self.status.available <= 0

    async def refresh(self, number: str) -> None:
        """Look at the account again; raises StoreError."""
        found = await self.desk.selfcare.status(number)
        if found is None:
            await self.call.play("card-invalid")
            raise _End
        self.status = found

    async def menu(self, prompts: Sequence[Playable], keys: Mapping[str, _Answer]) -> _Answer:
        """Offer choices, as often as the settings allow; raises TooManyTries."""
        return await self.call.menu(prompts, keys, tries=self.settings.max_timeouts)

    async def is_proven(self) -> bool:
        """Whether the caller may do more than dial; who is known by a claimed number is asked for the PIN."""
        if self.is_claimed and await prove(self.call, self.desk, self.status.number):
            self.is_claimed = False
        return not self.is_claimed

    async def recharge(self) -> bool:
        """Take a voucher; whether there was one."""
        if not await self.is_proven():
            return False
        first = self.attempts + 1
        self.attempts += self.settings.max_recharge_attempts
        done = await top_up(self.call, self.desk, self.status.number, first_attempt=first)
        await self.refresh(self.status.number)
        return done


async def calling_card(call: Ivr, *, desk: Desk) -> None:
    """See above; the settings are those of the access number."""
    session = _Session(call, desk, desk.of(call.details))
    await call.answer()
    try:
        if RING_BACK in call.details.parameters:
            await _accept(session, int(call.details.parameters[RING_BACK]))
        await _serve(session)
    except _End:
        pass
    except StoreError:
        await call.play("service-unavailable")
    except TooManyTries:
        await call.play("no-entry")
    finally:
        if session.ring is not None:
            session.ring()
    await call.play("goodbye")


async def _accept(session: _Session, ring_back: int) -> None:
    """Who was rung presses a key: it may have been somebody else who showed his number to us."""
    await session.menu(("callback-accept", "press-1"), {"1": True})
    session.call.accept_charge()
    await session.desk.selfcare.ring_back_used(ring_back)


async def _serve(session: _Session) -> None:
    call, settings = session.call, session.settings
    phone = await calling_phone(call, session.desk) if settings.ani else None
    known = None if phone is None else phone.number
    session.is_claimed = phone is not None and phone.vouched == "claimed"
    await _welcome(session)
    await session.refresh(await _identify(session, known))
    if not is_admitted(session.status, settings):
        await call.play("not-allowed")
        raise _End
    if session.status.language and len(settings.languages) < 2:
        call.speak(session.status.language)
    await _check_usable(session)
    told = await _check_funds(session)
    if settings.announce_balance and not told and not session.is_claimed:
        await _tell(session)
    if known is None and settings.ask_register != "off":
        session.ring = await register_phone(call, session.desk, session.status.number)
    await _calls(session)


async def _identify(session: _Session, known: str | None) -> str:
    """The account that is served: the one whose number calls, one of several people there, or that of a PIN."""
    if known is not None and not session.settings.auth_code:
        return known
    if known is not None:
        number = await log_in_by_code(session.call, session.desk, known)
    elif session.settings.pin:
        number = await log_in(session.call, session.desk, by_number=False)
    else:
        await session.call.play("not-allowed")
        raise _End
    if number is None:
        raise _End
    return number


async def _welcome(session: _Session) -> None:
    call, languages = session.call, session.settings.languages
    if languages:
        call.speak(languages[0])
    if session.settings.welcome:
        await call.play(session.settings.welcome, interrupt="any")
    if len(languages) > 1:
        await _choose_language(session)


async def _choose_language(session: _Session) -> None:
    """Each language offers itself; who chooses none gets the first."""
    call, languages = session.call, session.settings.languages
    keys = "123456789"[: len(languages)]
    key = ""
    for own_key, language in zip(keys, languages, strict=False):
        call.speak(language)
        key = await _offer_language(call, own_key, keys)
        if key:
            break
    key = key or await call.collect(1, finish="", first_seconds=CHOICE_SECONDS)
    call.speak(languages[keys.index(key)] if key and key in keys else languages[0])


async def _offer_language(call: Ivr, own_key: str, keys: str) -> str:
    """The chosen key, or "". One that chooses nothing, such as the one that cut the welcome short, is forgotten: it
    must not become the first digit of a PIN."""
    while True:
        await call.play("for-this-language", f"press-{own_key}", interrupt="any")
        key = await call.collect(1, finish="", first_seconds=0.0)
        if not key or key in keys:
            return key


async def _check_usable(session: _Session) -> None:
    refusal = session.status.refusal
    if refusal is not None:
        await session.call.play("card-expired" if "expired" in refusal else "card-blocked")
        raise _End


async def _check_funds(session: _Session) -> bool:
    """Offer to recharge where there is little left; whether the balance was told on the way."""
    call, settings, status = session.call, session.settings, session.status
    if status.available > settings.low_balance and not session.is_empty:
        return False
    lead: list[Playable] = ["card-no-funds"] if session.is_empty else ["card-low-balance"]
    await call.play(*lead, interrupt="any")
    if status.kind == "subordinate":
        recharged = False  # nobody recharges these by voucher
    else:
        recharged = await _offer_recharge(session)
    if recharged:
        return True
    if session.is_empty or settings.low_balance_policy == "disconnect":
        raise _End
    return False


async def _offer_recharge(session: _Session) -> bool:
    prompts = ("card-to-recharge", "press-1", "vm-to-continue", "press-2")
    if not await session.menu(prompts, {"1": True, "2": False}):
        return False
    return await session.recharge()


async def _tell(session: _Session) -> None:
    status, settings, language = session.status, session.settings, session.call.language
    told = tell_balance(status, language, settings.balance_mode)
    if settings.announce_credit_limit:
        told += tell_limit(status, language)
    if settings.announce_expiry:
        told += tell_expiry(status.expires_on, status.days_left, language)
    await session.call.play(*told, interrupt="any")


# calls --------------------------------------------------------------------------------------------------------------
async def _calls(session: _Session) -> None:
    """Destinations until the caller hangs up; ends where none comes, or too many are wrong."""
    call, settings = session.call, session.settings
    wrong = 0
    dialled = call.details.parameters.get("argument", "") if settings.one_stage else ""
    while True:
        destination = dialled or await call.ask(
            "card-enter-destination",
            digits=MOST_DIGITS,
            first_seconds=FIRST_SECONDS,
            next_seconds=NEXT_SECONDS,
            tries=settings.max_timeouts,
        )
        dialled = ""
        if not destination:
            raise TooManyTries
        result = await _connect(session, destination.removeprefix("+"))
        if result is None or result.status in WRONG:
            await call.play("card-wrong-destination", interrupt="any")
            wrong += 1
            if wrong >= settings.max_wrong_destinations:
                await call.play("too-many-attempts")
                return
            continue
        if not result.answered and result.status != PAYMENT_REQUIRED:
            await call.play(FAILURES.get(result.status, "vm-call-failed"), interrupt="any")
        wrong = 0
        if result.answered:
            await _check_used_up(session)
        await _menu(session)


async def _connect(session: _Session, destination: str) -> DialResult | None:
    """Tell how long the call may last, and make it; None: it cannot be made. Raises _End where there are no funds."""
    call, settings = session.call, session.settings
    if not NUMBER.fullmatch(destination) or (settings.low_balance_policy == "no_outgoing" and _is_low(session)):
        return None
    await session.refresh(session.status.number)
    quote = await session.desk.selfcare.quote(session.status, destination)
    if quote.verdict == "blocked":
        return None
    if quote.verdict == "funds" or (quote.seconds is not None and quote.seconds < settings.min_call_seconds):
        await call.play("card-no-funds", interrupt="any")
        if session.status.kind != "subordinate" and await _offer_recharge(session):
            return await _connect(session, destination)
        await session.refresh(session.status.number)
        if session.is_empty:
            raise _End
        return DialResult(False, PAYMENT_REQUIRED)
    told: list[Playable] = []
    if quote.verdict == "ok" and settings.announce_price:
        told += tell_price(quote, call.language)
    if quote.verdict == "ok" and settings.announce_time:
        told += tell_time(quote, call.language, settings)
    await call.play(*told, interrupt="#")
    result = await _dial(session, destination)
    if result.status == PIN_WANTED and await prove(call, session.desk, session.status.number):
        session.is_claimed = False
        return await _dial(session, destination)
    return None if result.status == PIN_WANTED else result


async def _dial(session: _Session, destination: str) -> DialResult:
    caller = calling_number(session.call.details, session.settings)
    return await session.call.dial(
        destination,
        account=session.status.number,
        caller=caller if NUMBER.fullmatch(caller) else session.status.number,
        hangup_key=session.settings.hangup_key,
        most_seconds=session.settings.max_call_seconds or None,
    )


async def _check_used_up(session: _Session) -> None:
    """A call that used the funds up ended without a word: say so now, and offer to recharge."""
    await session.refresh(session.status.number)
    if session.is_empty:
        await session.call.sleep(SETTLING_SECONDS)
        await session.refresh(session.status.number)
    if session.is_empty:
        await _check_funds(session)


def _is_low(session: _Session) -> bool:
    return session.status.available <= session.settings.low_balance


async def _menu(session: _Session) -> None:
    """After a call: what next? Returns for another call."""
    while True:
        choice = await session.menu(CHOICE_PROMPTS, CHOICES)
        if choice == "call":
            return
        if choice == "balance":
            await session.refresh(session.status.number)
            if await session.is_proven():
                await _tell(session)
        else:
            await session.recharge()
