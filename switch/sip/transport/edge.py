# SPDX-License-Identifier: Apache-2.0
"""What every listener does with a whole message: flood limit, parsing, handing over."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from switch.sip.message.errors import ParseError
from switch.sip.message.message import Request, parse_message

if TYPE_CHECKING:
    from collections.abc import Callable

    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Response
    from switch.sip.transport.flood import FloodGuard

__all__ = ["Edge"]

log = logging.getLogger(__name__)


class Edge:
    """The border between bytes and messages; counts what crosses it."""

    def __init__(
        self,
        *,
        on_message: Callable[[Request | Response, Flow], None],
        on_malformed: Callable[[ParseError, Flow], None],
        flood: FloodGuard,
        clock: Callable[[], float],
        on_bytes: Callable[[Request | Response, Flow, bytes], None] | None = None,
    ) -> None:
        """`on_bytes` is told of each message before `on_message`, with the bytes that it was parsed from."""
        self._on_message = on_message
        self._on_bytes = on_bytes
        self._on_malformed = on_malformed
        self.flood = flood
        self.clock = clock
        self.received = 0
        self.malformed = 0

    def receive(self, data: bytes, flow: Flow) -> None:
        """Take one message in. This supervises: whatever a message triggers, the listener survives it."""
        self.received += 1
        try:
            self._take(data, flow)
        except Exception:
            log.exception("a message from %s:%d over %s could not be processed", *flow.remote, flow.transport)

    def hand_over(self, data: bytes, flow: Flow) -> None:
        """Take in a message of our own, which no flood limit counts."""
        try:
            message = parse_message(data)
            if self._on_bytes is not None:
                self._on_bytes(message, flow, data)
            self._on_message(message, flow)
        except Exception:
            log.exception("a message to ourselves could not be processed")

    def reject(self, error: ParseError, flow: Flow) -> None:
        """Report something that is no message."""
        self.malformed += 1
        try:
            self._on_malformed(error, flow)
        except Exception:
            log.exception("a malformed message from %s:%d could not be answered", *flow.remote)

    def _take(self, data: bytes, flow: Flow) -> None:
        # responses are never counted: they come from where we sent requests, as fast as we sent them
        if not data.startswith(b"SIP/2.0 ") and not self.flood.allows(
            flow.remote[0], self.clock(), is_proven=flow.is_reliable
        ):
            return
        try:
            message = parse_message(data)
        except ParseError as error:
            self.reject(error, flow)
            return
        if type(message) is Request and self.flood.is_scanner(message.get("User-Agent")):
            return
        if self._on_bytes is not None:
            self._on_bytes(message, flow, data)
        self._on_message(message, flow)
