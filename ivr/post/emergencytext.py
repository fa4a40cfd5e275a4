# SPDX-License-Identifier: Apache-2.0
"""The e-mail that tells of a call for help. Pure."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import TYPE_CHECKING

from ivr.post.mailheader import set_sender, set_text

if TYPE_CHECKING:
    from billing_client.emergencies import EmergencyEmail

__all__ = ["compose_emergency"]


def compose_emergency(email: EmergencyEmail, sender: str) -> EmailMessage:
    """To all recipients; made again it is the same, Message-ID and Date included."""
    note = email.note
    message = EmailMessage()
    set_sender(message, sender)
    message["To"] = ", ".join(email.recipients)
    set_text(message, "Subject", f"Emergency call: {note.account} of {note.customer} dialled {note.dialled}")
    message["Date"] = format_datetime(email.queued_at)
    message["Message-ID"] = f"<{email.message_id}@{parseaddr(sender)[1].rpartition('@')[2] or 'localhost'}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday notice answers
    facts = (
        ("Account", note.account),
        ("Customer", note.customer),
        ("Dialled", note.dialled),
        ("At", f"{email.queued_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Call back", note.callback or "the account's number"),
        ("Location", note.location or "not known"),
        ("Gateways", note.gateways or "none: nobody was reached"),
    )
    message.set_content("\n".join(f"{label + ':':<11}{value}" for label, value in facts) + "\n")
    return message
