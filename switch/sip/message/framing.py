# SPDX-License-Identifier: Apache-2.0
"""Messages cut out of a stream (RFC 3261 section 18.3), with the CRLF keep-alive of RFC 5626 section 4.4.1.

Each byte is looked at a bounded number of times however the stream is cut into pieces, and what is kept of it is
bounded by the size of one message.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from switch.sip.message.errors import ParseError
from switch.sip.message.grammar import whole_number
from switch.sip.message.parsing import BadMessageError, parse_message
from switch.sip.message.wire import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from switch.sip.message.message import Message

__all__ = ["PING", "StreamFramer"]

PING: Final = b""
"""What `feed` yields for a ping; a single CRLF answers it."""

MAX_HEADER_BYTES: Final = 32_768
_END: Final = b"\r\n\r\n"
# with continuation lines, 7.3.1
_CONTENT_LENGTH: Final = re.compile(
    rb"\n(?:[Cc][Oo][Nn][Tt][Ee][Nn][Tt]-[Ll][Ee][Nn][Gg][Tt][Hh]|[lL])[ \t]*:([^\r]*(?:\r\n[ \t][^\r]*)*)"
)


class StreamFramer:
    """The receiving half of one connection."""

    def __init__(self, *, max_header_bytes: int = MAX_HEADER_BYTES, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._max_header_bytes = max_header_bytes
        self._max_message_bytes = max_message_bytes
        self._buffer = bytearray()
        self._searched = 0
        """Up to here there is no end of the header."""
        self._size: int | None = None
        """Bytes of the message at the start of the buffer, once its header is complete."""
        self._is_broken = False

    @property
    def is_incomplete(self) -> bool:
        """Whether a message has begun of which the end has not come yet."""
        return bool(self._buffer) and self._buffer[0] not in b"\r\n"

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The messages that `data` completes, in order, and PING for each ping among them.

        The iterator raises ParseError where the stream cannot be cut any further; the connection is to be closed then,
        and what is fed later is ignored.
        """
        if not self._is_broken:
            self._buffer += data
        return self._pieces()

    def _pieces(self) -> Iterator[bytes]:
        buffer = self._buffer
        while buffer:
            if self._size is None:
                if buffer[0] in b"\r\n":
                    if buffer.startswith(_END):
                        del buffer[:4]
                        yield PING
                        continue
                    if _END.startswith(buffer):
                        return  # half a ping, or a line end before a message
                    if buffer.startswith(b"\r\n"):
                        del buffer[:2]  # 7.5
                        continue
                self._size = self._measure()
            if self._size is None or len(buffer) < self._size:
                return
            message = bytes(buffer[: self._size])
            del buffer[: self._size]
            self._searched, self._size = 0, None
            yield message

    def _measure(self) -> int | None:
        """The size of the message at the start of the buffer; None while its header is incomplete."""
        end = self._buffer.find(_END, self._searched)
        header_bytes = end + len(_END) if end >= 0 else len(self._buffer)
        if header_bytes > self._max_header_bytes:
            raise self._error("header too long", 513)
        if end < 0:
            self._searched = max(0, len(self._buffer) - len(_END) + 1)
            return None
        head = bytes(self._buffer[:header_bytes])
        lengths = {value.strip() for value in _CONTENT_LENGTH.findall(head)}
        if len(lengths) != 1:
            raise self._error("differing Content-Length" if lengths else "missing Content-Length", 400, head)
        length = whole_number(lengths.pop().decode("latin-1"), 9)
        if length is None:
            raise self._error("malformed Content-Length", 400, head)
        size = header_bytes + length
        if size > self._max_message_bytes:
            raise self._error("message too large", 513, head)
        return size

    def _error(self, reason: str, status: int, head: bytes = b"") -> ParseError:
        self._is_broken = True
        self._buffer.clear()
        return BadMessageError(reason, status, _read(head))


def _read(head: bytes) -> Message | None:
    """What can be told of a message whose end is unknown."""
    try:
        return parse_message(head)
    except BadMessageError as error:
        return error.message
    except ParseError:
        return None
