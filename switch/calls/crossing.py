# SPDX-License-Identifier: Apache-2.0
"""What crosses from one leg to another: lists, and whatever is in none of them stops here. Pure.

A header, a body or a request crosses because somebody honest needs it and nobody acts on it by itself. What
identifies, bills, answers, reboots or makes another party act is ours to set (docs/security.md, rule 4; adr/0017). So a
header that nobody has heard of yet is safe: it stops until it has been thought about.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from switch.sip.element.core import EXTENSIONS as UNDERSTOOD
from switch.sip.message.body import DESCRIPTION
from switch.sip.message.grammar import split_list, whole_number
from switch.sip.message.reason import is_readable_reason

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from switch.sip.message.body import Part
    from switch.sip.message.message import HeaderLines, Message, Request, Response

__all__ = [
    "EXTENSIONS",
    "INVITATIONS",
    "MESSAGES",
    "REPLIES",
    "WITHIN",
    "Answer",
    "Side",
    "answer_within",
    "beside_description",
    "extensions",
    "invitation_lines",
    "message_refusal",
    "not_understood",
    "reason_lines",
    "replied",
    "too_many",
    "with_privacy",
    "within_lines",
    "without_ways",
]


class Side(Enum):
    """Who is at the other end of a leg."""

    PHONE = "phone"
    CARRIER = "carrier"
    """A gateway, or somebody else's SIP address."""
    OURSELVES = "ourselves"
    """A call that is forwarded, or the media server: what it says was written by us."""


# invitations -----------------------------------------------------------------------------------------------------
_ANY_CALL: Final = frozenset({
    "Accept", "Accept-Language",  # what the caller can read
    "Expires",                    # until when the invitation holds (RFC 3261 13.2.1)
    "Privacy",                    # a wish that we follow and the next network has to follow too (RFC 3323)
    "Session-ID",                 # names the conversation for whoever looks for a fault, and nothing else (RFC 7989)
    "Subject",                    # words for a person
    "User-to-User",               # what contact centres tell each other; telephones only keep it (RFC 7433)
})  # fmt: skip
_OUR_WAY: Final = frozenset({"Diversion", "History-Info"})
"""Where the call has been (RFC 5806, RFC 7044): believed from ourselves, whose words decide and identify; a phone may
show what a carrier says of it."""
_SIGNED: Final = frozenset({"Identity", "Date"})
"""A carrier's signature of who calls (RFC 8224) and the date that it was made at. It goes through a forward to the next
carrier as it is, or not at all: a signature by us would need a certificate, and phones sign nothing."""
_RESCUE: Final = frozenset({"Geolocation", "Geolocation-Routing"})
"""Where somebody is who calls for help (RFC 6442)."""

INVITATIONS: Final[Mapping[tuple[Side, Side], frozenset[str]]] = {
    (Side.PHONE, Side.PHONE): _ANY_CALL,
    (Side.PHONE, Side.CARRIER): _ANY_CALL,
    (Side.PHONE, Side.OURSELVES): _ANY_CALL,
    (Side.CARRIER, Side.PHONE): _ANY_CALL | {"Diversion"},
    (Side.CARRIER, Side.CARRIER): _ANY_CALL | _SIGNED,
    (Side.CARRIER, Side.OURSELVES): _ANY_CALL | _SIGNED,
    (Side.OURSELVES, Side.PHONE): _ANY_CALL | _OUR_WAY,
    (Side.OURSELVES, Side.CARRIER): _ANY_CALL | _OUR_WAY | _SIGNED,
    (Side.OURSELVES, Side.OURSELVES): _ANY_CALL | _OUR_WAY | _SIGNED,
}
"""Header lines of a first INVITE that cross, by whom it came from and whom it goes to."""
EXTENSIONS: Final = frozenset({"100rel", "199", "precondition", "uui"})
"""Option tags that are the far end's matter; all others are negotiated leg by leg, or not at all."""


def invitation_lines(
    request: Request, source: Side, target: Side, *, hides_caller: bool = False, is_emergency: bool = False
) -> HeaderLines:
    """The header lines of a first INVITE that the other leg gets.

    `hides_caller`: another number is shown, which the caller's privacy and the signature do not concern.
    """
    crossing = INVITATIONS[source, target]
    if hides_caller:
        crossing = crossing - _SIGNED - {"Privacy"}
    if is_emergency:  # who helps has to know who calls, and from where
        crossing = (crossing | _RESCUE if target is Side.CARRIER else crossing) - {"Privacy"}
    return _lines(request, crossing)


