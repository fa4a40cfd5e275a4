# SPDX-License-Identifier: Apache-2.0
"""What every listener does with a whole message: flood limit, parsing, handing over."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from switch.sip.message.errors import ParseError
from switch.sip.message.message import Request
from switch.sip.message.parsing import parse_message

if TYPE_CHECKING:
    from collections.abc import Callable

    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Response
    from switch.sip.transport.flood import FloodGuard

__all__ = ["Edge"]

log = logging.getLogger(__name__)

Taken = TypeVar("Taken")


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
        """Take one message in."""
        self.received += 1
        self._survive(self._take, data, flow)

    def hand_over(self, data: bytes, flow: Flow) -> None:
        """Take in a message of our own, which no flood limit counts."""
        self._survive(self._parse, data, flow)

    def reject(self, error: ParseError, flow: Flow) -> None:
        """Report something that is no message."""
        self.malformed += 1
        self._survive(self._on_malformed, error, flow)

    def _survive(self, take: Callable[[Taken, Flow], None], taken: Taken, flow: Flow) -> None:
        """This supervises: whatever a message triggers, the listener survives it."""
        try:
            take(taken, flow)
        except Exception:
            log.exception("a message from %s:%d over %s could not be processed", *flow.remote, flow.transport)

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
        self._pass_on(message, data, flow)

    def _parse(self, data: bytes, flow: Flow) -> None:
        self._pass_on(parse_message(data), data, flow)

    def _pass_on(self, message: Request | Response, data: bytes, flow: Flow) -> None:
        if self._on_bytes is not None:
            self._on_bytes(message, flow, data)
        self._on_message(message, flow)
