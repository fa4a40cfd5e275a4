# SPDX-License-Identifier: Apache-2.0
"""Callers who are known by their address alone: whoever writes that into a packet never hears us, so never says ACK.

Their answered calls wait for the ACK only `ACK_SECONDS`, and cost nothing when none comes. After `MOST` such calls an
address is trusted no more for `PAUSE_SECONDS`: its INVITEs are a stranger's, but for those of a sender that has
acknowledged calls before (the same port, Via and User-Agent), so that nobody is locked out by packets in his name.
Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from switch.sip.message.errors import ParseError

if TYPE_CHECKING:
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Request

__all__ = ["ACK_SECONDS", "Unheard"]

ACK_SECONDS: Final = 4.0
"""Four transmissions of the 200 (RFC 3261 section 13.3.1.4 has it repeated for 32 s)."""
MOST: Final = 3
WITHIN_SECONDS: Final = 600.0
PAUSE_SECONDS: Final = 300.0
_MOST_HOSTS: Final = 4096
_MOST_SENDERS: Final = 8
_MOST_NAME: Final = 64
"""Characters of a User-Agent that tell senders apart."""


@dataclass(slots=True)
class _Host:
    since: float = 0.0
    missed: int = 0
    blocked_until: float = 0.0
    heard: OrderedDict[tuple[object, ...], None] = field(default_factory=OrderedDict)
    """Senders there that have acknowledged a call."""


class Unheard:
    """What became of answered calls, by address."""

    def __init__(self) -> None:
        self._hosts: OrderedDict[str, _Host] = OrderedDict()
        self.missed = 0
        """Answered calls that nobody acknowledged, since the start."""

    def __len__(self) -> int:
        return len(self._hosts)

    @property
    def senders(self) -> int:
        """How many are remembered, of all addresses."""
        return sum(len(host.heard) for host in self._hosts.values())

    def acknowledged(self, request: Request, flow: Flow) -> None:
        """The caller hears us."""
        heard, sender = self._host(flow).heard, _sender(request, flow)
        heard[sender] = None
        heard.move_to_end(sender)
        if len(heard) > _MOST_SENDERS:
            heard.popitem(last=False)

    def not_acknowledged(self, request: Request, flow: Flow, now: float) -> bool:
        """The caller does not; whether its address is trusted no more from now on. `now`: monotonic seconds."""
        host = self._host(flow)
        self.missed += 1
        if now - host.since > WITHIN_SECONDS:
            host.since, host.missed = now, 0
        host.missed += 1
        host.heard.pop(_sender(request, flow), None)
        if host.missed < MOST:
            return False
        host.blocked_until, host.missed, host.since = now + PAUSE_SECONDS, 0, now
        return True

    def is_blocked(self, request: Request, flow: Flow, now: float) -> bool:
        """Whether an address is no reason to believe a caller."""
        host = self._hosts.get(flow.remote[0])
        return host is not None and now < host.blocked_until and _sender(request, flow) not in host.heard

    def _host(self, flow: Flow) -> _Host:
        host = self._hosts.setdefault(flow.remote[0], _Host())
        self._hosts.move_to_end(flow.remote[0])
        if len(self._hosts) > _MOST_HOSTS:
            self._hosts.popitem(last=False)
        return host


def _sender(request: Request, flow: Flow) -> tuple[object, ...]:
    try:
        via: object = (request.via.host, request.via.port)
    except ParseError:
        via = None
    return (flow.remote[1], via, (request.get("User-Agent") or "")[:_MOST_NAME])
