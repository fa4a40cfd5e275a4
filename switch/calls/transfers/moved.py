# SPDX-License-Identifier: Apache-2.0
"""Where a 3xx leads: a phone's "moved" is a forward of its account, a carrier's stays within its own addresses."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from billing_client.rules.incoming import Forward
from switch.routing.number import number_of
from switch.sip.message.address import NameAddr
from switch.sip.message.errors import ParseError
from switch.sip.message.flow import Hop
from switch.sip.message.uri import Uri

if TYPE_CHECKING:
    from collections.abc import Container

    from switch.routing.ways import Branch
    from switch.sip.element.core import Core
    from switch.sip.message.message import Response

__all__ = ["MOST_MOVES", "forward_of", "within_carrier"]

MOST_MOVES: Final = 3
"""So many redirections of one call are followed."""
_MOVED: Final = frozenset({301, 302})
_REDIRECTED: Final = frozenset({300, 301, 302, 305})
_FORWARD: Final = "moved"


def forward_of(response: Response, domains: Container[str], ring_seconds: float) -> Forward | None:
    """The forward that a phone's answer stands for; None: it is none, or leads out of our domains."""
    uri = _contact(response) if response.status in _MOVED else None
    if uri is None or not (uri.scheme == "tel" or uri.host in domains):
        return None
    number = number_of(uri)
    return (
        None if number.refusal or not number.text else Forward(name=_FORWARD, to=number.text, seconds=int(ring_seconds))
    )


def within_carrier(response: Response, branch: Branch, core: Core) -> Branch | None:
    """The next address of the carrier that redirects us; None: it leads elsewhere, and is not followed."""
    uri = _contact(response) if response.status in _REDIRECTED else None
    if uri is None or branch.gateway is None or not uri.is_sip or uri.user is None:
        return None
    hop = Hop(uri.transport or branch.gateway.transport, uri.address, uri.port or 5060)
    place = core.destinations.place(hop.host, hop.port)
    if place is None or branch.gateway.gateway_id not in place.carriers:
        return None
    target = str(Uri("sip", uri.user, uri.host, uri.port, {"transport": hop.transport}))
    with suppress(LookupError):
        return replace(branch, uri=target, flow=core.transport.flow_to(hop), hop=hop)
    return None


def _contact(response: Response) -> Uri | None:
    """The first place that a redirection names."""
    with suppress(ParseError):
        for value in response.values("Contact"):
            return NameAddr.parse(value).uri
    return None
