# SPDX-License-Identifier: Apache-2.0
"""Dialogs (RFC 3261 section 12): what two peers remember between the requests of a call."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

from switch.sip.address import NameAddr
from switch.sip.errors import ParseError
from switch.sip.flow import Flow
from switch.sip.message import Request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from switch.sip.message import Message, Response
    from switch.sip.uri import Uri

__all__ = ["Dialog", "DialogId", "literal_flow"]

DialogId = tuple[str, str, str]
"""Call-ID, our tag, the peer's tag."""

_DEFAULT_PORT: Final = 5060


def literal_flow(uri: Uri, flow: Flow) -> Flow:
    """The flow to a URI whose host is an IP address, over the socket of `flow`; `flow` itself for any other URI.

    A name in a Contact is not resolved: the peer's own messages came over `flow`, so it leads there.
    """
    if not uri.is_sip or (uri.transport or flow.transport) != flow.transport:
        return flow
    host = uri.params.get("maddr") or uri.address
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return flow
    remote = (host, uri.port or _DEFAULT_PORT)
    return flow if remote == flow.remote else Flow(flow.transport, flow.local, remote)


def _is_natted(request: Request) -> bool:
    """Whether the sender's own idea of its address differs from where its packets come from."""
    return "received" in request.via.params or request.via.params.get("rport") not in (
        None,
        str(request.via.port or _DEFAULT_PORT),
    )


class Dialog:
    """One dialog, early or confirmed, as one of its two ends keeps it."""

    __slots__ = (
        "call_id",
        "flow",
        "local",
        "local_cseq",
        "local_tag",
        "natted",
        "remote",
        "remote_cseq",
        "remote_tag",
        "remote_target",
        "route_set",
    )

    def __init__(
        self,
        *,
        call_id: str,
        local: str,
        local_tag: str,
        remote: str,
        remote_tag: str,
        local_cseq: int,
        remote_cseq: int | None,
        remote_target: str,
        route_set: list[str],
        flow: Flow,
        natted: bool,
    ) -> None:
        self.call_id = call_id
        self.local = local
        """Our From or To, with its tag."""
        self.local_tag = local_tag
        self.remote = remote
        """The peer's From or To, with its tag."""
        self.remote_tag = remote_tag
        self.local_cseq = local_cseq
        self.remote_cseq = remote_cseq
        self.remote_target = remote_target
        self.route_set = route_set
        self.flow = flow
        """Where the peer's last message came from, or where its first request went."""
        self.natted = natted
        """The peer sits behind NAT: only `flow` reaches it, whatever its Contact says."""

    @classmethod
    def of_server(cls, request: Request, local_tag: str, flow: Flow) -> Dialog:
        """The dialog of a request that we answer (RFC 3261 section 12.1.1)."""
        contact = request.contact
        if contact is None:
            raise ParseError("missing Contact")
        local = request.to if request.to_tag else request.to.with_tag(local_tag)
        return cls(
            call_id=request.call_id,
            local=str(local),
            local_tag=local_tag,
            remote=request.get("From") or "",
            remote_tag=request.from_tag or "",
            local_cseq=0,
            remote_cseq=request.cseq,
            remote_target=contact.uri_text,
            route_set=request.values("Record-Route"),
            flow=flow,
            natted=_is_natted(request),
        )

    @classmethod
    def of_client(cls, request: Request, response: Response, flow: Flow, *, natted: bool) -> Dialog:
        """The dialog that a response with a To tag makes of our request (RFC 3261 section 12.1.2)."""
        contact = response.contact
        return cls(
            call_id=request.call_id,
            local=request.get("From") or "",
            local_tag=request.from_tag or "",
            remote=response.get("To") or "",
            remote_tag=response.to_tag or "",
            local_cseq=request.cseq,
            remote_cseq=None,
            remote_target=contact.uri_text if contact else request.uri_text,
            route_set=response.values("Record-Route")[::-1],
            flow=flow,
            natted=natted,
        )

    @property
    def id(self) -> DialogId:
        """What in-dialog requests of the peer are matched by."""
        return (self.call_id, self.local_tag, self.remote_tag)

    def request(
        self, method: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"", *, cseq: int | None = None
    ) -> Request:
        """A request within the dialog (RFC 3261 section 12.2.1.1); `cseq` is given for ACK only."""
        if cseq is None:
            self.local_cseq += 1
            cseq = self.local_cseq
        uri, routes = self.remote_target, self.route_set
        if routes and "lr" not in NameAddr.parse(routes[0]).uri.params:
            # RFC 3261 12.2.1.1: a strict router wants itself as Request-URI and the target as the last route
            uri, routes = NameAddr.parse(routes[0]).uri_text, [*routes[1:], f"<{self.remote_target}>"]
        lines = [
            ("Max-Forwards", "70"),
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq} {method}"),
        ]
        lines += [("Route", route) for route in routes]
        lines += headers
        return Request(method, uri, lines, body)

    def next_flow(self) -> Flow:
        """Where the next request of this dialog goes (RFC 3261 section 8.1.2; behind NAT: RFC 5626)."""
        if self.flow.is_reliable or self.natted:
            return self.flow
        try:
            uri = NameAddr.parse(self.route_set[0]).uri if self.route_set else NameAddr("", self.remote_target).uri
        except ParseError:
            return self.flow
        return literal_flow(uri, self.flow)

    def accepts_cseq(self, request: Request) -> bool:
        """Whether the peer's request is in order (RFC 3261 section 12.2.2); remembers its number if so."""
        if self.remote_cseq is not None and request.cseq < self.remote_cseq:
            return False
        self.remote_cseq = request.cseq
        return True

    def refresh_target(self, message: Message) -> None:
        """Take over the Contact of a target refresh: INVITE and UPDATE and their 2xx (RFC 3261 section 12.2.1.2)."""
        contact = message.contact
        if contact is not None:
            self.remote_target = contact.uri_text
