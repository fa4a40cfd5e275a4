# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a request that has been parsed, and the answers to what has not (RFC 3261 8.2 and 16.3).

Both answers are built without state: the same request gets the same answer, To tag included (section 8.2.7), so that
they serve with and without a transaction.
"""

from __future__ import annotations

from hashlib import blake2s
from typing import TYPE_CHECKING, Final

from switch.sip.message.body import DESCRIPTION
from switch.sip.message.errors import ParseError
from switch.sip.message.grammar import split_list
from switch.sip.message.message import Request
from switch.sip.message.parsing import BadMessageError

if TYPE_CHECKING:
    from collections.abc import Collection

    from switch.sip.message.message import Response

__all__ = ["error_reply", "is_misrouted", "stateless_tag", "validate_request"]

_STANDARD_METHODS: Final = frozenset((
    "ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS", "PRACK", "PUBLISH", "REFER", "REGISTER",
    "SUBSCRIBE", "UPDATE",
))  # fmt: skip
_SESSION_METHODS: Final = frozenset(("INVITE", "PRACK", "UPDATE"))


def validate_request(
    request: Request,
    *,
    methods: Collection[str],
    extensions: Collection[str],
) -> Response | None:
    """The response that refuses a request, or None when it may go on; an ACK always may (17.1.1.3).

    `methods` are those that we implement, `extensions` the option tags; what bodies may hold says
    `switch/sip/message/body.py`.
    Max-Forwards counts where a request would be passed on: not for what ends here by its nature.
    """
    method = request.method
    if method == "ACK":
        return None
    if method not in methods:
        # 8.2.1 and 21.5.2: 405 for what we know of, 501 for what we do not
        status = 405 if method in _STANDARD_METHODS else 501
        return _refusal(request, status, [("Allow", ", ".join(methods))])
    uri = request.uri
    if not (uri.is_sip or uri.scheme == "tel" or uri.is_emergency):
        return _refusal(request, 416)
    try:
        return (
            _check_hops(request)
            or _check_extensions(request, extensions)
            or _check_content(request)
            or _check_accept(request)
        )
    except ParseError as error:
        return _refusal(request, error.status, reason=f"Bad Request - {error.reason}")


def _check_hops(request: Request) -> Response | None:
    return _refusal(request, 483) if request.max_forwards == 0 and _is_passed_on(request) else None


def _check_extensions(request: Request, extensions: Collection[str]) -> Response | None:
    """RFC 3261 section 8.2.2.3; a CANCEL requires nothing."""
    names = [name for name in ("Require", "Proxy-Require") if request.get(name) is not None]
    if not names or request.method == "CANCEL":
        return None
    unsupported = [tag for name in names for tag in request.values(name) if tag.lower() not in extensions]
    return _refusal(request, 420, [("Unsupported", ", ".join(unsupported))]) if unsupported else None


def _is_passed_on(request: Request) -> bool:
    """Whether the request is for somebody else: not our registrar, not a leg of ours, not the switch itself."""
    return request.method not in ("REGISTER", "CANCEL") and request.to_tag is None and request.uri.user is not None


def _check_content(request: Request) -> Response | None:
    """RFC 3261 section 8.2.3, for the bodies that we must understand; others travel untouched."""
    if not request.body or request.method not in _SESSION_METHODS:
        return None
    refusal = request.content.refusal
    return None if refusal is None else _refusal(request, refusal.status, refusal.headers)


def _check_accept(request: Request) -> Response | None:
    """RFC 4475 section 3.3.15: the answer to an INVITE holds a session description, which its sender must accept."""
    if request.method != "INVITE" or request.get("Accept") is None:
        return None
    accepted = {value.partition(";")[0].strip() for value in request.tokens("Accept")}
    if accepted & {"*/*", "application/*", DESCRIPTION}:
        return None
    return _refusal(request, 406, [("Accept", DESCRIPTION)])


def is_misrouted(message: Request | Response) -> bool:
    """RFC 3261 section 8.1.3.3: a response with more than our own Via was meant for somebody else; it is dropped."""
    vias = message.all("Via")
    return len(vias) > 1 or ("," in vias[0] and len(split_list(vias[0])) > 1)


def error_reply(error: ParseError) -> Response | None:
    """The answer to what could not be parsed; None for a response, an ACK, and what says not at all where it is from.

    It carries those of the header fields that a response needs which are there (RFC 4475 section 3.3.1): its sender
    matches it by Via and CSeq. It goes back over the flow that the request came by.
    """
    request = error.message if isinstance(error, BadMessageError) else None
    if not isinstance(request, Request) or request.method == "ACK" or request.get("Via") is None:
        return None
    if error.status == 400:
        return _refusal(request, 400, reason=f"Bad Request - {error.reason}")
    return _refusal(request, error.status)


def _refusal(
    request: Request, status: int, headers: Collection[tuple[str, str]] = (), reason: str | None = None
) -> Response:
    return request.response(status, reason, to_tag=stateless_tag(request), headers=headers)


def stateless_tag(request: Request) -> str:
    """The To tag of an answer that leaves no state behind: the same for the request when it comes again (8.2.7)."""
    get = request.get
    identity = f"{get('Via')}\n{get('Call-ID')}\n{get('From')}\n{get('CSeq')}"
    return blake2s(identity.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
