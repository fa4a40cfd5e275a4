# SPDX-License-Identifier: Apache-2.0
"""What a receipt says in each language: the e-mail, and the short message. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import TYPE_CHECKING

from billing_client.rules.currencies import amount_text
from ivr.post.mailheader import set_sender, set_text
from ivr.post.mailtext import LANGUAGES as DATES
from ivr.post.mailtext import zone

if TYPE_CHECKING:
    from decimal import Decimal

    from billing_client.vouchers.receipts import Receipt

__all__ = ["LANGUAGES", "compose_receipt", "short_text"]


@dataclass(frozen=True, slots=True)
class Words:
    """A language of receipts."""

    subject: str
    opening: str
    account: str
    amount: str
    available: str
    recharged: str
    expires: str
    short: str


LANGUAGES = {
    "en": Words(
        subject="Your account {account} was recharged with {amount}",
        opening="Thank you. Your account was recharged.",
        account="Account",
        amount="Amount",
        available="Available",
        recharged="Recharged",
        expires="Expires on",
        short="Account {account} was recharged with {amount}. Available: {available}.",
    ),
    "cs": Words(
        subject="Váš účet {account} byl dobit částkou {amount}",
        opening="Děkujeme. Váš účet byl dobit.",
        account="Účet",
        amount="Částka",
        available="K dispozici",
        recharged="Dobito",
        expires="Platnost končí",
        short="Účet {account} byl dobit částkou {amount}. K dispozici: {available}.",
    ),
}


def compose_receipt(receipt: Receipt, sender: str, language: str) -> EmailMessage:
    """The e-mail to all recipients; made again it is the same, Message-ID and Date included.

    `language` is that of receipts whose own is not spoken here.
    """
    name = _language(receipt.language, language)
    words, at = LANGUAGES[name], receipt.queued_at.astimezone(zone(receipt.timezone))
    amount = _money(receipt.amount, receipt.currency)
    message = EmailMessage()
    set_sender(message, sender)
    message["To"] = ", ".join(receipt.recipients)
    set_text(message, "Subject", words.subject.format(account=receipt.account, amount=amount))
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<{receipt.message_id}@{parseaddr(sender)[1].rpartition('@')[2] or 'localhost'}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday notice answers
    facts = [
        (words.account, receipt.account),
        (words.amount, amount),
        (words.available, _money(receipt.available, receipt.currency)),
        (words.recharged, DATES[name].date(at)),
    ]
    if receipt.expires_on is not None:
        facts.append((words.expires, receipt.expires_on.isoformat()))
    width = max(len(label) for label, _ in facts) + 2
    lines = [words.opening, "", *(f"{label + ':':<{width}}{value}" for label, value in facts), ""]
    message.set_content("\n".join(lines))
    return message


def short_text(receipt: Receipt, language: str) -> str:
    """The same in a short message."""
    words = LANGUAGES[_language(receipt.language, language)]
    return words.short.format(
        account=receipt.account,
        amount=_money(receipt.amount, receipt.currency),
        available=_money(receipt.available, receipt.currency),
    )


def _language(*languages: str) -> str:
    """The first that there is, "cs" for "cs-CZ" too."""
    names = (name for language in languages for name in (language, language.partition("-")[0]))
    return next((name for name in names if name in LANGUAGES), "en")


def _money(amount: Decimal, currency: str) -> str:
    return f"{amount_text(amount, currency)} {currency}"
