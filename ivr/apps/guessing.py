# SPDX-License-Identifier: Apache-2.0
"""What all applications that ask for a secret do: say where it comes from, and answer late where that is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from billing_client.vouchers.words import GuessSource

if TYPE_CHECKING:
    from ivr.verbs import CallDetails, Ivr

__all__ = ["PIN_WANTED", "access_number", "guess_source", "wait"]

WAIT_AGAIN_SECONDS: Final = 10.0
"""A caller who waits is told so again after so long."""
PIN_WANTED: Final = 428
"""The switch refuses a dear destination so, as long as the calling number is all that the payer is known by."""


def access_number(details: CallDetails) -> str:
    """The number that leads to the application; with one-stage dialling the switch says where it ends."""
    return details.parameters.get("access", "") or details.dialled.removeprefix("+")


def guess_source(details: CallDetails) -> GuessSource:
    """What wrong codes and PINs of this call are counted for."""
    is_phone = details.account is not None and not details.vouched and not details.gateway
    return GuessSource(
        details.caller.removeprefix("+"),
        access_number(details),
        gateway=details.gateway,
        phone=(details.account or "") if is_phone else "",
        is_vouched=details.is_identified,
    )


async def wait(call: Ivr, seconds: float) -> None:
    """Answers come late after wrong codes and PINs, right ones too."""
    while seconds > 0:
        await call.play("one-moment")
        await call.sleep(min(seconds, WAIT_AGAIN_SECONDS))
        seconds -= WAIT_AGAIN_SECONDS
