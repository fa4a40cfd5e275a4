# SPDX-License-Identifier: Apache-2.0
"""Which header lines cross from one leg to the other: all, but for those that belong to a hop, a dialog or to us."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from switch.sip.grammar import quote, whole_number

if TYPE_CHECKING:
    from switch.sip.message import HeaderLines, Message

__all__ = ["crossing", "extensions", "reason", "reason_cause"]

_STAYS: Final = frozenset(
    {
        # hop and dialog (RFC 3261)
        "Via", "Route", "Record-Route", "Path", "Max-Forwards", "From", "To", "Call-ID", "CSeq", "Contact",
        "Content-Length", "Content-Type", "Timestamp", "RSeq", "RAck", "Service-Route",
        # credentials and challenges concern one leg
        "Authorization", "Proxy-Authorization", "WWW-Authenticate", "Proxy-Authenticate", "Authentication-Info",
        "Proxy-Require",
        # negotiated on each leg by itself
        "Supported", "Require", "Unsupported", "Allow", "Session-Expires", "Min-SE",
        # identities that only we may assert (RFC 3325), and names of dialogs that the other side does not know
        "P-Asserted-Identity", "P-Preferred-Identity", "P-Served-User", "Remote-Party-ID", "Replaces", "Join", "Server",
        # what the media server and we know each other by (switch/sip/mark.py)
        "Softswitch-Mark",
    }
)  # fmt: skip

_OURS: Final = frozenset({"timer", "outbound", "path", "gruu", "replaces"})


def crossing(message: Message) -> HeaderLines:
    """The header lines of a message that the other leg gets untouched."""
    return [line for line in message.headers if line[0] not in _STAYS]


def extensions(message: Message, name: str) -> list[str]:
    """Option tags of Supported or Require that concern the far end and not us."""
    return [tag for tag in message.values(name) if tag.lower() not in _OURS]


def reason(cause: int, text: str) -> tuple[str, str]:
    """A Reason header line with a Q.850 cause (RFC 3326)."""
    return ("Reason", f"Q.850;cause={cause};text={quote(text)}")


def reason_cause(message: Message) -> int | None:
    """The Q.850 cause that a message carries."""
    for value in message.values("Reason"):
        protocol, _, rest = value.partition(";")
        if protocol.strip().upper() == "Q.850":
            for item in rest.split(";"):
                name, _, number = item.partition("=")
                if name.strip().lower() == "cause":
                    return whole_number(number.strip(), 3)
    return None
