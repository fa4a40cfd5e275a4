# SPDX-License-Identifier: Apache-2.0
"""Errors of the protocol core: the peer's fault and our own fault are different types."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from switch.sip.message.message import Message

__all__ = ["LocalProtocolError", "ParseError", "SipError"]


class SipError(Exception):
    """Anything that the protocol core raises."""


class ParseError(SipError):
    """The peer sent something unacceptable; `status` and `reason` say how to answer a request that did."""

    def __init__(self, reason: str, status: int = 400, message: Message | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        """What is wrong, in words of ours: nothing of the message, so that it can be logged and sent."""
        self.message = message
        """What could be read, as soon as there is a start line; `validate.error_reply` answers it where that is due."""


class LocalProtocolError(SipError):
    """Our own code asked for something that the protocol forbids in this state: a bug of ours."""
