# SPDX-License-Identifier: Apache-2.0
"""Hands one e-mail to the SMTP server, in a process of its own: `python -m ivr.post.handover`, started by
`hand_over_apart`.

To encode a recording and to build an e-mail of it keeps Python busy for a tenth of a second and more. In a thread of
the media server all callers would hear that.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import smtplib
import ssl
import sys
from dataclasses import dataclass, field
from email.utils import parseaddr
from typing import TYPE_CHECKING, Final

from billing_client.emergencies import EmergencyEmail
from billing_client.vouchers.receipts import Receipt
from ivr.post.emergencytext import compose_emergency
from ivr.post.mailtext import compose
from ivr.post.receipttext import compose_receipt

if TYPE_CHECKING:
    from email.message import EmailMessage

    from billing_client.mailboxes.words import Email

__all__ = ["MailSettings", "Refusals", "hand_over", "hand_over_apart"]

NICENESS: Final = 10


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
    certificates: str | None = None
    """File of those that vouch for the server's; None: the system's."""


@dataclass(frozen=True, slots=True)
class Refusals:
    """Recipients that did not get it."""

    later: tuple[str, ...] = ()
    """They may another time (4xx, or no answer)."""
    never: tuple[str, ...] = ()
    reason: str = ""


def hand_over(settings: MailSettings, email: Email | EmergencyEmail | Receipt) -> Refusals:
    """Give an e-mail to the server; blocks."""
    message = _composed(settings, email)
    everybody = email.recipients
    try:
        with smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout_seconds) as server:
            if settings.starttls:
                server.starttls(context=ssl.create_default_context(cafile=settings.certificates))
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


def _composed(settings: MailSettings, email: Email | EmergencyEmail | Receipt) -> EmailMessage:
    if isinstance(email, EmergencyEmail):
        return compose_emergency(email, settings.sender)
    if isinstance(email, Receipt):
        return compose_receipt(email, settings.sender, settings.language)
    return compose(email, settings.sender, settings.language)


def _refusals(refused: dict[str, tuple[int, bytes]]) -> Refusals:
    """RFC 5321 section 4.2.1: 4yz may succeed another time, 5yz never."""
    later = tuple(address for address, (status, _) in refused.items() if status < 500)
    never = tuple(address for address, (status, _) in refused.items() if status >= 500)
    reasons = {f"{status} {text.decode('utf-8', 'replace')}" for status, text in refused.values()}
    return Refusals(later, never, "; ".join(sorted(reasons)))


def _octets(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


async def hand_over_apart(settings: MailSettings, email: Email | EmergencyEmail | Receipt) -> Refusals:
    """`hand_over` in a process of its own, which ends with it whatever becomes of us."""
    process = None
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ivr.post.handover", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        answer, _ = await process.communicate(pickle.dumps((settings, email)))
        return Refusals(*pickle.loads(answer))
    except (OSError, EOFError, pickle.UnpicklingError) as error:
        status = process and process.returncode
        return Refusals(later=email.recipients, reason=f"the process that sends it failed ({status}): {error}")


def main() -> None:
    """The other side of `hand_over_apart`; what goes between the two is pickled."""
    os.nice(NICENESS)
    settings, email = pickle.load(sys.stdin.buffer)
    refused = hand_over(settings, email)
    sys.stdout.buffer.write(pickle.dumps((refused.later, refused.never, refused.reason)))


if __name__ == "__main__":
    main()
