# SPDX-License-Identifier: Apache-2.0
"""A stateful proxy for messages outside dialogs (RFC 3261 section 16, RFC 3428).

Pure. A request goes to all its targets in parallel, without Record-Route; the best answer goes back. Who sent it is
ours to write, and both ways only what is in a list crosses: so the answer is made anew from the request as it came.
Calls do not come here: they have a B2BUA. What RFC 4320 says of non-INVITE requests holds: no 408, no provisional
response but the 100 that the transaction sends by itself, and no answer at all where only silence is to be reported.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2s
from math import inf
from typing import TYPE_CHECKING, Final, Protocol

from switch.sip.choose import best_response
from switch.sip.message.address import NameAddr, Via
from switch.sip.message.errors import ParseError
from switch.sip.message.grammar import whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from switch.sip.message.flow import Flow
    from switch.sip.message.message import HeaderLines, Request, Response
    from switch.sip.message.uri import Uri
    from switch.sip.session import Outcome
    from switch.sip.transaction import (
        ClientTransaction,
        Effect,
        NonInviteServerTransaction,
        TransactionLayer,
    )

__all__ = ["ProxyContext", "ProxyTarget", "prepare", "refusal"]

_DEFAULT_MAX_FORWARDS: Final = 70
_DEFAULT_MAX_BREADTH: Final = 60
# long enough for a phone that missed four copies, short enough that the sender still waits (its timer F: 32 s)
_PATIENCE_SECONDS: Final = 24.0
_DECIDING: Final = frozenset({"Route", "Proxy-Require", "Proxy-Authorization"})
_OF_A_PROXY: Final = frozenset({"Via", "Route", "Max-Forwards", "Max-Breadth", "Call-ID", "CSeq"})


class ProxyTarget(Protocol):
    """Where a copy goes: what the location service knows of a binding."""

    @property
    def uri(self) -> str:
        """The Request-URI."""

    @property
    def flow(self) -> Flow:
        """The way there: to the first of `routes`, or to `uri`."""

    @property
    def routes(self) -> Sequence[str]:
        """Route values to put before all others (RFC 3327)."""


# preprocessing ----------------------------------------------------------------------------------------------------
def prepare(
    request: Request, *, is_ours: Callable[[Uri], bool], sender: NameAddr, to: str, crossing: Container[str]
) -> Request:
    """The request as it goes on: from `sender`, to the URI `to`, with what a proxy needs and the lines `crossing`.

    Route values that name us are taken off (16.4). No credentials go on (22.3): a digest response that a phone could
    read would let it search for the sender's password. Raises ParseError for a Route that cannot be read.
    """
    names = {"From": str(replace(sender, params={"tag": request.from_tag or ""})), "To": f"<{to}>"}
    passed = request.copy()
    passed.headers = [
        (name, names.get(name, value))
        for name, value in request.headers
        if name in names or name in _OF_A_PROXY or name in crossing
    ]
    while (routes := passed.values("Route")) and is_ours(NameAddr.parse(routes[0]).uri):
        passed.pop("Route")
    return passed


def refusal(request: Request) -> int | None:
    """The status that says why a prepared request cannot be passed on; None when it can (16.3).

    Raises ParseError when what decides it cannot be read.
    """
    if request.max_forwards == 0:
        return 483
    if _has_looped(request):
        return 482
    if request.get("Route") is not None:
        return 403  # we route to our subscribers only: whoever could make us route to others would hide behind us
    return None


def loop_hash(request: Request) -> str:
    """What decides where a request goes, in a few characters (16.6 step 8, RFC 5393 section 4.2.1)."""
    decides = [request.method, request.uri_text, request.call_id, request.from_tag or "", request.to_tag or ""]
    decides.append(str(request.cseq))
    decides += [f"{name}:{value}" for name, value in request.headers if name in _DECIDING]
    return blake2s("\n".join(decides).encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()


def _has_looped(request: Request) -> bool:
    """Whether we passed on this very request before: one of its branches ends with its hash (16.3 step 4)."""
    suffix = f".{loop_hash(request)}"
    return any(Via.parse(value).branch.endswith(suffix) for value in request.values("Via"))


# forwarding -------------------------------------------------------------------------------------------------------
class ProxyContext:
    """The response context of one request (16.2): its branches and what became of them.

    It hangs itself on its client transactions; give what they report to `receive_response`, and call `handle_timer` at
    `next_deadline`.
    """

    __slots__ = (
        "_deadline",
        "_is_late",
        "_layer",
        "_new_tag",
        "_open",
        "_replied",
        "_request",
        "_responses",
        "_targets",
        "_transaction",
        "entry",
    )

    entry: int
    """Of the queue of deadlines that it is in."""

    def __init__(
        self,
        layer: TransactionLayer,
        transaction: NonInviteServerTransaction,
        request: Request,
        targets: Sequence[ProxyTarget],
        *,
        new_tag: Callable[[], str],
        replied: Callable[[Response], tuple[int, str | None, HeaderLines]],
    ) -> None:
        """`request` is what `prepare` made; `new_tag` makes the To tags of our own answers; `replied` says what of a
        response goes back: status, reason phrase (None: the usual one), header lines."""
        self.entry = 0
        self._layer = layer
        self._transaction: NonInviteServerTransaction | None = transaction
        self._request = request
        self._targets = targets
        self._new_tag = new_tag
        self._replied = replied
        self._responses: list[Response] = []
        self._open = 0
        self._deadline = inf
        self._is_late = False

    @property
    def is_over(self) -> bool:
        """Whether the request has been answered or given up."""
        return self._transaction is None

    @property
    def next_deadline(self) -> float | None:
        """When silent targets are no longer waited for."""
        return None if self._deadline == inf else self._deadline

    def start(self, now: float) -> Outcome:
        """Send a copy to every target, or say why not."""
        try:
            breadth = _max_breadth(self._request)
            status = refusal(self._request) or self._shortage(breadth)
        except ParseError as error:
            return self._answer(error.status, now, f"Bad Request - {error.reason}")
        if status is not None:
            return self._answer(status, now)
        self._deadline = now + _PATIENCE_SECONDS
        self._open = len(self._targets)
        suffix = f".{loop_hash(self._request)}"
        outcome: Outcome = []
        for target in self._targets:
            outcome += self._forward(target, suffix, breadth // len(self._targets), now)
        return outcome

    def receive_response(
        self, transaction: ClientTransaction, response: Response, now: float, *, local: bool
    ) -> Outcome:
        """A branch got a response; with `local`, none came (408) or it could not be sent (503)."""
        if self.is_over or response.status < 200:
            return []
        self._open -= 1
        passed = response.copy()
        passed.pop("Via")
        if passed.get("Via") is None:
            return [] if self._open else self._conclude(now)  # nobody could be told: as if it had been lost
        self._responses.append(passed)
        is_enough = response.status < 300 or self._open == 0 or (self._is_late and response.status != 408)
        return self._conclude(now) if is_enough else []

    def handle_timer(self, now: float) -> Outcome:
        """Silence is not waited for any longer: answer with what there is, or else with what comes first."""
        if self._deadline > now:
            return []
        self._deadline = inf
        self._is_late = True
        return self._conclude(now) if self._telling() else []

    def _shortage(self, breadth: int) -> int | None:
        if not self._targets:
            return 480
        return 440 if breadth < len(self._targets) else None

    def _forward(self, target: ProxyTarget, suffix: str, breadth: int, now: float) -> list[Effect]:
        copy = self._request.copy()
        copy.uri_text = target.uri
        forwards = copy.max_forwards
        copy.set("Max-Forwards", str(_DEFAULT_MAX_FORWARDS if forwards is None else forwards - 1))
        copy.set("Max-Breadth", str(breadth))
        for route in reversed(target.routes):
            copy.push("Route", route)
        transaction, effects = self._layer.send_request(copy, target.flow, now, branch_suffix=suffix)
        transaction.user = self
        return effects

    def _conclude(self, now: float) -> Outcome:
        """Pass the best response on (16.7 steps 6 to 9); one that nobody may send (RFC 4320) ends in silence."""
        transaction = self._close()
        telling = self._telling()
        if not telling:
            return [*self._layer.abandon(transaction, now)]
        best = best_response(telling)
        # 503 would say that we are out of order ourselves
        status, reason, headers = (500, None, []) if best.status == 503 else self._replied(best)
        tag = best.to_tag or self._new_tag()
        answer = transaction.request.response(status, reason, to_tag=tag, headers=headers)
        return [*self._layer.respond(transaction, answer, now)]

    def _telling(self) -> list[Response]:
        """The responses that may be passed on: a 408 may not (RFC 4320 section 4.2)."""
        return [response for response in self._responses if response.status != 408]

    def _answer(self, status: int, now: float, reason: str | None = None) -> Outcome:
        transaction = self._close()
        response = transaction.request.response(status, reason, to_tag=self._new_tag())
        return [*self._layer.respond(transaction, response, now)]

    def _close(self) -> NonInviteServerTransaction:
        transaction, self._transaction = self._transaction, None
        self._deadline = inf
        assert transaction is not None
        return transaction


def _max_breadth(request: Request) -> int:
    """Into how many branches the request may still be split (RFC 5393 section 5.3)."""
    breadth = whole_number((request.get("Max-Breadth") or str(_DEFAULT_MAX_BREADTH)).strip(), 9)
    if breadth is None:
        raise ParseError("malformed Max-Breadth")
    return breadth
