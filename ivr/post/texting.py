# SPDX-License-Identifier: Apache-2.0
"""Sends receipts as short messages, from the queue in the store, by a gateway that the installation brings along.

A receipt is taken for some minutes in which nobody else takes it, given to the gateway, and struck off once that has
taken it. What it does not take is tried again for a day, with growing pauses.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from ivr.post.mail import send_forever
from ivr.post.receipttext import short_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from billing_client.vouchers.receipts import Receipt, StoreReceipts

__all__ = ["SmsGateway", "SmsUnavailable", "text_due", "text_forever"]

AT_A_TIME: Final = 10
LEASE: Final = timedelta(minutes=15)
FIRST_PAUSE: Final = timedelta(seconds=30)
LONGEST_PAUSE: Final = timedelta(hours=1)
GIVE_UP_AFTER: Final = timedelta(days=1)
SEND_SECONDS: Final = 30.0

log = logging.getLogger(__name__)


class SmsUnavailable(Exception):  # noqa: N818 (a state of the gateway)
    """The gateway did not take the message; it is asked again later."""


class SmsGateway(Protocol):
    """What an installation brings along. A call of `send` may last 30 s; it runs beside the calls, on their event loop,
    so it must not block."""

    async def send(self, number: str, text: str, key: str) -> None:
        """Send `text` to `number` (digits as they called). Asked again with the same key it is the same message, which
        happens where an answer was lost. Raises SmsUnavailable where it shall be tried again; anything else that it
        raises gives the message up."""

    async def close(self) -> None:
        """Let go of connections."""


def _now() -> datetime:
    return datetime.now(UTC)


async def text_forever(
    queue: StoreReceipts,
    gateway: SmsGateway,
    language: str,
    *,
    clock: Callable[[], datetime] = _now,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Send what is due, again and again, until cancelled."""
    await send_forever(lambda: text_due(queue, gateway, language, clock=clock), "short messages", sleep)


async def text_due(
    queue: StoreReceipts, gateway: SmsGateway, language: str, *, clock: Callable[[], datetime] = _now
) -> int:
    """Try those that are due, a few, one after the other; returns how many. Raises StoreError."""
    taken = await queue.take_emails(clock(), LEASE, AT_A_TIME)
    for receipt in taken:
        await _send(queue, gateway, receipt, language, clock)
    return len(taken)


async def _send(
    queue: StoreReceipts, gateway: SmsGateway, receipt: Receipt, language: str, clock: Callable[[], datetime]
) -> None:
    facts = {"account": receipt.account, "attempts": receipt.attempts}
    (error,) = await asyncio.gather(_tried(gateway, receipt, language), return_exceptions=True)
    if isinstance(error, SmsUnavailable | TimeoutError):
        at = clock() + min(FIRST_PAUSE * 2 ** min(receipt.attempts - 1, 16), LONGEST_PAUSE)
        if at - receipt.queued_at <= GIVE_UP_AFTER:
            log.info("a short message is tried again", extra={**facts, "reason": str(error)})
            await queue.email_again(receipt, receipt.recipients, at)
            return
        log.error("a short message is given up after a day", extra={**facts, "reason": str(error)})
    elif error is not None:
        log.error("a short message is given up", exc_info=error, extra=facts)
    await queue.email_accepted(receipt)


async def _tried(gateway: SmsGateway, receipt: Receipt, language: str) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await gateway.send(receipt.recipients[0], short_text(receipt, language), receipt.key)
