# SPDX-License-Identifier: Apache-2.0
"""The registrar's decision: from a REGISTER and the bindings so far to the new bindings and the answer. Pure.

RFC 3261 section 10.3, with Path (RFC 3327) and the instance and reg-id of Outbound (RFC 5626). All of a request is done
or nothing of it. `now` is in epoch seconds, because bindings outlive processes.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING, Final, Protocol

from switch.sip.address import NameAddr
from switch.sip.errors import ParseError
from switch.sip.grammar import unquote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from switch.sip.flow import Flow
    from switch.sip.message import Request, Response
    from switch.sip.uri import Uri

__all__ = ["Binding", "Registration", "RegistrationLimits", "binding_key", "register"]

_DEFAULT_PORTS: Final = {"sip": 5060, "sips": 5061}


class RegistrationLimits(Protocol):
    """What a registrar allows; times in seconds."""

    @property
    def min_expires(self) -> int:
        """Shorter is refused with 423."""

    @property
    def default_expires(self) -> int:
        """For contacts that ask for nothing."""

    @property
    def max_expires(self) -> int:
        """Longer is cut down to this."""

    @property
    def max_contacts(self) -> int:
        """Of one address of record."""


@dataclass(frozen=True, slots=True)
class Binding:
    """One contact of an address of record."""

    key: str
    """Unique within the address of record; see `binding_key`."""
    contact: str
    """The URI, as registered."""
    received: str | None
    """`transport:host:port` that the REGISTER came from, where the contact's own address is not reachable (NAT)."""
    path: tuple[str, ...]
    expires_at: float
    q: float
    call_id: str
    cseq: int
    instance: str | None
    reg_id: int | None
    user_agent: str


@dataclass(frozen=True, slots=True)
class Registration:
    """What a REGISTER leads to."""

    response: Response
    bindings: tuple[Binding, ...]
    """All bindings of the address of record afterwards."""
    upserts: tuple[Binding, ...] = ()
    removals: tuple[str, ...] = ()
    """Keys."""


def binding_key(uri: Uri, instance: str | None, reg_id: int | None) -> str:
    """What makes two registrations the same: instance and reg-id (RFC 5626), or equal URIs (RFC 3261 19.1.4)."""
    if instance is not None and reg_id is not None:
        return f"{instance};{reg_id}"
    port = uri.port or _DEFAULT_PORTS.get(uri.scheme, 0)
    transport = f";transport={uri.transport}" if uri.transport else ""
    return f"{uri.scheme}:{uri.user or ''}@{uri.host.lower()}:{port}{transport}"


def register(
    request: Request, flow: Flow, current: Sequence[Binding], limits: RegistrationLimits, now: float, to_tag: str
) -> Registration:
    """Process an authenticated REGISTER; `current` are the bindings of its address of record, expired ones included."""
    live = {binding.key: binding for binding in current if binding.expires_at > now}
    try:
        if any(value.strip() == "*" for value in request.all("Contact")):
            return _remove_all(request, live, now, to_tag)
        wanted = [_binding(request, contact, flow, limits, now) for contact in _contacts(request)]
    except ParseError as error:
        return Registration(request.response(error.status, error.reason, to_tag=to_tag), tuple(live.values()))
    except _TooBriefError:
        headers = [("Min-Expires", str(limits.min_expires))]
        return Registration(request.response(423, to_tag=to_tag, headers=headers), tuple(live.values()))
    if any(_is_stale(live.get(binding.key), request) for binding in wanted):
        return _out_of_order(request, live, to_tag)
    removals = [binding.key for binding in wanted if binding.expires_at <= now and binding.key in live]
    upserts = {binding.key: binding for binding in wanted if binding.expires_at > now}
    for key in removals:
        live.pop(key, None)
    live.update(upserts)
    # a phone that comes back with a new port must not be locked out by its own old contacts: the oldest give way
    surplus = sorted((key for key in live if key not in upserts), key=lambda key: live[key].expires_at)
    while len(live) > limits.max_contacts and surplus:
        removals.append(surplus.pop(0))
        del live[removals[-1]]
    if len(live) > limits.max_contacts:
        return Registration(request.response(403, "Too Many Contacts", to_tag=to_tag), tuple(current))
    return _accepted(request, live, tuple(upserts.values()), tuple(removals), now, to_tag)


