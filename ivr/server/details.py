# SPDX-License-Identifier: Apache-2.0
"""What an INVITE says to an application (RFC 4458, RFC 5502, RFC 3325)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from ivr.verbs import ANONYMOUS, CallDetails
from switch.sip.message.address import NameAddr
from switch.sip.message.errors import ParseError
from switch.sip.message.grammar import whole_number
from switch.sip.message.uri import Uri

if TYPE_CHECKING:
    from collections.abc import Mapping

    from switch.sip.message.message import Request

__all__ = ["call_details"]

_OURS: Final = frozenset({"target", "cause", "transport", "user", "maddr", "ttl", "lr", "method", "language"})
"""URI parameters that are no parameters of applications."""


def call_details(request: Request, *, language: str) -> CallDetails:
    """Raises ParseError where the request URI is none of SIP. Headers that make no sense count as absent.

    `language`: where the switch names none.
    """
    uri = request.uri
    params = {name: unquote(value or "") for name, value in uri.params.items()}
    caller = _asserted(request)
    return CallDetails(
        call_id=request.call_id,
        application=(uri.user or "").lower(),
        caller=(caller.uri.user or ANONYMOUS) if caller is not None else ANONYMOUS,
        caller_name=caller.display if caller is not None else "",
        account=_user(request.get("P-Served-User")),
        target=_target(params),
        cause=whole_number(params.get("cause") or "", 3),
        dialled=request.to.uri.user or "",
        language=params.get("language") or language,
        has_language=bool(params.get("language")),
        parameters={name: value for name, value in params.items() if name not in _OURS},
    )


def _asserted(request: Request) -> NameAddr | None:
    """Who calls: as the switch asserts it (RFC 3325), else From; None where that is withheld."""
    for value in request.values("P-Asserted-Identity"):
        try:
            found = NameAddr.parse(value)
            if found.uri.user:
                return found
        except ParseError:
            continue
    sender = request.from_
    return sender if sender.uri.user and sender.uri.user != ANONYMOUS else None


def _user(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        return NameAddr.parse(value).uri.user
    except ParseError:
        return None


def _target(params: Mapping[str, str]) -> str | None:
    """The user of the target URI (RFC 4458 section 2); a bare number is taken too."""
    text = params.get("target", "")
    if not text:
        return None
    if ":" not in text:
        return text
    try:
        return Uri.parse(text).user
    except ParseError:
        return None
