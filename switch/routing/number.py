# SPDX-License-Identifier: Apache-2.0
"""Any URI as the number, star code, emergency service or name that it means. Pure.

`billing_client.rules.numbering` says what a text means. Here stands where that text is in a URI and in the identities
of a request, so that who is called and who calls are the same to routing, rating, the record and the carrier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from billing_client.rules.numbering import Number, read
from switch.sip.message.address import NameAddr
from switch.sip.message.errors import ParseError

if TYPE_CHECKING:
    from switch.sip.message.message import Request
    from switch.sip.message.uri import Uri

__all__ = ["NOBODY", "Identity", "asserted", "calling_number", "claimed", "dialled_number", "hides", "number_of"]

NOBODY: Final = Number("nothing", "")
"""Nobody is dialled."""
_DIALLED = frozenset({"number", "code", "name"})


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a trusted peer says is calling."""

    number: str
    """A number or a name; empty: it is withheld, or nothing that anybody may be called."""
    display: str = ""
    verstat: str = ""
    """What the peer says of having verified the number (3GPP TS 24.229 section 7.2A.20)."""


def number_of(uri: Uri) -> Number:
    """What a URI means. Parameters never count, be they in the user part or after the host."""
    return read((uri.user or "") if uri.is_sip or uri.scheme == "tel" else f"{uri.scheme}:{uri.opaque}")


def dialled_number(user: str) -> str:
    """The number, star code or name that the user part of a URI means. The store knows nobody by what may not be
    dialled."""
    return read(user).text


def calling_number(user: str) -> str:
    """The number or name that the user part of an identity means; empty for what nobody is called."""
    found = read(user)
    return found.text if found.kind in _DIALLED else ""


def asserted(request: Request) -> Identity:
    """P-Asserted-Identity before From. The header may hold a SIP and a tel value (RFC 3325 section 9.1): the one that
    is a number is the number, and the name is the first that is given."""
    found: list[NameAddr] = []
    for value in request.values("P-Asserted-Identity"):
        try:
            entry = NameAddr.parse(value)
            entry.uri  # noqa: B018 (raises ParseError)
        except ParseError:
            continue
        found.append(entry)
    found = found or [request.from_]
    display = next((entry.display for entry in found if entry.display), "")
    known = [(entry.uri, number_of(entry.uri)) for entry in found]
    numbers = [(uri, number) for uri, number in known if number.kind == "number"]
    if numbers:
        # Of two numbers the tel value is the telephone number; the other may be an extension.
        uri, telephone = next(((uri, number) for uri, number in numbers if uri.scheme == "tel"), numbers[0])
        return Identity(telephone.text, display, _verstat(uri))
    return Identity(next((calling_number(uri.user) for uri, _ in known if uri.user), ""), display)


def claimed(request: Request) -> str:
    """The number that a phone wants to be shown (RFC 3325 section 9.2), as telephone systems say it too: by
    P-Asserted-Identity or by From. A wish, no proof. Empty: it says none."""
    wishes = [value for name in ("P-Preferred-Identity", "P-Asserted-Identity") for value in request.values(name)]
    for value in wishes:
        try:
            found = number_of(NameAddr.parse(value).uri)
        except ParseError:
            continue
        if found.kind == "number":
            return found.text
    found = number_of(request.from_.uri)
    return found.text if found.kind == "number" else ""


def hides(request: Request) -> bool | None:
    """Whether the caller withholds its number (RFC 3323, RFC 3325 section 9.3); None: it does not say."""
    wanted = {word.strip().lower() for value in request.values("Privacy") for word in value.split(";")}
    if wanted & {"id", "user", "header"}:
        return True
    if "none" in wanted:
        return False
    return True if not wanted and request.from_.uri.user == "anonymous" else None


def _verstat(uri: Uri) -> str:
    """The parameter of the number, in the user part, or of the URI."""
    for param in (uri.user or "").split(";")[1:]:
        name, _, value = param.partition("=")
        if name.lower() == "verstat":
            return value
    return uri.params.get("verstat") or ""
