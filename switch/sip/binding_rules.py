# SPDX-License-Identifier: Apache-2.0
"""The registrar's decision: from a REGISTER and the bindings so far to the new bindings and the answer. Pure.

RFC 3261 section 10.3, with Path (RFC 3327) and the flows of Outbound (RFC 5626); no GRUU, no Service-Route. All of a
request is done or nothing of it. `now` is Unix time, because bindings outlive processes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from email.utils import formatdate
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Protocol

from switch.sip.destination import Destinations
from switch.sip.message.address import NameAddr
from switch.sip.message.errors import ParseError
from switch.sip.message.flow import Flow
from switch.sip.message.grammar import quote, unquote, whole_number
from switch.sip.message.host import is_literal
from switch.sip.message.uri import Uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from switch.sip.message.message import HeaderLines, Request, Response

__all__ = [
    "Binding",
    "Registration",
    "RegistrationLimits",
    "binding_key",
    "binding_refusal",
    "register",
]

_MALFORMED_EXPIRES: Final = 3600
"""RFC 3261 20.10 and 20.19: what a malformed expires counts as."""
_DEFAULT_PORT: Final = 5060
_MAX_CONTACT: Final = 1024
_MAX_KEY: Final = 400
"""Longer keys, and such that no index would like, are hashed."""
_MAX_PATH: Final = 4096
_MAX_TEXT: Final = 255
"""Of Call-ID, instance and User-Agent, in characters: longer ones serve only to fill our memory."""


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
    """`transport:host:port` that the REGISTER came from, where that is the way back: behind NAT, and over TCP."""
    path: tuple[str, ...]
    """Path values, as registered."""
    expires_at: float
    q: float
    call_id: str
    cseq: int
    instance: str | None
    reg_id: int | None
    """Of Outbound; None when the phone registered without."""
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
    refusal: str | None = None
    """Why a binding was refused that would have led astray, for the log: it names who is there."""


class _RefusedError(Exception):
    """The registration is refused as a whole."""

    def __init__(self, status: int, reason: str | None = None, headers: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(status)
        self.status = status
        self.reason = reason
        self.headers = headers


class _AstrayError(Exception):
    """A binding would lead where it must not."""


def register(
    request: Request,
    flow: Flow,
    current: Sequence[Binding],
    limits: RegistrationLimits,
    now: float,
    to_tag: str,
    destinations: Destinations | None = None,
) -> Registration:
    """Process an authenticated REGISTER; `current` are the bindings of its address of record, expired ones included.

    `destinations` says where bindings may lead; without it no proxy is known, and nobody special.
    """
    live = {binding.key: binding for binding in current if binding.expires_at > now}
    try:
        contacts = request.values("Contact")
        if "*" in contacts:
            _check_remove_all(request, contacts, live)
            return _accepted(request, {}, (), tuple(live), now, to_tag)
        wanted = _wanted(request, contacts, flow, live, limits, now)
        _check_destinations(wanted, flow, destinations or Destinations(), now)
        removals = [key for key, binding in wanted.items() if binding.expires_at <= now and key in live]
        upserts = {key: binding for key, binding in wanted.items() if binding.expires_at > now}
        after = {key: binding for key, binding in {**live, **upserts}.items() if key not in removals}
        added = [binding for key, binding in upserts.items() if key not in live]
        removals += _give_way(after, added, limits.max_contacts)
    except ParseError as error:
        return Registration(request.response(error.status, error.reason, to_tag=to_tag), tuple(live.values()))
    except _AstrayError as astray:
        return Registration(request.response(403, to_tag=to_tag), tuple(live.values()), refusal=str(astray))
    except _RefusedError as refused:
        response = request.response(refused.status, refused.reason, to_tag=to_tag, headers=refused.headers)
        return Registration(response, tuple(live.values()))
    return _accepted(request, after, tuple(upserts.values()), tuple(removals), now, to_tag)


# checking -----------------------------------------------------------------------------------------------------------
def _check_remove_all(request: Request, contacts: list[str], live: dict[str, Binding]) -> None:
    """Section 10.3 step 6: `*` stands alone and only with Expires: 0."""
    if contacts != ["*"] or (request.get("Expires") or "").strip() != "0":
        raise _RefusedError(400, "Contact: * Needs Expires: 0 And Nothing Else")
    for binding in live.values():
        _check_order(request, binding)


def _check_order(request: Request, known: Binding) -> None:
    """Section 10.3 steps 6 and 7: within one Call-ID only a higher CSeq may change a binding."""
    if known.call_id == request.call_id[:_MAX_TEXT] and request.cseq <= known.cseq:
        raise _RefusedError(500, "Registration Out Of Order")


def _wanted(
    request: Request,
    contacts: list[str],
    flow: Flow,
    live: dict[str, Binding],
    limits: RegistrationLimits,
    now: float,
) -> dict[str, Binding]:
    """What the request asks for, by key; a binding that is to go expires now."""
    if not contacts:
        return {}
    make = _BindingMaker(request, flow, limits, now)
    wanted: dict[str, Binding] = {}
    for value in contacts:
        binding = make(NameAddr.parse(value))
        known = _known(binding, live)
        if known is not None:
            _check_order(request, known)
            if known.key != binding.key:
                binding = replace(binding, key=known.key)
        wanted[binding.key] = binding
    if len(wanted) > 1 and any(binding.reg_id is not None for binding in wanted.values()):
        raise _RefusedError(400, "One Contact Per Flow")  # RFC 5626 section 6
    return wanted


def _check_destinations(wanted: dict[str, Binding], flow: Flow, destinations: Destinations, now: float) -> None:
    """A binding leads to who registered it, or to a proxy in front of us, and on to nobody special."""
    for binding in wanted.values():
        if binding.expires_at > now:
            refusal = binding_refusal(binding, flow, destinations)
            if refusal is not None:
                raise _AstrayError(refusal)


def binding_refusal(binding: Binding, flow: Flow, destinations: Destinations) -> str | None:
    """Why a binding may not be used; `flow` leads to it, or is what its REGISTER came on. None: it may."""
    contact = Uri.parse(binding.contact)
    if binding.received is None and not binding.path:
        place = (contact.address, contact.port or _DEFAULT_PORT)
        flow = Flow(flow.transport, flow.local, place)
    return destinations.binding_refusal(contact, binding.path, flow)


def _known(binding: Binding, live: dict[str, Binding]) -> Binding | None:
    """The binding that a new one updates: same instance and reg-id (RFC 5626 6), or equal URIs (RFC 3261 19.1.4)."""
    known = live.get(binding.key)
    if known is not None or binding.reg_id is not None or not live:
        return known
    uri = Uri.parse(binding.contact)
    for other in live.values():
        if other.reg_id is None and uri.equivalent(Uri.parse(other.contact)):
            return other
    return None


def _give_way(after: dict[str, Binding], added: list[Binding], limit: int) -> list[str]:
    """Make room for new bindings beyond the limit; returns the keys that were taken out of `after`.

    A phone that comes back from another address or port must not be locked out by what it left behind, so contacts of
    the same device give way, those first that expire first. Contacts of other devices never do: a sixth phone on an
    account for five would otherwise silence the first, which would come back a minute later and silence the second.
    """
    surplus = len(after) - limit
    if surplus <= 0 or not added:
        return []
    new_keys = {binding.key for binding in added}
    left_behind = [
        old for key, old in after.items() if key not in new_keys and any(_same_device(old, new) for new in added)
    ]
    if len(left_behind) < surplus:
        raise _RefusedError(403, "Too Many Contacts")
    left_behind.sort(key=lambda old: old.expires_at)
    gone = [old.key for old in left_behind[:surplus]]
    for key in gone:
        del after[key]
    return gone


def _same_device(old: Binding, new: Binding) -> bool:
    """Whether two contacts are, for all that can be known, one phone."""
    if old.instance is not None or new.instance is not None:
        return old.instance == new.instance
    if old.call_id == new.call_id:
        return True
    return bool(new.user_agent) and old.user_agent == new.user_agent and _source_host(old) == _source_host(new)


def _source_host(binding: Binding) -> str:
    if binding.received is not None:
        return binding.received.partition(":")[2].rpartition(":")[0]
    return Uri.parse(binding.contact).address.lower()


# making -------------------------------------------------------------------------------------------------------------
def binding_key(uri: Uri, instance: str | None, reg_id: int | None) -> str:
    """What identifies a binding: instance and reg-id (RFC 5626), or else the contact in one spelling."""
    if instance is not None and reg_id is not None:
        text = f"{instance};{reg_id}"
    else:
        text = f"{uri.scheme}:{uri.user or ''}@{uri.host.lower()}"
        if uri.port is not None:
            text += f":{uri.port}"
        if uri.params:
            text += "".join(sorted(f";{name}={(value or '').lower()}" for name, value in uri.params.items()))
    if len(text) <= _MAX_KEY and text.isascii() and text.isprintable():
        return text
    return f"sha256:{sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()}"


class _BindingMaker:
    """Makes bindings of the contacts of one request; what all of them share is read once."""

    def __init__(self, request: Request, flow: Flow, limits: RegistrationLimits, now: float) -> None:
        self._flow = flow
        self._limits = limits
        self._now = now
        self._expires = request.get("Expires")
        self._call_id = request.call_id[:_MAX_TEXT]
        self._cseq = request.cseq
        self._user_agent = (request.get("User-Agent") or "")[:_MAX_TEXT]
        self._path = tuple(request.values("Path")) if request.get("Path") is not None else ()
        if sum(map(len, self._path)) > _MAX_PATH:
            raise _RefusedError(400, "Path Too Long")
        self._has_outbound = _knows(request, "outbound") and _first_hop_keeps_flows(request, self._path)

    def __call__(self, contact: NameAddr) -> Binding:
        uri = contact.uri
        if not uri.is_sip:
            raise ParseError("Contact Is No SIP URI")
        if len(contact.uri_text) > _MAX_CONTACT:
            raise ParseError("Contact Too Long")
        instance = contact.params.get("+sip.instance")
        instance = unquote(instance)[:_MAX_TEXT] if instance else None
        reg_id = _number(contact.params.get("reg-id")) if instance and self._has_outbound else None
        reg_id = reg_id if reg_id and reg_id < 2**31 else None
        return Binding(
            key=binding_key(uri, instance, reg_id),
            contact=contact.uri_text,
            received=self._received(uri),
            path=self._path,
            expires_at=self._now + self._seconds(contact),
            q=_q(contact.params.get("q")),
            call_id=self._call_id,
            cseq=self._cseq,
            instance=instance,
            reg_id=reg_id,
            user_agent=self._user_agent,
        )

    def _seconds(self, contact: NameAddr) -> int:
        """Section 10.3 step 7: what the contact asks for, within our limits."""
        text = contact.params.get("expires") or self._expires
        limits = self._limits
        if text is None:
            return limits.default_expires
        asked = _number(unquote(text))
        seconds = _MALFORMED_EXPIRES if asked is None else asked
        if 0 < seconds < limits.min_expires:
            raise _RefusedError(423, headers=[("Min-Expires", str(limits.min_expires))])
        return min(seconds, limits.max_expires)

    def _received(self, uri: Uri) -> str | None:
        """The source of the request where the contact is not the way back.

        That is where the phone gives another address than we see (NAT, or a name that only its own network knows), and
        for every TCP connection. A mere other port is believed: it may have two sockets. Behind a proxy that added
        itself by Path, that proxy knows the way to the phone, and its own address is in the Path.
        """
        host, port = self._flow.remote[:2]
        if self._path:
            way_back = NameAddr.parse(self._path[0] if "<" in self._path[0] else f"<{self._path[0]}>").uri.address
            if is_literal(way_back):
                return None
        elif not self._flow.is_reliable and uri.address.lower() == host and "maddr" not in uri.params:
            return None
        return f"{self._flow.transport}:{host}:{port}"


def _first_hop_keeps_flows(request: Request, path: tuple[str, ...]) -> bool:
    """RFC 5626 section 6: the flow ends here, or at a proxy that says `ob` in its Path."""
    if path:
        return ";ob" in path[-1].lower()
    return len(request.values("Via")) == 1


def _knows(request: Request, extension: str) -> bool:
    return request.get("Supported") is not None and extension in request.tokens("Supported")


def _number(text: str | None) -> int | None:
    """delta-seconds and the like; None when missing or malformed."""
    number = whole_number((text or "").strip(), 20)
    return None if number is None else min(number, 2**32 - 1)


def _q(text: str | None) -> float:
    try:
        return min(1.0, max(0.0, float(text or "1")))
    except ValueError:
        return 1.0


# answering ----------------------------------------------------------------------------------------------------------
def _accepted(
    request: Request,
    live: dict[str, Binding],
    upserts: tuple[Binding, ...],
    removals: tuple[str, ...],
    now: float,
    to_tag: str,
) -> Registration:
    headers: HeaderLines = [("Contact", _contact_line(binding, now)) for binding in live.values()]
    if upserts and upserts[0].path and _knows(request, "path"):
        # RFC 3327 5.3; a phone that does not know Path is registered all the same, only not told
        headers += [("Path", path) for path in upserts[0].path]
    if any(binding.reg_id is not None for binding in upserts):
        headers.append(("Require", "outbound"))  # RFC 5626 section 6
    headers += [("Supported", "path, outbound"), ("Date", _date(int(now)))]
    response = request.response(200, to_tag=to_tag, headers=headers)
    return Registration(response, tuple(live.values()), upserts, removals)


@lru_cache(maxsize=2)
def _date(now: int) -> str:
    """RFC 3261 section 20.17; a second may see a thousand registrations."""
    return formatdate(now, usegmt=True)


def _contact_line(binding: Binding, now: float) -> str:
    line = f"<{binding.contact}>;expires={max(1, round(binding.expires_at - now))}"
    if binding.q != 1.0:
        line += f";q={binding.q:.3g}"
    if binding.instance is not None:
        line += f";+sip.instance={quote(binding.instance)}"
    return line if binding.reg_id is None else f"{line};reg-id={binding.reg_id}"
