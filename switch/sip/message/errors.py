# SPDX-License-Identifier: Apache-2.0
"""Errors of the protocol core: the peer's fault and our own fault are different types."""

from __future__ import annotations

__all__ = ["LocalProtocolError", "ParseError", "SipError"]


class SipError(Exception):
    """Anything that the protocol core raises."""


class ParseError(SipError):
    """The peer sent something unacceptable; `status` and `reason` say how to answer a request that did."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        """What is wrong, in words of ours: nothing of the message, so that it can be logged and sent."""


class LocalProtocolError(SipError):
    """Our own code asked for something that the protocol forbids in this state: a bug of ours."""
