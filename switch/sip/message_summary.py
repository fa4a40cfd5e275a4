# SPDX-License-Identifier: Apache-2.0
"""The event package message-summary (RFC 3842): what a phone's message lamp shows. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["CONTENT_TYPE", "NO_MESSAGES", "PACKAGE", "MessageCounts", "message_summary"]

PACKAGE: Final = "message-summary"
CONTENT_TYPE: Final = "application/simple-message-summary"


class MessageCounts(NamedTuple):
    """How many messages a mailbox holds; urgent ones are counted in the first two as well."""

    new: int
    old: int
    new_urgent: int
    old_urgent: int


NO_MESSAGES: Final = MessageCounts(0, 0, 0, 0)


def message_summary(account: str, counts: MessageCounts) -> bytes:
    """The body of a NOTIFY (section 5.2); `account` is the URI of the mailbox's owner."""
    waiting = "yes" if counts.new else "no"
    return (
        f"Messages-Waiting: {waiting}\r\n"
        f"Message-Account: {account}\r\n"
        f"Voice-Message: {counts.new}/{counts.old} ({counts.new_urgent}/{counts.old_urgent})\r\n"
    ).encode()
