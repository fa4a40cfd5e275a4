# SPDX-License-Identifier: Apache-2.0
"""Why, in words of SIP and of ISUP: phrases of a status, causes of Q.850 (RFC 3398, 4497), the Reason header (3326)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from switch.sip.message.errors import ParseError
from switch.sip.message.grammar import is_token, parse_params, quote, split_list, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["is_readable_reason", "q850_cause", "reason", "reason_cause", "reason_phrase"]

REASONS: Final = {
    100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 182: "Queued", 183: "Session Progress",
    199: "Early Dialog Terminated", 200: "OK", 202: "Accepted", 204: "No Notification",
    300: "Multiple Choices", 301: "Moved Permanently", 302: "Moved Temporarily", 305: "Use Proxy",
    380: "Alternative Service", 400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden",
    404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable", 407: "Proxy Authentication Required",
    408: "Request Timeout", 410: "Gone", 412: "Conditional Request Failed", 413: "Request Entity Too Large",
    414: "Request-URI Too Long", 415: "Unsupported Media Type", 416: "Unsupported URI Scheme",
    417: "Unknown Resource-Priority", 420: "Bad Extension", 421: "Extension Required",
    422: "Session Interval Too Small", 423: "Interval Too Brief", 424: "Bad Location Information",
    428: "Use Identity Header", 429: "Provide Referrer Identity", 430: "Flow Failed", 433: "Anonymity Disallowed",
    436: "Bad Identity Info", 437: "Unsupported Credential", 438: "Invalid Identity Header",
    439: "First Hop Lacks Outbound Support", 440: "Max-Breadth Exceeded", 469: "Bad Info Package",
    480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 482: "Loop Detected",
    483: "Too Many Hops", 484: "Address Incomplete",
    485: "Ambiguous", 486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here", 489: "Bad Event",
    491: "Request Pending", 493: "Undecipherable", 494: "Security Agreement Required", 500: "Server Internal Error",
    501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Server Time-out",
    505: "Version Not Supported", 513: "Message Too Large", 580: "Precondition Failure", 600: "Busy Everywhere",
    603: "Decline", 604: "Does Not Exist Anywhere", 606: "Not Acceptable", 607: "Unwanted", 608: "Rejected",
}  # fmt: skip

# RFC 3261 section 21: an unknown status is treated as x00 of its class
_CLASSES: Final = {1: "Session Progress", 2: "OK", 3: "Redirect", 4: "Client Error", 5: "Server Error"}

# RFC 3398 section 8.2.6.1 read from SIP to ISUP
_CAUSES: Final = {
    400: 41, 401: 21, 402: 21, 403: 21, 404: 1, 405: 63, 406: 79, 407: 21, 408: 102, 410: 22, 413: 127, 414: 127,
    415: 79, 416: 127, 420: 127, 421: 127, 422: 127, 423: 127, 480: 18, 481: 41, 482: 25, 483: 25, 484: 28, 485: 1,
    486: 17, 487: 16, 488: 88, 500: 41, 501: 79, 502: 38, 503: 41, 504: 102, 505: 127, 513: 127, 580: 47, 600: 17,
    603: 21, 604: 1, 606: 88,
}  # fmt: skip

_MOST: Final = 127
"""A cause of Q.850 has seven bits."""


def reason_phrase(status: int) -> str:
    """The usual reason phrase of a status, that of its class for an unknown one."""
    return REASONS.get(status) or _CLASSES.get(status // 100, "Global Failure")


def q850_cause(status: int) -> int:
    """The Q.850 cause of a final SIP status; 16 (normal clearing) for 2xx, 31 where RFC 3398 names none."""
    if status < 300:
        return 16
    return _CAUSES.get(status, 31)


def reason(cause: int, text: str = "") -> tuple[str, str]:
    """A Reason header line with a Q.850 cause."""
    said = f";text={quote(text)}" if text else ""
    return "Reason", f"Q.850;cause={cause}{said}"


def reason_cause(lines: Iterable[str]) -> int | None:
    """The Q.850 cause that Reason lines carry; None without one that can be read. Raises nothing."""
    for line in lines:
        for protocol, params in _reasons(line):
            if protocol == "Q.850":
                cause = whole_number(params.get("cause") or "", 3)
                return cause if cause is not None and 1 <= cause <= _MOST else None
    return None


def is_readable_reason(line: str) -> bool:
    """Whether a Reason line says what others can read: it may go on to the other party."""
    found = _reasons(line)
    causes = [params["cause"] for _, params in found if "cause" in params]
    return bool(found) and all(whole_number(cause or "", 3) is not None for cause in causes)


def _reasons(line: str) -> list[tuple[str, dict[str, str | None]]]:
    """Protocol and parameters of each value; none of a line that is malformed."""
    found = []
    try:
        for value in split_list(line):
            protocol, semicolon, rest = value.partition(";")
            if not is_token(protocol.strip()):
                return []
            found.append((protocol.strip().upper(), parse_params(semicolon + rest)))
    except ParseError:
        return []
    return found
