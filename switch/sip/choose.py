# SPDX-License-Identifier: Apache-2.0
"""The best of the final responses of forked requests (RFC 3261 section 16.7 step 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from switch.sip.message.message import Response

__all__ = ["best_response"]

_CHALLENGES: Final = (401, 407)
# 16.7 step 6: within 4xx, what tells the caller how to ask again
_TELLING: Final = frozenset({*_CHALLENGES, 415, 420, 484})
# what says least about the callee: branches that stayed silent, that we cancelled, or that are out of order
_SILENT: Final = frozenset({408, 487, 503})


def best_response(responses: Sequence[Response]) -> Response:
    """Choose the final response to pass on to the caller.

    A 2xx wins, then a 6xx, then the lowest class. Within a class come first the responses that help the caller to ask
    again (401, 407, 415, 420, 484), last those that say nothing about the callee (408, 487, 503); of equals the first.
    A chosen challenge carries the challenges of all other 401 and 407 responses (step 7); it is then a copy.

    Raises ValueError without any response.
    """
    best = min(responses, key=_rank)
    if best.status not in _CHALLENGES:
        return best
    challenges = [
        line
        for response in responses
        if response is not best and response.status in _CHALLENGES
        for line in response.headers
        if line[0] in ("WWW-Authenticate", "Proxy-Authenticate")
    ]
    if not challenges:
        return best
    merged = best.copy()
    merged.headers += challenges
    return merged


def _rank(response: Response) -> tuple[int, int]:
    status = response.status
    group = {2: 0, 6: 1}.get(status // 100, status // 100)
    return group, 0 if status in _TELLING else 2 if status in _SILENT else 1
