# SPDX-License-Identifier: Apache-2.0
"""What a forwarded INVITE says of where the call has been: Diversion (RFC 5806) and History-Info (RFC 7044). Pure."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from switch.routing.number import number_of
from switch.sip.message.address import NameAddr
from switch.sip.message.errors import ParseError
from switch.sip.message.uri import Uri

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from switch.sip.message.message import HeaderLines, Request

__all__ = ["MOST_FORWARDS", "diverted", "diverted_by", "is_loop"]

MOST_FORWARDS: Final = 5
"""So often is a call forwarded; after that it goes to a mailbox or comes to nothing."""


def is_loop(request: Request | None, account: str, domains: Container[str]) -> bool:
    """Whether an account of ours should not forward a call: it has done so before, or everybody has too often.

    `request`: an INVITE of our own; None: somebody else's, whose marks may be whatever he likes and count for nothing.
    """
    diversions = _addresses(request, "Diversion")
    if len(diversions) >= MOST_FORWARDS:
        return True
    return any(_is_account(entry, account, domains) for entry in (*diversions, *_retargeted(request)))


def diverted(
    request: Request | None, account: str, domain: str, target: str, *, cause: int, reason: str
) -> tuple[HeaderLines, HeaderLines]:
    """Header lines of the INVITE that forwards a call: those to put before the request's own, and those after them.

    `request` as for `is_loop`.
    """
    first = [("Diversion", f"<{Uri('sip', account, domain)}>;reason={reason};counter=1")]
    indices = [index for index, _ in _history(request)]
    last: HeaderLines = []
    if not indices:
        indices = ["1"]
        last.append(("History-Info", f"<{Uri('sip', account, domain)}>;index=1"))
    parent = indices[-1]
    last.append(("History-Info", f"<{target};cause={cause}>;index={parent}.1;mp={parent}"))
    return first, last


def diverted_by(values: Sequence[str]) -> tuple[str, int]:
    """Why the last forward was made, and how many there were, by Diversion lines of our own."""
    reason = "unknown"
    with suppress(ParseError, IndexError):
        reason = NameAddr.parse(values[0]).params.get("reason") or reason
    return reason, max(1, len(values))


def _addresses(request: Request | None, name: str) -> list[NameAddr]:
    """The addresses of a header, but for those that cannot be read."""
    found: list[NameAddr] = []
    for value in () if request is None else request.values(name):
        try:
            found.append(NameAddr.parse(value))
        except ParseError:
            continue
    return found


def _history(request: Request | None) -> list[tuple[str, NameAddr]]:
    return [(entry.params.get("index") or "", entry) for entry in _addresses(request, "History-Info")]


def _retargeted(request: Request | None) -> list[NameAddr]:
    """Entries from which another one came: the last one only says whom the request is for."""
    history = _history(request)
    return [entry for index, entry in history if any(other.startswith(f"{index}.") for other, _ in history)]


def _is_account(entry: NameAddr, account: str, domains: Container[str]) -> bool:
    try:
        return number_of(entry.uri).text == account and entry.uri.host in domains
    except ParseError:
        return False
