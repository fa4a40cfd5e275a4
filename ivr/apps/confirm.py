# SPDX-License-Identifier: Apache-2.0
"""Follow-me with confirmation: a diverted call is connected only when somebody at the other end has pressed a key, so
that a foreign voicemail never swallows it. The caller's leg is answered only then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from billing_client.rules.numbering import digits_of
from ivr.say import grammar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ivr.verbs import Ivr, Playable

__all__ = ["ConfirmSettings", "confirm"]

NOT_FOUND: Final = 404
FORBIDDEN: Final = 403
UNAVAILABLE: Final = 480
DECLINED: Final = 603
RING_SECONDS: Final = (1.0, 300.0)
Verdict = Literal["accepted", "declined", "voicemail", ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmSettings:
    """How the party that answers is asked."""

    key_seconds: float = 5.0
    """For the key, after each time that the choices were told."""
    tries: int = 2
    declined_status: int = UNAVAILABLE
    """Of the caller's leg after a 2: 480 goes on with the next way of the list, 603 ends the whole call."""
    voicemail_status: int | None = None
    """Of the caller's leg after a 3, by which the switch goes to voicemail; None: 3 is not offered."""


async def confirm(
    call: Ivr,
    *,
    settings: ConfirmSettings = ConfirmSettings(),
    recorded_name: Callable[[str], Awaitable[Playable | None]] | None = None,
) -> None:
    """Calls `target` on behalf of the account that is served, and asks who answers.

    Parameters: `seconds` to ring; `declined`, the status after a 2 where not that of the settings. `recorded_name`: a
    caller's recorded name, by the number. No key is no acceptance.
    """
    details = call.details
    if not details.target or not details.account:
        await call.hangup(NOT_FOUND if not details.target else FORBIDDEN)
        return
    name = await recorded_name(details.caller) if recorded_name is not None else None
    verdict: Verdict = ""

    async def ask(callee: Ivr) -> bool:
        nonlocal verdict
        verdict = await _asked(callee, name or grammar(callee.language).telephone(details.caller), settings)
        return verdict == "accepted"

    result = await call.dial(
        details.target,
        account=details.account,
        caller=details.caller,
        caller_name=details.caller_name,
        diverted=True,
        ring_seconds=_seconds(details.parameters.get("seconds", "")),
        on_answer=ask,
    )
    if not result.answered:
        await call.hangup(_status(verdict, result.status, settings, details.parameters.get("declined", "")))


async def _asked(callee: Ivr, caller: Playable, settings: ConfirmSettings) -> Verdict:
    keys: dict[str, Verdict] = {"1": "accepted", "2": "declined"}
    options = "followme-options"
    if settings.voicemail_status is not None:
        keys["3"] = "voicemail"
        options = "followme-options-voicemail"
    for _try in range(settings.tries):
        await callee.play("followme-call-from", caller, options, interrupt="any")
        verdict = keys.get(await callee.collect(1, finish="", first_seconds=settings.key_seconds), "")
        if verdict:
            await callee.play("followme-accepted" if verdict == "accepted" else "followme-declined")
            return verdict
    return ""


def _status(verdict: Verdict, status: int, settings: ConfirmSettings, declined: str) -> int:
    if verdict == "declined":
        return DECLINED if declined == str(DECLINED) else settings.declined_status
    if verdict == "voicemail":
        return settings.voicemail_status or UNAVAILABLE
    # answered but not accepted: somebody's voicemail, perhaps; the next way of the list is tried
    return UNAVAILABLE if status in range(200, 300) or status == DECLINED else status


def _seconds(written: str) -> float:
    least, most = RING_SECONDS
    return min(max(float(written), least), most) if digits_of(written[:9]) else 60.0
