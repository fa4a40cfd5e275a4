# SPDX-License-Identifier: Apache-2.0
"""What a REFER asks for (RFC 3515, 4488), and which dialog is to be replaced (RFC 3891). Pure.

A Refer-To URI may bring any header field for the INVITE that it asks for. Only Replaces is read; we write our own
INVITE, so none of the others goes anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from switch.sip.message.address import NameAddr
from switch.sip.message.errors import ParseError
from switch.sip.message.grammar import parse_params

if TYPE_CHECKING:
    from switch.sip.message.message import Request
    from switch.sip.message.uri import Uri

__all__ = ["REFER_EVENT", "Referred", "Replaced", "read_refer", "referred_by", "replaced_dialog"]

REFER_EVENT: Final = "refer"
_SCHEMES: Final = frozenset({"sip", "sips", "tel"})


@dataclass(frozen=True, slots=True)
class Replaced:
    """A dialog that somebody is to take over, as the one who is asked keeps it."""

    call_id: str
    local_tag: str
    """Of the header's to-tag: ours, where the dialog is ours."""
    remote_tag: str
    early_only: bool = False
    """Not where it is answered already."""


@dataclass(frozen=True, slots=True)
class Referred:
    """What a REFER asks for."""

    uri: Uri
    """Who is to be called; without headers."""
    replaced: Replaced | None
    """The call that is to be taken over: the transfer is an attended one."""
    is_told: bool
    """Its sender wants to hear how it goes."""


def read_refer(request: Request) -> Referred:
    """Read a REFER; raises ParseError with the status that answers one that cannot be done by anybody."""
    lines = request.all("Refer-To")
    if len(lines) != 1:
        raise ParseError("a REFER has one Refer-To")
    uri = NameAddr.parse(lines[0]).uri
    if uri.scheme not in _SCHEMES:
        raise ParseError("unknown scheme in Refer-To", status=416)
    if (uri.params.get("method") or "INVITE").upper() != "INVITE":
        raise ParseError("Refer-To asks for no call", status=403)
    asked = (request.get("Refer-Sub") or "true").partition(";")[0].strip().lower()
    return Referred(replace(uri, headers=""), _replaced_in(uri.headers), is_told=asked != "false")


def _replaced_in(headers: str) -> Replaced | None:
    """The Replaces among the headers of a URI."""
    pairs = (pair.partition("=") for pair in headers.split("&"))
    found = [unquote(value) for name, _, value in pairs if unquote(name).strip().lower() == "replaces"]
    if len(found) > 1:
        raise ParseError("several Replaces")
    return _parse(found[0]) if found else None


def replaced_dialog(request: Request) -> Replaced | None:
    """The dialog that an INVITE is to replace; None: it is a call of its own. Raises ParseError."""
    lines = request.all("Replaces")
    if len(lines) > 1:
        raise ParseError("several Replaces")
    return _parse(lines[0]) if lines else None


def _parse(text: str) -> Replaced:
    call_id, semicolon, tail = text.strip().partition(";")
    params = parse_params(semicolon + tail)
    to_tag, from_tag = params.get("to-tag"), params.get("from-tag")
    if not call_id.strip() or not to_tag or not from_tag:
        raise ParseError("malformed Replaces")
    return Replaced(call_id.strip(), to_tag, from_tag, "early-only" in params)


def referred_by(request: Request) -> str:
    """Who is said to have asked for a call (RFC 3892), for people to read; nothing follows from it."""
    try:
        found = request.get("Referred-By")
        return "" if found is None else str(NameAddr.parse(found).uri)
    except ParseError:
        return ""
