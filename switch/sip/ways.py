# SPDX-License-Identifier: Apache-2.0
"""What a dialog asks before it believes its peer, and what lets a request go to a carrier or to the media server. Pure.

The switch asks `switch.sip.destination`; a plain user agent believes all.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

from switch.sip.message.flow import Flow
from switch.sip.message.host import is_literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from switch.sip.message.uri import Uri

__all__ = ["ANYWHERE", "DEFAULT_PORT", "Anywhere", "House", "Permit", "Warrant", "Ways", "anywhere", "literal_flow"]

DEFAULT_PORT: Final = 5060


@dataclass(frozen=True, slots=True)
class Warrant:
    """Proof that a call is registered with the store, its first funds locked: no INVITE reaches a carrier without.

    Only `switch.money.payment` makes one.
    """

    call_id: str


class House(Enum):
    """What the switch itself has to say: anything to the media server, REGISTER and OPTIONS to a carrier."""

    SERVER = "server"
    CARRIER = "carrier"


Permit = Warrant | House


def literal_flow(uri: Uri, flow: Flow, host: str | None = None) -> Flow:
    """The flow to a URI whose host is an IP address, over the socket of `flow`; `flow` itself for any other URI.

    A name in a Contact is not resolved: the peer's own messages came over `flow`, so it leads there. Neither can the
    socket reach another transport or address family. `host` is used instead of the URI's where it is given.
    """
    if not uri.is_sip or (uri.transport or flow.transport) != flow.transport:
        return flow
    host = host or uri.address
    if not is_literal(host) or (":" in host) != (":" in flow.remote[0]):
        return flow
    remote = (host, uri.port or DEFAULT_PORT)
    return flow if remote == flow.remote else Flow(flow.transport, flow.local, remote)


class Ways(Protocol):
    """What a dialog asks before it believes its peer."""

    def next_hop(self, uri: Uri, flow: Flow) -> Flow:
        """Where a request for `uri` goes in a dialog whose peer signals over `flow`."""

    def route_set(self, values: Sequence[str], flow: Flow) -> list[str]:
        """What is believed of Record-Route values, the nearest first; raises ParseError."""

    def follows(self, old: Flow, new: Flow) -> bool:
        """Whether a dialog moves from one flow to another when its peer sends from there."""

    def target_refusal(self, uri: Uri, flow: Flow) -> str | None:
        """Why `uri` is no target of a peer at `flow`; None: it is one."""


class Anywhere:
    """A user agent that believes its peer, as RFC 3261 section 12 has it: a phone, never the switch."""

    def next_hop(self, uri: Uri, flow: Flow) -> Flow:
        """To the address that the URI names, or that its maddr does."""
        return literal_flow(uri, flow, uri.params.get("maddr"))

    def route_set(self, values: Sequence[str], flow: Flow) -> list[str]:
        """All of them."""
        return list(values)

    def follows(self, old: Flow, new: Flow) -> bool:
        """Always."""
        return True

    def target_refusal(self, uri: Uri, flow: Flow) -> str | None:
        """Never."""
        return None


ANYWHERE: Final = Anywhere()


def anywhere() -> Ways:
    """What dialogs ask that nobody told otherwise."""
    return ANYWHERE
