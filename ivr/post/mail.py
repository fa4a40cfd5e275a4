# SPDX-License-Identifier: Apache-2.0
"""Sends the e-mails that tell of messages and of recharges, from the queues in the store.

An e-mail is taken for some minutes in which nobody else takes it, handed to the SMTP server, and struck off once that
has accepted it. What is not accepted is tried again for a day, with growing pauses. Whoever dies in between leaves it
to be taken again: it is sent twice only if the server accepted it and we died before that was written down, and then
both have the same Message-ID.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from billing_client.types import StoreError
from ivr.post.handover import MailSettings, Refusals, hand_over_apart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing_client.emergencies import EmergencyEmail
    from billing_client.mailboxes.words import Email
    from billing_client.vouchers.receipts import Receipt

__all__ = ["MailQueue", "MailSettings", "deliver_due", "deliver_forever", "purge_forever", "send_forever"]

AT_A_TIME: Final = 4
LEASE: Final = timedelta(minutes=15)
"""Longer than handing over may take: a few answers, each within `MailSettings.timeout_seconds`."""
FIRST_PAUSE: Final = timedelta(minutes=1)
LONGEST_PAUSE: Final = timedelta(hours=2)
GIVE_UP_AFTER: Final = timedelta(days=1)
POLL_SECONDS: Final = 5.0
STRIKE_OFF_PAUSE_SECONDS: Final = 1.0
GRACE_SECONDS: Final = 10.0
"""How long the end of the process waits for a server that has an e-mail in hand."""
PURGE_PAUSE_SECONDS: Final = 600.0
PURGED_AT_A_TIME: Final = 200

Letter = TypeVar("Letter", bound="Email | EmergencyEmail | Receipt")
HandOver = Callable[[MailSettings, Letter], Awaitable[Refusals]]

log = logging.getLogger(__name__)


class MailQueue(Protocol[Letter]):
    """Where e-mails wait: `billing_client.mailboxes.mailboxes.StoreMailboxes`,
    `billing_client.vouchers.receipts.StoreReceipts`. Each operation raises StoreError."""

    async def take_emails(self, at: datetime, lease: timedelta, most: int) -> list[Letter]:
        """E-mails that are due; nobody else gets them within the lease."""

    async def email_accepted(self, email: Letter) -> None:
        """Done with."""

    async def email_again(self, email: Letter, recipients: Sequence[str], at: datetime) -> None:
        """Try again then, for these recipients."""

    async def email_given_up(self, email: Letter) -> None:
        """Try no more; the message stays."""


class Purgeable(Protocol):
    """Where deleted messages wait for their end."""

    async def purge(self, before: datetime, most: int) -> int:
        """Remove up to `most` messages that were deleted before then; returns how many."""


def _now() -> datetime:
    return datetime.now(UTC)


async def deliver_forever(
    queue: MailQueue[Letter],
    settings: MailSettings,
    *,
    clock: Callable[[], datetime] = _now,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    hand_over: HandOver[Letter] = hand_over_apart,
) -> None:
    """Send what is due, again and again, until cancelled (before the queue is closed)."""

    async def due() -> int:
        return await deliver_due(queue, settings, clock=clock, sleep=sleep, hand_over=hand_over)

    await send_forever(due, "e-mails", sleep)


async def send_forever(
    send_due: Callable[[], Awaitable[int]], what: str, sleep: Callable[[float], Awaitable[None]]
) -> None:
    """Have what is due sent, again and again; `send_due` says how many there were, and raises StoreError."""
    is_away = False
    while True:
        try:
            taken = await send_due()
            is_away = False
        except StoreError as error:
            if not is_away:
                log.warning(f"{what} wait for the store", extra={"reason": str(error)})
            is_away, taken = True, 0
        if not taken:
            await sleep(POLL_SECONDS)


async def deliver_due(
    queue: MailQueue[Letter],
    settings: MailSettings,
    *,
    clock: Callable[[], datetime] = _now,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    hand_over: HandOver[Letter] = hand_over_apart,
) -> int:
    """Try those e-mails that are due, a few at a time; returns how many.

    Cancelled, it ends what the server has in hand, for it cannot be called back.
    """
    taken = await queue.take_emails(clock(), LEASE, AT_A_TIME)
    if not taken:
        return 0
    tasks = [asyncio.ensure_future(_deliver(queue, settings, email, clock, sleep, hand_over)) for email in taken]
    try:
        await asyncio.wait(tasks)
    except asyncio.CancelledError:
        await asyncio.wait(tasks, timeout=GRACE_SECONDS)
        raise
    finally:
        for task in tasks:
            task.cancel()
    for task in tasks:
        task.result()
    return len(taken)


async def _deliver(
    queue: MailQueue[Letter],
    settings: MailSettings,
    email: Letter,
    clock: Callable[[], datetime],
    sleep: Callable[[float], Awaitable[None]],
    hand_over: HandOver[Letter],
) -> None:
    refused = await hand_over(settings, email)
    facts = {"voice_message": email.message_id, "account": email.mailbox}
    if refused.never:
        log.warning("an e-mail was refused for good", extra={**facts, "reason": refused.reason})
    if not refused.later:
        done = queue.email_given_up if len(refused.never) == len(email.recipients) else queue.email_accepted
        await _written(lambda: done(email), sleep)
        return
    pause = min(FIRST_PAUSE * 2 ** min(email.attempts - 1, 16), LONGEST_PAUSE)
    at = clock() + pause
    if at - email.queued_at > GIVE_UP_AFTER:
        log.error("an e-mail is given up after a day", extra={**facts, "reason": refused.reason})
        await _written(lambda: queue.email_given_up(email), sleep)
        return
    log.info("an e-mail is tried again", extra={**facts, "reason": refused.reason, "attempts": email.attempts})
    await _written(lambda: queue.email_again(email, refused.later, at), sleep)


async def _written(write: Callable[[], Awaitable[None]], sleep: Callable[[float], Awaitable[None]]) -> None:
    """Tell the store what became of an e-mail, while it is ours: else it would be sent once more."""
    for _ in range(round(LEASE.total_seconds() / STRIKE_OFF_PAUSE_SECONDS / 2)):
        try:
            await write()
        except StoreError:
            await sleep(STRIKE_OFF_PAUSE_SECONDS)
        else:
            return
    log.error("what became of an e-mail could not be written down: it may be sent twice")


async def purge_forever(
    mailboxes: Purgeable,
    purge_after: timedelta,
    *,
    clock: Callable[[], datetime] = _now,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Remove deleted messages for good once nobody may take them back any more, a limited number at a time."""
    while True:
        try:
            while await mailboxes.purge(clock() - purge_after, PURGED_AT_A_TIME) == PURGED_AT_A_TIME:
                await sleep(0)
        except StoreError as error:
            log.warning("deleted messages wait for the store", extra={"reason": str(error)})
        await sleep(PURGE_PAUSE_SECONDS)
