# SPDX-License-Identifier: Apache-2.0
"""Which transaction a message belongs to, and where responses go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from switch.sip.message.address import MAGIC_COOKIE, Via
from switch.sip.message.flow import Flow
from switch.sip.message.host import bare
from switch.sip.message.message import Request

if TYPE_CHECKING:
    from switch.sip.message.message import Response
    from switch.sip.transaction.states import Key

__all__ = ["merge_key", "response_flow", "server_key", "stamp_via"]


def server_key(message: Request | Response, method: str) -> Key:
    """By what a server transaction is found, had the request this method; a response of ours has the same.

    ACK and CANCEL ask for "INVITE". A branch with the magic cookie, Call-ID, From tag and CSeq number identify it. RFC
    3261 17.2.3 has sent-by in the place of the last three, against two clients with one branch; but a phone may learn
    its own address between INVITE and CANCEL, while nobody else knows a Call-ID and tag of its choice.

    A branch without the cookie comes from an RFC 2543 element; then the whole request identifies the transaction. The
    To tag is left out of that, because that of an ACK is our own.
    """
    via = message.via
    branch = via.params.get("branch") or ""
    if branch.startswith(MAGIC_COOKIE):
        return (branch, method, message.call_id, message.from_tag, message.cseq)
    uri = message.uri_text if isinstance(message, Request) else None
    return (branch, via.host.lower(), via.port, method, message.call_id, message.from_tag, message.cseq, uri)


def merge_key(request: Request) -> Key | None:
    """By what copies of a request that came by several ways are known (8.2.2.2); None inside a dialog."""
    if request.to_tag is not None:
        return None
    return (request.call_id, request.from_tag, request.cseq, request.method)


def stamp_via(request: Request, flow: Flow) -> None:
    """Note in the top Via where the request came from (18.2.1, RFC 3581 section 4)."""
    via = request.via
    host, port = flow.remote[:2]
    if "rport" in via.params:
        params = {**via.params, "rport": str(port), "received": host}
    elif bare(via.host) == host:
        if "received" not in via.params:
            return
        params = {name: value for name, value in via.params.items() if name != "received"}
    else:
        params = {**via.params, "received": host}
    request.replace_via(Via(via.transport, via.host, via.port, params))


def response_flow(request: Request, flow: Flow) -> Flow:
    """Where responses go (18.2.2, RFC 3581): back on the connection; over UDP to the source address, and to the source
    port if the client asked for it with `rport`, to that of its Via otherwise.

    `maddr` is not obeyed: it would let anybody aim our responses at somebody else.
    """
    via = request.via
    if flow.transport != "udp" or "rport" in via.params:
        return flow
    port = via.port or 5060
    return flow if port == flow.remote[1] else Flow(flow.transport, flow.local, (flow.remote[0], port))
