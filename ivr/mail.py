# SPDX-License-Identifier: Apache-2.0
"""Sends the e-mails that tell of messages, from the queue in the store.

An e-mail is taken for some minutes in which nobody else takes it, handed to the SMTP server, and struck off once that
has accepted it. What is not accepted is tried again for a day, with growing pauses. Whoever dies in between leaves it
to be taken again: it is sent twice only if the server accepted it and we died before that was written down, and then
both have the same Message-ID.
"""

from __future__ import annotations

import asyncio
import logging
import smtplib
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parseaddr
from typing import TYPE_CHECKING, Final, Protocol

from billing_client.types import StoreError
from ivr.mailtext import compose

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from billing_client.voicemail import Email

__all__ = ["MailQueue", "MailSettings", "deliver_due", "deliver_forever", "purge_forever"]

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

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSettings:
    """The server that takes our e-mails, and how we present ourselves."""

    sender: str
    """Address, or name and address, of the From header."""
    host: str
    port: int = 25
    user: str = ""
    """Empty: no authentication."""
    password: str = field(default="", repr=False)
    starttls: bool = False
    """Refuse to send without TLS (RFC 3207), and check the server's certificate."""
    language: str = "en"
    """Of mailboxes that have none."""
    timeout_seconds: float = 30.0
    """For each answer of the server."""
    trusted: ssl.SSLContext | None = field(default=None, repr=False)
    """Which certificates are; None: the system's."""


class MailQueue(Protocol):
    """Where e-mails wait: `billing_client.mailboxes.StoreMailboxes`. Each operation raises StoreError."""

    async def take_emails(self, at: datetime, lease: timedelta, most: int) -> list[Email]:
        """E-mails that are due; nobody else gets them within the lease."""

    async def email_accepted(self, email: Email) -> None:
        """Done with."""

    async def email_again(self, email: Email, recipients: Sequence[str], at: datetime) -> None:
        """Try again then, for these recipients."""

    async def email_given_up(self, email: Email) -> None:
        """Try no more; the message stays."""


class Purgeable(Protocol):
    """Where deleted messages wait for their end."""

    async def purge(self, before: datetime, most: int) -> int:
        """Remove up to `most` messages that were deleted before then; returns how many."""


def _now() -> datetime:
    return datetime.now(UTC)


async def deliver_forever(
    queue: MailQueue,
    settings: MailSettings,
    *,
    clock: Callable[[], datetime] = _now,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Send what is due, again and again, until cancelled (before the queue is closed)."""
    is_away = False
    while True:
        try:
            taken = await deliver_due(queue, settings, clock=clock, sleep=sleep)
            is_away = False
        except StoreError as error:
            if not is_away:
                log.warning("e-mails wait for the store", extra={"reason": str(error)})
            is_away, taken = True, 0
        if not taken:
            await sleep(POLL_SECONDS)


async def deliver_due(
    queue: MailQueue,
    settings: MailSettings,
    *,
    clock: Callable[[], datetime] = _now,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> int:
    """Try those e-mails that are due, a few at a time; returns how many.

    Cancelled, it ends what the server has in hand, for it cannot be called back.
    """
    taken = await queue.take_emails(clock(), LEASE, AT_A_TIME)
    if not taken:
        return 0
    tasks = [asyncio.ensure_future(_deliver(queue, settings, email, clock, sleep)) for email in taken]
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


@dataclass(frozen=True, slots=True)
class Refusals:
    """Recipients that did not get it."""

    later: tuple[str, ...] = ()
    """They may another time (4xx, or no answer)."""
    never: tuple[str, ...] = ()
    reason: str = ""


async def _deliver(
    queue: MailQueue,
    settings: MailSettings,
    email: Email,
    clock: Callable[[], datetime],
    sleep: Callable[[float], Awaitable[None]],
) -> None:
    refused = await asyncio.get_running_loop().run_in_executor(None, _hand_over, settings, email)
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


def _hand_over(settings: MailSettings, email: Email) -> Refusals:
    """Give an e-mail to the server; in a thread."""
    message = compose(email, settings.sender, settings.language)
    everybody = email.recipients
    try:
        with smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout_seconds) as server:
            if settings.starttls:
                server.starttls(context=settings.trusted or ssl.create_default_context())
            if settings.user:
                server.login(settings.user, settings.password)
            refused = server.send_message(message, parseaddr(settings.sender)[1], everybody)
            return _refusals(refused)
    except smtplib.SMTPRecipientsRefused as error:
        return _refusals(error.recipients)
    except smtplib.SMTPDataError as error:
        return _refusals(dict.fromkeys(everybody, (error.smtp_code, _octets(error.smtp_error))))
    except smtplib.SMTPAuthenticationError as error:  # its text might repeat what we said
        return Refusals(later=everybody, reason=f"the server refuses our credentials ({error.smtp_code})")
    except (smtplib.SMTPException, OSError, ValueError) as error:
        # No server, or one that does not want us at all: the administrator has a day to see to it.
        return Refusals(later=everybody, reason=f"{type(error).__name__}: {error}")


def _refusals(refused: dict[str, tuple[int, bytes]]) -> Refusals:
    """RFC 5321 section 4.2.1: 4yz may succeed another time, 5yz never."""
    later = tuple(address for address, (status, _) in refused.items() if status < 500)
    never = tuple(address for address, (status, _) in refused.items() if status >= 500)
    reasons = {f"{status} {text.decode('utf-8', 'replace')}" for status, text in refused.values()}
    return Refusals(later, never, "; ".join(sorted(reasons)))


def _octets(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


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
