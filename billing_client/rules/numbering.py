# SPDX-License-Identifier: Apache-2.0
"""What people, phones and carriers write for a telephone number, and the number that it is. Pure.

There is one spelling of each number: ASCII digits. Rating, routing, identities, limits, the log, the record and the
carrier get the `text` of what `read` finds, so none of them can take for another number what the next one sees.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote_from_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "MOST_DIGITS",
    "Emergency",
    "Kind",
    "Number",
    "as_address",
    "digits_of",
    "e164",
    "is_credential",
    "is_global",
    "name_problem",
    "read",
    "shown",
]

Kind = Literal["number", "code", "emergency", "name", "credential", "wrong", "nothing"]
"""What a text is:

* "number": a telephone number or an extension, ASCII digits;
* "code": a star code and what is dialled with it: `*43`, `*72420600000001`, `#21#`;
* "emergency": a service, `urn:service:sos.police` (RFC 5031);
* "name": anything else that an account may be called;
* "credential": what identifies a caller (`...@pstn`, `...@pin`, an IP address): nobody dials it or asks for it;
* "wrong": with control characters, or too long: no name of anything;
* "nothing": an empty text.
"""

MOST_DIGITS: Final = 32
"""Of a number that goes outside; E.164 has 15, prefixes of carriers come on top."""
_MOST_CHARACTERS: Final = 64
"""As long as names in the store may be."""
_MOST_SHOWN: Final = 255
_SEPARATORS: Final = str.maketrans("", "", "-. ()")
"""Visual separators (RFC 3966 section 5.1.1), and the space of address books."""
_OF_CODES: Final = str.maketrans("", "", "-. ()+")
_CODE: Final = frozenset("0123456789*#")
_SOS: Final = "urn:service:sos"
_SHORTEST_E164: Final = 7
_LONGEST_E164: Final = 15
_BAD_REQUEST, _NOT_FOUND, _INCOMPLETE = 400, 404, 484


@dataclass(frozen=True, slots=True)
class Number:
    """What a text is."""

    kind: Kind
    text: str
    """In the one spelling."""
    refusal: int = 0
    """SIP status for who dials it; 0: it may be dialled."""
    plus: bool = field(default=False, compare=False)
    """It was written with a +: whatever the number plan, it is one of the whole world."""

    @property
    def outside(self) -> int:
        """SIP status for who dials it where it is no account of ours; 0: a carrier can be asked."""
        if self.kind == "number":
            return 0 if len(self.text) <= MOST_DIGITS else _INCOMPLETE
        # What begins like a number was meant as one.
        return self.refusal or (_INCOMPLETE if self.text[:1] in {"+", *"0123456789"} else _NOT_FOUND)


@dataclass(frozen=True, slots=True)
class Emergency:
    """The numbers that are always let through."""

    numbers: tuple[str, ...] = ()
    services: Mapping[str, str] = field(default_factory=dict)
    """Which of them a service has (`police`, `fire`, RFC 5031 section 4.2); others have the first."""

    def __contains__(self, number: object) -> bool:
        return number in self.numbers

    def number_for(self, urn: str) -> str:
        """The number of `urn:service:sos.police.municipal`: that of the longest service that is known; empty: none."""
        service = urn.lower().removeprefix(_SOS).removeprefix(".")
        while service:
            if service in self.services:
                return self.services[service]
            service = service.rpartition(".")[0]
        return self.numbers[0] if self.numbers else ""


_NOTHING: Final = Number("nothing", "", _NOT_FOUND)


def read(written: str) -> Number:
    """What a text without escapes is: the user part of a SIP URI or the number of a tel URI.

    Parameters (RFC 3966, 4694, 4904: everything from the first semicolon on) say how somebody else routed a number,
    or what to dial after the answer; they are dropped. So is a phone-context: it does not make a number dialable
    (RFC 3966 section 5.1.5).
    """
    if digits_of(written) and len(written) <= _MOST_CHARACTERS:
        return Number("number", written)  # as nearly everybody writes it
    if not written.isprintable() or "%" in written:
        return Number("wrong", shown(written), _BAD_REQUEST)
    text = written.partition(";")[0].strip(" ")
    if not text:
        return _NOTHING
    if is_credential(text.removeprefix("+").rstrip("#")):
        return Number("credential", text[:_MOST_SHOWN], _NOT_FOUND)
    if _is_sos(text):
        return Number("emergency", text.lower())
    number = text.translate(_SEPARATORS).removeprefix("+").rstrip("#")
    if digits_of(number):
        if len(number) > _MOST_CHARACTERS:
            return Number("wrong", number[:_MOST_SHOWN], _INCOMPLETE)
        return Number("number", number, plus=text.lstrip("-. ()").startswith("+"))
    if len(text) > _MOST_CHARACTERS:
        return Number("wrong", text[:_MOST_SHOWN], _NOT_FOUND)
    return _code(text) or Number("name", text)


def _code(text: str) -> Number | None:
    """A star code. The # that ends what is dialled is no part of it, but for the forms of mobile phones that end with
    it (3GPP TS 22.030: `#21#`, `*21*NUMBER#`)."""
    code = text.translate(_OF_CODES)
    if code[:1] not in {"*", "#"} or not _CODE.issuperset(code):
        return None
    bare = code.rstrip("#")
    return Number("code", bare if digits_of(bare[1:]) and bare[0] == "*" else code)


def _is_sos(text: str) -> bool:
    return text[: len(_SOS) + 1].lower() in {_SOS, _SOS + "."}


def digits_of(text: str) -> str:
    """The text if it is ASCII digits and nothing else, or else an empty one (`str.isdigit` takes superscripts and the
    digits of forty scripts)."""
    return text if text.isascii() and text.isdigit() else ""


def is_credential(name: str) -> bool:
    """Whether a name is one that identifies a caller, and that nobody dials, rings or registers."""
    return "@" in name or as_address(name) is not None


def as_address(written: str) -> IPv4Address | IPv6Address | None:
    """An IP address, an IPv4 one that is written as IPv6 as what it is; None: it is none."""
    if "." not in written and ":" not in written:
        return None
    try:
        address = ip_address(written.strip("[]"))
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def e164(number: str) -> str:
    """A number with its plus, if the whole world can dial it (ITU-T E.164: no country code begins with 0); extensions,
    emergency numbers and names as they are."""
    return f"+{number}" if is_global(number) else number


def is_global(number: str) -> bool:
    """Whether the whole world can dial these digits."""
    return bool(digits_of(number)) and _SHORTEST_E164 <= len(number) <= _LONGEST_E164 and number[0] != "0"


def shown(text: str) -> str:
    """A text on one line of a log, a table or a record: what does not print is escaped as in a URI."""
    if text.isprintable() and "%" not in text:
        return text[:_MOST_SHOWN]
    octets = text[:_MOST_SHOWN].encode("utf-8", "replace")
    return quote_from_bytes(octets, safe="+*#;@-_.!~'()&=$,/: ")[:_MOST_SHOWN]


def name_problem(name: str) -> str | None:
    """Why no account and no alias may be called so: whoever dials it would get somewhere else. None: one may."""
    found = read(name)
    if found.kind == "number" and found.text != name:
        return f"{name!r} is another spelling of the number {found.text}"
    if found.kind == "code":
        return f"{name!r} is a star code"
    if found.kind == "emergency":
        return f"{name!r} is an emergency service"
    if found.kind in ("wrong", "nothing", "credential") or found.text != name:
        return f"{name!r} is no name that can be dialled"
    if name[0] in "+*#" or any(character.isdecimal() and not character.isascii() for character in name):
        return f"{name!r} is neither a number in digits 0 to 9 nor a name"
    return None
