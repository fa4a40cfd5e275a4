# SPDX-License-Identifier: Apache-2.0
"""Header lines of e-mails that hold letters beyond ASCII.

Python's own folding forgets the space between two words where it begins a new line of encoded words, which readers join
without one (RFC 2047 section 6.2). So these lines are encoded here and given to the message as they are.
"""

from __future__ import annotations

from email.header import Header
from email.utils import formataddr, parseaddr
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from email.message import EmailMessage

__all__ = ["set_sender", "set_text"]


def set_text(message: EmailMessage, name: str, text: str) -> None:
    """An unstructured line, such as Subject; `text` holds no line end."""
    message.set_raw(name, Header(text, None if text.isascii() else "utf-8", header_name=name).encode())


def set_sender(message: EmailMessage, sender: str) -> None:
    """From: an address, or a name and an address."""
    name, address = parseaddr(sender)
    if name.isascii():
        message.set_raw("From", formataddr((name, address)))
    else:
        message.set_raw("From", f"{Header(name, 'utf-8', header_name='From').encode()}\n <{address}>")
