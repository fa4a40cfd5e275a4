# SPDX-License-Identifier: Apache-2.0
"""Hunting for somebody who answers: stages one after the other, the branches of a stage in parallel.

Each gateway of a route list makes a stage of its own; so does each step of how an account answers: its bindings, places
that it forwards to, its mailbox. Pure bookkeeping: the call sends the requests and asks here what their results mean.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from switch.sip.choose import best_response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing_client.rules.books import Gateway, Route
    from switch.routing.forward import Forwarding
    from switch.sip.message.flow import Flow, Hop
    from switch.sip.message.message import HeaderLines, Response

__all__ = ["Branch", "Hunt", "Invitation", "Result", "Stage"]

# A carrier that is broken, overloaded, out of order or does not know us is no word about the callee.
_FAILOVER: Final = frozenset({401, 407, 408, 500, 501, 502, 503, 504, 505, 513})


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """How the INVITE of a branch differs from one for a phone."""

    name: str
    """What to call the branch in explanations."""
    number: str | None = None
    """The calling number to show; None: the caller's."""
    display: str = ""
    to: str | None = None
    """The number in To; None: what was dialled."""
    asserts: bool = False
    """The other side is the media server: the calling number goes into P-Asserted-Identity too, and our mark."""
    hides_privacy: bool = False
    """The caller's wish for privacy does not concern the number that is shown."""
    first: HeaderLines = field(default_factory=list)
    """Header lines to put before those that cross."""
    last: HeaderLines = field(default_factory=list)
    """Header lines to put after them."""
    forwarding: Forwarding | None = None
    """Given where we invite ourselves."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One place to ring."""

    uri: str
    flow: Flow
    routes: tuple[str, ...] = ()
    natted: bool = False
    gateway: Gateway | None = None
    hop: Hop | None = None
    """Of a gateway: from which the flow follows anew for each request, as large ones go by TCP."""
    ring_seconds: float | None = None
    """How long it may ring; None: as long as its stage."""
    invitation: Invitation | None = None
    route: Route | None = None
    """Of a gateway: by which it is asked."""
    is_server: bool = False
    """It leads to the media server, as we mean it to."""

    def identity(self, number: str) -> str:
        """A number of a party as the other side wants it."""
        return number if self.route is None else self.route.identity(number)

    @property
    def name(self) -> str:
        """What to call it in explanations."""
        if self.invitation is not None:
            return self.invitation.name
        return self.uri if self.gateway is None else self.gateway.name


@dataclass(frozen=True, slots=True)
class Stage:
    """Branches that ring at the same time."""

    branches: tuple[Branch, ...]
    ring_seconds: float
    """How long they may ring."""
    response_seconds: float | None = None
    """How long to wait for the first sign of life of a gateway before the next one is tried; None: SIP's own 32 s."""
    forwards: bool = False
    """The call goes on to somewhere else than it was for: the caller is told."""
    decline_ends: bool = True
    """A 6xx of one branch ends the others."""

    @property
    def gateway(self) -> Gateway | None:
        """The carrier of this stage; None for phones."""
        return self.branches[0].gateway if self.branches else None


@dataclass(frozen=True, slots=True)
class Result:
    """What the caller is to hear when nobody answered."""

    status: int
    cause: int | None
    """Q.850; None: the response's own Reason, or the usual one of the status."""
    text: str
    response: Response | None = None
    """The response that it was made of."""


@dataclass(slots=True)
class Hunt:
    """Where the search stands."""

    stages: Sequence[Stage]
    _index: int = -1
    _open: int = 0
    _responses: list[Response] = field(default_factory=list)
    _earlier: list[Response] = field(default_factory=list)
    """The best responses of stages that had their say."""

    def go_on(self, stage: Stage) -> None:
        """The finished stage had its say; another one is to follow it."""
        if self._responses:
            self._earlier.append(best_response(self._responses))
        self.stages = [*self.stages, stage]
        self.next_stage()

    def next_stage(self) -> Stage | None:
        """Move on to the next stage; None: there is none."""
        if self._index + 1 >= len(self.stages):
            return None
        self._index += 1
        stage = self.stages[self._index]
        self._open = len(stage.branches)
        self._responses.clear()
        return stage

    @property
    def stage(self) -> Stage:
        """The stage that is being rung."""
        return self.stages[self._index]

    def failed(self, response: Response) -> bool:
        """A branch came to nothing; True when the stage is finished by that."""
        self._responses.append(response)
        self._open -= 1
        # RFC 3261 16.7 step 5: after a 6xx nobody else is to be disturbed
        return self._open <= 0 or (response.status >= 600 and self.stage.decline_ends)

    @property
    def best(self) -> Response:
        """The best response of the stage."""
        return best_response(self._responses)

    @property
    def is_last(self) -> bool:
        """No further stage is known."""
        return self._index + 1 >= len(self.stages)

    def says_nothing(self) -> bool:
        """Whether the finished stage, a gateway, says so little of the callee that another gateway deserves a try."""
        if self.stage.gateway is None:
            return False
        response = best_response(self._responses)
        return response.status in _FAILOVER or 300 <= response.status < 400

    def should_fail_over(self) -> bool:
        """Whether the next stage is to be tried for that."""
        return not self.is_last and self.says_nothing()

    @property
    def _asked_application(self) -> bool:
        special = self.stage.branches[0].invitation
        return special is not None and special.number is None

    def result(self) -> Result:
        """The final word of the finished stage, or of one before it that had its say (RFC 3261 section 16.7 step 6)."""
        response = best_response([*self._earlier, *self._responses])
        if self.stage.gateway is not None:
            if response.status in (401, 407) or 300 <= response.status < 400:
                return Result(500, 38, "Carrier refused us", None)  # its challenge or redirection is not for the caller
            if response.status in (408, 503):
                return Result(500, 38, "No carrier answers", None)  # RFC 3261 16.7: 503 would mean ourselves
            if response.status == 487:
                return Result(480, 19, "No answer", None)
        elif self._asked_application and response.status in (408, 503):
            return Result(480, 41, "Media server out of reach", None)
        elif response.status in (401, 407) or 300 <= response.status < 400:
            return Result(480, 31, "Temporarily Unavailable", None)
        elif response.status == 408:
            return Result(408, 18, "Phone does not answer", None)
        elif response.status == 503:
            return Result(480, 27, "Phone out of reach", None)
        elif response.status == 487:
            return Result(480, 19, "No answer", None)
        return Result(response.status, None, response.reason, response)