def with_privacy(lines: HeaderLines, *, is_hidden: bool) -> HeaderLines:
    """The same with the wish that counts for this call (RFC 3323): a phone's own may have been overruled."""
    present = [value for name, value in lines if name == "Privacy"]
    if is_hidden and any(_withholds(value) for value in present):
        return lines
    kept = [line for line in lines if line[0] != "Privacy" or (not is_hidden and not _withholds(line[1]))]
    return [*kept, ("Privacy", "id")] if is_hidden else kept


def _withholds(privacy: str) -> bool:
    return bool({word.strip().lower() for word in privacy.split(";")} & {"id", "user", "header"})


def without_ways(lines: HeaderLines) -> tuple[HeaderLines, list[str]]:
    """The same without where the call has been, which names our accounts; and the values of Diversion."""
    kept = [line for line in lines if line[0] not in _OUR_WAY]
    return kept, [value for name, value in lines if name == "Diversion"]


def beside_description(request: Request, target: Side, *, is_emergency: bool) -> tuple[Part, ...]:
    """The parts of an invitation's body that cross beside its session description: where somebody is who calls for
    help (RFC 6442). All others end here."""
    return request.content.locations if is_emergency and target is Side.CARRIER else ()


def extensions(message: Message, name: str) -> list[str]:
    """Option tags of Supported or Require that concern the far end."""
    return [tag for tag in message.values(name) if tag.lower() in EXTENSIONS]


# within a call ---------------------------------------------------------------------------------------------------
WITHIN: Final = frozenset({"Session-ID"})
"""Header lines of requests within a dialog that cross, whatever the method: what matters is in the body."""
MESSAGES: Final = frozenset({"Content-Language", "Content-Type", "Date", "Expires", "Session-ID", "Subject"})
"""Header lines of a MESSAGE that cross (RFC 3428)."""

