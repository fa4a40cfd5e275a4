# SPDX-License-Identifier: Apache-2.0
"""The application of an auto attendant: greeting, keys, extensions, opening hours."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from billing_client.rules.numbering import digits_of
from billing_client.types import StoreError
from ivr.apps.menu.hours import opening_at
from ivr.apps.menu.settings import Target

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from ivr.apps.menu.settings import Menu
    from ivr.verbs import CallDetails, DialResult, Ivr

__all__ = ["menu"]

NOT_FOUND: Final = 404
NEXT_SECONDS: Final = 2.0
"""Between the digits of an extension: a single digit is a key of the menu after that."""
MOST_STEPS: Final = 50
"""From menu to menu: administrators may write circles, callers must not stay in one for ever."""
FAILURES: Final = {486: "vm-call-busy", 600: "vm-call-busy", 408: "vm-call-no-answer", 480: "vm-call-no-answer"}
NO_NUMBER: Final = frozenset({404, 484, 604})


async def menu(
    call: Ivr,
    *,
    menus: Callable[[], Mapping[str, Menu]],
    applications: Callable[[], Mapping[str, Callable[[Ivr], Awaitable[None]]]],
    are_colleagues: Callable[[str, str], Awaitable[bool]],
    now: Callable[[], datetime],
) -> None:
    """Runs the attendant of parameter `name`, and where its keys lead.

    Whoever calls types what he likes, and somebody else may pay for it: what is typed is an extension only if it is an
    account of the payer's customer (`are_colleagues`). Numbers elsewhere are written as keys.

    `menus` and `applications` are asked at each step, so a reload acts on whoever is in a menu; a menu that is gone
    meanwhile ends the call politely.
    """
    name: str | None = call.details.parameters.get("name", "")
    if name not in menus():
        await call.play("service-unavailable")
        await call.hangup(NOT_FOUND)
        return
    await call.answer()
    for _step in range(MOST_STEPS):
        found = menus().get(name or "")
        if found is None:
            break
        if found.language:
            call.speak(found.language)
        target, is_typed = await _target(call, found, now())
        if target.dial is not None and is_typed and not await _is_extension(call, found, target.dial, are_colleagues):
            await call.play("aa-no-such-extension")
        elif target.dial is not None:
            if await _dialled(call, found, target.dial, "vm-call-failed"):
                return
        elif target.app is not None:
            await _run(call, applications(), target)
            return
        else:
            name = target.menu
    await call.play("goodbye")


async def _is_extension(
    call: Ivr, found: Menu, typed: str, are_colleagues: Callable[[str, str], Awaitable[bool]]
) -> bool:
    payer = found.account or call.details.account
    try:
        return payer is None or await are_colleagues(payer, typed)  # without a payer nothing is dialled at all
    except StoreError:
        return False


async def _target(call: Ivr, found: Menu, now: datetime) -> tuple[Target, bool]:
    """What the hour, or the caller, decides, and whether it is what the caller typed."""
    opening = "open" if found.hours is None else opening_at(found.hours, now)
    if opening == "open":
        return await _chosen(call, found)
    await call.play(found.closed.greeting or ("aa-holiday" if opening == "holiday" else "aa-closed"))
    return found.closed.then, False


async def _chosen(call: Ivr, found: Menu) -> tuple[Target, bool]:
    """What the caller's keys mean; an extension that does not answer leads back here."""
    for _try in range(found.tries):
        await call.play(found.greeting, interrupt="any")
        typed = await call.collect(
            max(found.extension_digits, 1), finish="", first_seconds=found.seconds, next_seconds=NEXT_SECONDS
        )
        if typed in found.keys:
            return found.keys[typed], False
        typed = typed.rstrip("#")
        if digits_of(typed) and len(typed) == found.extension_digits:
            return Target(dial=typed), True
        await call.play("invalid-key" if typed else "no-entry")
    return found.otherwise, False


async def _dialled(call: Ivr, found: Menu, number: str, failed: str) -> bool:
    """Connect the caller to a number. True: the call is over; false: it could not be connected, the menu goes on."""
    details = call.details
    account = found.account or details.account
    if account is None:
        await call.play("aa-unavailable")
        return False
    await call.play("aa-transfer")
    result = await call.dial(
        number,
        account=account,
        caller=details.caller,
        caller_name=details.caller_name,
        diverted=account != details.account,
    )
    if result.answered:
        await call.hangup()
        return True
    await call.play(_why(result, failed))
    return False


def _why(result: DialResult, failed: str) -> str:
    return "aa-no-such-extension" if result.status in NO_NUMBER else FAILURES.get(result.status, failed)


async def _run(call: Ivr, applications: Mapping[str, Callable[[Ivr], Awaitable[None]]], target: Target) -> None:
    """Hand the call to another application for good."""
    name = "voicemail-access" if target.app == "voicemail" and target.mailbox is None else target.app
    application = applications.get(name or "")
    if application is None:
        await call.play("service-unavailable")
        return
    details = replace(
        call.details, application=name or "", target=target.mailbox, cause=NOT_FOUND, parameters=call.details.origin
    )
    await application(cast("Ivr", _Handed(call, details)))


class _Handed:
    """A call as the next application is told of it; everything but the details is the call's."""

    def __init__(self, call: Ivr, details: CallDetails) -> None:
        self._call = call
        self.details = details

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)
