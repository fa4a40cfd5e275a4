# SPDX-License-Identifier: Apache-2.0
"""Hunting for somebody who answers: stages one after the other, the branches of a stage in parallel.

Each gateway of a route list makes a stage of its own; so does each step of how an account answers: its bindings, places
that it forwards to, its mailbox. Pure bookkeeping: the call sends the requests and asks here what their results mean.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from switch.calls.crossing import replied
from switch.settings import RoutingSettings
from switch.sip.choose import best_response
from switch.sip.message.reason import q850_cause, reason, reason_cause

if TYPE_CHECKING:
    from collections.abc import Sequence

    from switch.calls.view import CallView
    from switch.routing.ways import Stage
    from switch.sip.message.message import HeaderLines, Response

__all__ = ["Hunt", "Result", "is_final"]

# A carrier that is broken, overloaded, out of order or does not know us is no word about the callee.
_FAILOVER: Final = frozenset(RoutingSettings().failover)
_BLOCKED: Final = frozenset({607, 608})


@dataclass(frozen=True, slots=True)
class Result:
    """What the caller is to hear when nobody answered."""

    status: int
    cause: int | None
    """Q.850; None: the response's own Reason, or the usual one of the status."""
    text: str
    response: Response | None = None
    """The response that it was made of."""

    @property
    def q850(self) -> int:
        """The cause."""
        said = None if self.response is None else reason_cause(self.response.all("Reason"))
        return self.cause or said or q850_cause(self.status)

    @property
    def headers(self) -> HeaderLines:
        """What the caller is told with it."""
        lines = [] if self.response is None else replied(self.response)[2]
        return lines if any(name == "Reason" for name, _ in lines) else [*lines, reason(self.q850, self.text)]


@dataclass(slots=True)
class Hunt:
    """Where the search stands."""

    stages: Sequence[Stage]
    failover: frozenset[int] = _FAILOVER
    """Statuses of a gateway after which the next one is asked."""
    tries_every: bool = False
    """No answer of a gateway ends the search before every one was tried: somebody calls for help."""
    _index: int = -1
    _open: int = 0
    _responses: list[Response] = field(default_factory=list)
    _earlier: list[Response] = field(default_factory=list)
    """The best responses of stages that had their say."""

    def go_on(self, *stages: Stage) -> None:
        """The finished stage had its say; others are to follow it, and none that it might have failed over to."""
        if self._responses:
            self._earlier.append(best_response(self._responses))
        self.stages = [*self.stages[: self._index + 1], *stages]
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
        """Whether the finished stage, a gateway or a trunk, says so little that another deserves a try."""
        if self.stage.gateway is None and not self.stage.is_trunk:
            return False
        response = best_response(self._responses)
        return self.tries_every or response.status in self.failover or 300 <= response.status < 400

    @property
    def asked(self) -> int:
        """Gateways' addresses that were asked so far."""
        return sum(stage.gateway is not None for stage in self.stages[: self._index + 1])

    def is_block(self) -> bool:
        """Whether a network blocks the call, rather than somebody declining it: 607, 608 (RFC 8197, 8688), or 603 as
        ATIS-1000099 has it ("603+"), with a phrase of its own."""
        response = best_response(self._responses)
        is_plus = response.status == 603 and response.reason.strip().lower() == "network blocked"
        return self.stage.gateway is not None and (is_plus or response.status in _BLOCKED)

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


def is_final(hunt: Hunt, call: CallView, name: str, limits: RoutingSettings, now: float) -> bool:
    """Whether a finished stage is the last of its call whatever else could be asked: carriers enough were, for long
    enough; emergency calls have no such bounds. Tells of it, and of a block by the network of `name`."""
    if hunt.is_block():
        call.trace.add("hunt", "the network of {name} blocks the call; nobody has declined it", name=name)
    is_emergency = call.plan is not None and call.plan.is_emergency
    seconds = now - call.began
    is_within = hunt.asked < limits.attempts and seconds < limits.setup_seconds
    if hunt.stage.gateway is None or is_emergency or is_within or not hunt.says_nothing():
        return False
    text = "no further carrier is asked after {asked} addresses and {seconds:.0f} s"
    call.trace.add("hunt", text, asked=hunt.asked, seconds=seconds)
    return True