_BODIES: Final[Mapping[str, frozenset[str]]] = {
    # the description goes through the relay, wherever in the body it was; what came beside it ends here
    "INVITE": frozenset({DESCRIPTION}),
    "UPDATE": frozenset({DESCRIPTION}),
    "PRACK": frozenset({DESCRIPTION}),
    # keys, a new picture, text; nothing that presses buttons of a telephone
    "INFO": frozenset({
        "application/dtmf", "application/dtmf-relay", "application/media_control+xml", "audio/telephone-event",
        "text/plain",
    }),
    # CPIM has a From of its own, which would be whatever the sender likes; HTML and references make a phone fetch
    "MESSAGE": frozenset({"text/plain", "application/im-iscomposing+xml"}),
}  # fmt: skip
"""The requests that cross within a call, and what may be in them."""
_LONGEST: Final[Mapping[str, int]] = {"INFO": 1_024, "MESSAGE": 1_300}
"""Bytes of a body; RFC 3428 section 8 for MESSAGE."""
_STOPPED: Final[Mapping[str, int]] = {
    "OPTIONS": 200,  # a question about ourselves
    "REFER": 403,  # ours to do, or not at all: it never crosses (`switch.calls.transfers`)
    "NOTIFY": 481,  # we have subscribed to nothing
    "SUBSCRIBE": 489,
    "PUBLISH": 489,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """How we answer a request that does not cross."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()


def too_many(seconds: int) -> Answer:
    """How a message is answered that comes so long too early: 480 and not 503, which would keep the sender from making
    calls too (RFC 3261 section 21.5.4)."""
    return Answer(480, (("Retry-After", str(seconds)),))


def answer_within(request: Request, *, to_account: bool) -> Answer | None:
    """How a request within a call is answered that goes no further; None: it crosses.

    `to_account`: the other party is a phone of ours, or a call that is forwarded to one.
    """
    method, refusal = request.method, not_understood(request)
    if refusal is not None:
        return refusal
    if method in _STOPPED:
        return Answer(_STOPPED[method], (("Accept", "application/sdp"),) if method == "OPTIONS" else ())
    if method not in _BODIES:
        return Answer(405)
    if method == "MESSAGE" and not to_account:
        return Answer(403)  # it would leave unpaid
    if method == "INFO" and request.get("Info-Package") is not None:
        return Answer(469, (("Recv-Info", ""),))  # RFC 6086 section 4.2.2: we have said that we want none
    return _content_refusal(request)


def not_understood(request: Request) -> Answer | None:
    """How a request is answered that requires what we do not know (RFC 3261 section 8.2.2.3)."""
    if request.get("Require") is None:
        return None
    unknown = [tag for tag in request.values("Require") if tag.lower() not in UNDERSTOOD]
    return Answer(420, (("Unsupported", ", ".join(unknown)),)) if unknown else None


def message_refusal(request: Request) -> Answer | None:
    """Why the content of a MESSAGE outside a dialog goes no further; None: it does."""
    return _content_refusal(request)


def _content_refusal(request: Request) -> Answer | None:
    if not request.body:
        return None
    accepted = _BODIES[request.method]
    if DESCRIPTION in accepted:
        refusal = request.content.refusal
        return None if refusal is None else Answer(refusal.status, refusal.headers)
    if request.content_type not in accepted:
        return Answer(415, (("Accept", ", ".join(sorted(accepted))),))
    if request.tokens("Content-Encoding") - {"identity"}:
        return Answer(415, (("Accept-Encoding", "identity"),))
    return Answer(413) if len(request.body) > _LONGEST.get(request.method, len(request.body)) else None


def within_lines(request: Request) -> HeaderLines:
    """The header lines of a request within a call that the other leg gets."""
    return _lines(request, MESSAGES - {"Content-Type"} if request.method == "MESSAGE" else WITHIN)


# responses -------------------------------------------------------------------------------------------------------
REPLIES: Final = frozenset({
    "Accept", "Accept-Language",  # what would have been understood (406, 415)
    "Reason",                     # why, as the telephone network says it (RFC 3326)
    "Retry-After",                # when to try again
    "Session-ID", "User-to-User",
    "Warning",                    # why, in words; without the name of the machine
})  # fmt: skip
"""Header lines of responses that cross; so a callee neither names itself, nor changes how the caller's phone rings
back, nor sends it elsewhere."""
_FOR_US: Final = frozenset({401, 407})
_WARNING: Final = re.compile(r'\s*(3\d\d)\s+(\S+)\s+("(?:[^"\\]|\\.)*")\s*\Z')
_PSEUDONYM: Final = "softswitch"


def replied(response: Response) -> tuple[int, str | None, HeaderLines]:
    """Status, reason phrase (None: the usual one) and header lines of a response as the other leg gets it.

    Nobody is sent elsewhere (3xx) or asked for his password (401, 407) by the other party: that is 480.
    """
    if 300 <= response.status < 400 or response.status in _FOR_US:
        return 480, None, []
    lines: HeaderLines = []
    for name, value in _lines(response, REPLIES):
        if name == "Warning":
            lines += _warnings(value)
        elif _is_readable(name, value):
            lines.append((name, value))
    return response.status, response.reason, lines


def _is_readable(name: str, value: str) -> bool:
    """Whether the numbers in a line that crosses are numbers."""
    if name == "Retry-After":
        return whole_number(re.split("[;(]", value, maxsplit=1)[0].strip(), 10) is not None
    return name != "Reason" or is_readable_reason(value)


def _warnings(line: str) -> HeaderLines:
    """Warnings under a pseudonym (RFC 3261 section 20.43), not the address of a machine in the other side's network."""
    found = [match for match in map(_WARNING.match, split_list(line)) if match is not None]
    agents = [_PSEUDONYM if "." in match[2] or ":" in match[2] else match[2] for match in found]
    return [("Warning", f"{match[1]} {agent} {match[3]}") for match, agent in zip(found, agents, strict=True)]


def reason_lines(message: Message | None) -> HeaderLines:
    """Why somebody hung up, for the other party."""
    lines = [] if message is None else message.headers
    return [line for line in lines if line[0] == "Reason" and is_readable_reason(line[1])]


def _lines(message: Message, crossing: Container[str]) -> HeaderLines:
    return [line for line in message.headers if line[0] in crossing]
