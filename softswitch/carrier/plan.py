# SPDX-License-Identifier: Apache-2.0
"""What the sample carrier does with a number: its last three digits say it."""

from __future__ import annotations

from dataclasses import dataclass

from billing_client.rules.numbering import digits_of

__all__ = ["ENDINGS", "Behaviour", "behaviour"]

RING_AFTER_SECONDS = 0.2
ANSWER_AFTER_SECONDS = 1.0
SLOW_SECONDS = 8.0
LAST_SECONDS = 60
"""A 9xx ending hangs up after xx seconds, this at most."""

ENDINGS = {
    "anything else": "rings, answers after a second, echoes what you say",
    "...486": "busy",
    "...480": "unavailable",
    "...404": "no such number",
    "...408": "dead: no answer at all, so the next gateway gets the call",
    "...500": "fails at every gateway",
    "...503": "fails at the first gateway; the next one answers",
    "...600": "slow: rings for eight seconds, then answers",
    "...9xx": "answers, and hangs up after xx seconds",
}
"""For people, in the order to tell them."""

EMERGENCY = ("112", "911")
"""Nobody who needs help is left with an echo."""
REFUSALS = {"486": 486, "480": 480, "404": 404, "500": 500}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How an INVITE is dealt with."""

    status: int = 200
    """The final response; 0: none, not even a provisional one."""
    answer_after_seconds: float = ANSWER_AFTER_SECONDS
    hang_up_after_seconds: float | None = None


def behaviour(number: str, gateway: int) -> Behaviour:
    """What gateway `gateway` (0 is the first) does with a number."""
    if number in EMERGENCY:
        return Behaviour(status=404)
    ending = number[-3:]
    if ending == "408":
        return Behaviour(status=0) if gateway == 0 else Behaviour()
    if ending == "503" and gateway == 0:
        return Behaviour(status=503)
    if ending in REFUSALS:
        return Behaviour(status=REFUSALS[ending])
    if ending == "600":
        return Behaviour(answer_after_seconds=SLOW_SECONDS)
    if len(digits_of(ending)) == 3 and ending[0] == "9" and 0 < int(ending[1:]) <= LAST_SECONDS:
        return Behaviour(hang_up_after_seconds=float(ending[1:]))
    return Behaviour()
