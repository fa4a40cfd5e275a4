# SPDX-License-Identifier: Apache-2.0
"""Names of header fields: the spelling that we use for each, and the compact forms (RFC 3261 section 7.3.3)."""

from __future__ import annotations

from typing import Final

__all__ = ["CANONICAL", "KNOWN", "canonical_name"]

_COMPACT: Final = {
    "a": "Accept-Contact", "b": "Referred-By", "c": "Content-Type", "d": "Request-Disposition", "e": "Content-Encoding",
    "f": "From", "i": "Call-ID", "j": "Reject-Contact", "k": "Supported", "l": "Content-Length", "m": "Contact",
    "n": "Identity-Info", "o": "Event", "r": "Refer-To", "s": "Subject", "t": "To", "u": "Allow-Events", "v": "Via",
    "x": "Session-Expires", "y": "Identity",
}  # fmt: skip
_NAMES: Final = (
    "Accept", "Accept-Encoding", "Accept-Language", "Alert-Info", "Allow", "Authentication-Info", "Authorization",
    "Call-Info", "Content-Disposition", "Content-ID", "Content-Language", "Content-Transfer-Encoding", "CSeq", "Date",
    "Diversion", "Error-Info", "Expires",
    "Flow-Timer", "Geolocation", "Geolocation-Routing", "History-Info", "In-Reply-To", "Info-Package", "Join",
    "Max-Breadth", "Max-Forwards", "MIME-Version", "Min-Expires", "Min-SE", "Organization", "P-Asserted-Identity",
    "P-Charging-Vector", "P-Preferred-Identity", "P-Served-User", "Path", "Priority", "Privacy", "Proxy-Authenticate",
    "Proxy-Authorization", "Proxy-Require", "RAck", "Reason", "Record-Route", "Recv-Info", "Refer-Sub",
    "Remote-Party-ID", "Replaces", "Reply-To", "Require", "Retry-After", "Route", "RSeq", "Server", "Service-Route",
    "Session-ID", "SIP-ETag", "SIP-If-Match", "Softswitch-Accepted", "Softswitch-Mark",
    "Subscription-State", "Target-Dialog", "Timestamp",
    "Unsupported", "User-Agent", "User-to-User", "Warning", "WWW-Authenticate",
    *_COMPACT.values(),
)  # fmt: skip
CANONICAL: Final = {
    **{name: name for name in _NAMES},
    **{name.lower(): name for name in _NAMES},
    **_COMPACT,
    **{compact.upper(): name for compact, name in _COMPACT.items()},
}
"""Every spelling that is met often to the usual one; `canonical_name` knows the others."""
KNOWN: Final = frozenset(_NAMES)


def canonical_name(name: str) -> str:
    """The usual spelling of a header name, compact forms expanded; unknown names stay as they are."""
    return CANONICAL.get(name) or CANONICAL.get(name.lower(), name)
