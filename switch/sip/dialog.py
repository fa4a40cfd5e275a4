# SPDX-License-Identifier: Apache-2.0
"""Dialogs (RFC 3261 section 12): what two peers remember between the requests of a call."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING

from switch.sip.message.address import NameAddr
from switch.sip.message.errors import ParseError
from switch.sip.message.flow import Flow
from switch.sip.message.host import bare
from switch.sip.message.message import Request
from switch.sip.message.uri import Uri
from switch.sip.ways import DEFAULT_PORT, anywhere

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from switch.sip.message.message import Message, Response
    from switch.sip.ways import Ways

__all__ = ["Dialog", "DialogId", "check_target"]

DialogId = tuple[str, str, str]
"""Call-ID, our tag, the peer's tag."""


@lru_cache(maxsize=4096)
def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_natted(request: Request, contact: Uri, flow: Flow) -> bool:
    """Whether only `flow` reaches the sender, because its own idea of its address is not what we see.

    Either its Via names another address or port than its packets come from, or its Contact is a private address while
    they come from a public one.
    """
    via = request.via
    host, port = flow.remote[:2]
    said = _address(bare(via.host))
    seen = _address(host)
    if said is not None and said != seen:
        return True
    # a TCP client connects from any port
    if not flow.is_reliable and "rport" in via.params and (via.port or DEFAULT_PORT) != port:
        return True
    reachable = _address(contact.address)
    return reachable is not None and seen is not None and reachable.is_private and not seen.is_private


class Dialog:
    """One dialog, early or confirmed, as one of its two ends keeps it."""

    __slots__ = (
        "_next_flow",
        "_routes",
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
        "ways",
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
        ways: Callable[[], Ways] = anywhere,
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
        self.flow = flow
        """Where the peer's last target refresh came from, or where our first request went."""
        self.natted = natted
        """The peer sits behind NAT: only `flow` reaches it, whatever its Contact says."""
        self.ways = ways
        """Gives what decides how much of what the peer writes is believed."""
        self._routes = route_set
        self._next_flow: Flow | None = None

    @classmethod
    def of_server(cls, request: Request, local_tag: str, flow: Flow, ways: Callable[[], Ways] = anywhere) -> Dialog:
        """The dialog of a request that we answer (RFC 3261 section 12.1.1); raises ParseError."""
        contact = check_target(request, flow, ways())
        local = request.get("To") or ""
        return cls(
            call_id=request.call_id,
            local=local if request.to_tag else f"{local};tag={local_tag}",
            local_tag=local_tag,
            remote=request.get("From") or "",
            remote_tag=request.from_tag or "",
            local_cseq=0,
            remote_cseq=request.cseq,
            remote_target=contact.uri_text,
            route_set=ways().route_set(_recorded(request), flow),
            flow=flow,
            natted=_is_natted(request, contact.uri, flow),
            ways=ways,
        )

    @classmethod
    def of_client(
        cls, request: Request, response: Response, flow: Flow, *, natted: bool, ways: Callable[[], Ways] = anywhere
    ) -> Dialog:
        """The dialog that a response with a To tag makes of our request (RFC 3261 section 12.1.2).

        A response must not be lost because its Contact or Record-Route is malformed: without them the peer is reached
        as the request was.
        """
        return cls(
            call_id=request.call_id,
            local=request.get("From") or "",
            local_tag=request.from_tag or "",
            remote=response.get("To") or "",
            remote_tag=response.to_tag or "",
            local_cseq=request.cseq,
            remote_cseq=None,
            remote_target=_target(response, flow, ways()) or request.uri_text,
            route_set=_route_set(response, flow, ways()),
            flow=flow,
            natted=natted,
            ways=ways,
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
        uri, routes = self.remote_target, self._routes
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
        if routes:
            lines += [("Route", route) for route in routes]
        lines += headers
        return Request(method, uri, lines, body)

    @property
    def route_set(self) -> Sequence[str]:
        """The proxies that every request of ours passes, nearest first."""
        return self._routes

    def next_flow(self) -> Flow:
        """Where the next request of this dialog goes (RFC 3261 section 8.1.2; behind NAT: RFC 5626)."""
        if self.flow.is_reliable or self.natted:
            return self.flow
        if self._next_flow is None:
            self._next_flow = self._asked()
        return self._next_flow

    def reconnect(self) -> bool:
        """The connection is lost: send over a new one to the peer's Contact or first route; False: there is no way.

        A peer behind NAT has to come back by itself, and one that was not reached by a new connection is gone.
        """
        if self.natted or not self.flow.connection:
            return False
        self.flow = Flow(self.flow.transport, self.flow.local, self.flow.remote)
        self.flow = self._asked()
        return True

    def _asked(self) -> Flow:
        """What is believed of where the peer says it is."""
        try:
            uri = NameAddr.parse(self._routes[0]).uri if self._routes else Uri.parse(self.remote_target)
        except ParseError:
            return self.flow
        return self.ways().next_hop(uri, self.flow)

    def accepts_cseq(self, request: Request) -> bool:
        """Whether the peer's request is in order (RFC 3261 section 12.2.2); remembers its number if so."""
        if self.remote_cseq is not None and request.cseq < self.remote_cseq:
            return False
        self.remote_cseq = request.cseq
        return True

    def refresh_target(self, message: Message, flow: Flow | None = None) -> None:
        """Take over the Contact of a target refresh: INVITE and UPDATE and their 2xx (RFC 3261 section 12.2.1.2).

        `flow` is where a request of the peer came from; a changed one is how a peer behind NAT moves.
        """
        ways = self.ways()
        self.remote_target = _target(message, flow or self.flow, ways) or self.remote_target
        if flow is not None and ways.follows(self.flow, flow):
            self.flow = flow
        self._next_flow = None

    def confirm(self, response: Response) -> None:
        """Take over what the 2xx says of the peer's whereabouts (RFC 3261 section 13.2.2.4)."""
        self._routes = _route_set(response, self.flow, self.ways())
        self.refresh_target(response)


def check_target(request: Request, flow: Flow, ways: Ways) -> NameAddr:
    """The Contact of a request that is to make a dialog; raises ParseError when a dialog cannot be made of it.

    A From without tag makes none (RFC 3261 section 8.1.1.3): what we send in it would be a request outside dialogs.
    """
    if not request.from_tag:
        raise ParseError("missing From tag")
    contact = request.contact
    if contact is None:
        raise ParseError("missing Contact")
    refusal = ways.target_refusal(contact.uri, flow)
    if refusal is not None:
        raise ParseError("Contact leads to a forbidden place", 403)
    _checked(_recorded(request))
    return contact


def _target(message: Message, flow: Flow, ways: Ways) -> str | None:
    """The URI of Contact; None when there is none that could be used."""
    try:
        contact = message.contact
        if contact is None or ways.target_refusal(contact.uri, flow) is not None:
            return None
    except ParseError:
        return None
    return contact.uri_text


def _recorded(message: Message) -> list[str]:
    return message.values("Record-Route") if message.get("Record-Route") is not None else []


def _checked(routes: list[str]) -> list[str]:
    """A route set that can be sent along; raises ParseError."""
    for route in routes[:1]:
        _ = NameAddr.parse(route).uri
    return routes


def _route_set(response: Response, flow: Flow, ways: Ways) -> list[str]:
    """The route set that a response gives its client: Record-Route in reverse order; empty if it cannot be used."""
    try:
        return ways.route_set(_checked(_recorded(response)[::-1]), flow)
    except ParseError:
        return []