class _TooBriefError(Exception):
    """A contact asks for less than the minimum (section 10.3 step 7)."""


def _contacts(request: Request) -> list[NameAddr]:
    return [contact for value in request.all("Contact") for contact in NameAddr.parse_many(value)]


def _remove_all(request: Request, live: dict[str, Binding], now: float, to_tag: str) -> Registration:
    """Section 10.3 step 6: `*` stands alone and only with Expires: 0."""
    if request.values("Contact") != ["*"] or (request.get("Expires") or "").strip() != "0":
        return Registration(request.response(400, "Bad Contact: *", to_tag=to_tag), tuple(live.values()))
    if any(_is_stale(binding, request) for binding in live.values()):
        return _out_of_order(request, live, to_tag)
    return _accepted(request, {}, (), tuple(live), now, to_tag)


def _is_stale(binding: Binding | None, request: Request) -> bool:
    """Section 10.3 step 7: in the same Call-ID only a higher CSeq may change a binding."""
    return binding is not None and binding.call_id == request.call_id and request.cseq <= binding.cseq


def _out_of_order(request: Request, live: dict[str, Binding], to_tag: str) -> Registration:
    return Registration(request.response(500, "Request Out Of Order", to_tag=to_tag), tuple(live.values()))


def _seconds(text: str | None) -> int | None:
    """delta-seconds; None when missing or malformed, which means the default (section 20.19)."""
    text = (text or "").strip()
    return min(int(text), 2**32 - 1) if text.isascii() and text.isdigit() and len(text) < 12 else None


def _binding(request: Request, contact: NameAddr, flow: Flow, limits: RegistrationLimits, now: float) -> Binding:
    uri = contact.uri
    if not uri.is_sip:
        raise ParseError("Contact is no SIP URI")
    asked = _seconds(contact.params.get("expires"))
    if asked is None:
        asked = _seconds(request.get("Expires"))
    seconds = limits.default_expires if asked is None else min(asked, limits.max_expires)
    if 0 < seconds < limits.min_expires:
        raise _TooBriefError
    instance = contact.params.get("+sip.instance")
    reg_id = _seconds(contact.params.get("reg-id")) if instance else None
    path = tuple(request.values("Path"))
    return Binding(
        key=binding_key(uri, instance, reg_id),
        contact=contact.uri_text,
        received=None if path else _received(uri, flow),
        path=path,
        expires_at=now + seconds,
        q=_q(contact.params.get("q")),
        call_id=request.call_id,
        cseq=request.cseq,
        instance=unquote(instance) if instance else None,
        reg_id=reg_id,
        user_agent=(request.get("User-Agent") or "")[:200],
    )


def _received(uri: Uri, flow: Flow) -> str | None:
    """The source of the request, unless the contact says the same; a TCP connection is always the way back."""
    told = (uri.transport or "udp", uri.address, uri.port or 5060)
    host, port = flow.remote[:2]
    if told == (flow.transport, host, port) and not flow.is_reliable:
        return None
    return f"{flow.transport}:{host}:{port}"


def _q(text: str | None) -> float:
    try:
        return min(1.0, max(0.0, float(text or "1")))
    except ValueError:
        return 1.0


def _accepted(
    request: Request,
    live: dict[str, Binding],
    upserts: tuple[Binding, ...],
    removals: tuple[str, ...],
    now: float,
    to_tag: str,
) -> Registration:
    headers = [("Contact", _contact_line(binding, now)) for binding in live.values()]
    supported = request.tokens("Supported")
    if upserts and upserts[0].path and "path" in supported:
        headers += [("Path", path) for path in upserts[0].path]
    if any(binding.reg_id is not None for binding in upserts) and "outbound" in supported:
        headers.append(("Require", "outbound"))  # RFC 5626 section 6
    headers += [("Supported", "path, outbound"), ("Date", formatdate(now, usegmt=True))]
    response = request.response(200, to_tag=to_tag, headers=headers)
    return Registration(response, tuple(live.values()), upserts, removals)


def _contact_line(binding: Binding, now: float) -> str:
    line = f"<{binding.contact}>;expires={max(1, round(binding.expires_at - now))}"
    if binding.q != 1.0:
        line += f";q={binding.q:g}"
    if binding.instance is not None:
        line += f';+sip.instance="{binding.instance}"'
    return line if binding.reg_id is None else f"{line};reg-id={binding.reg_id}"
