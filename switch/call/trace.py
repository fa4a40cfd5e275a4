# SPDX-License-Identifier: Apache-2.0
"""Why a call went as it went: every decision appends a step, in the one code path that live calls and `explain` share.

A step costs a tuple and an append; its text is put together only when somebody reads it. Steps hold no secrets: what
goes into one may be shown to whoever looks after the call.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["KINDS", "Step", "Trace"]

KINDS: Final = {
    "caller": "who is calling",
    "account": "account state",
    "callee": "who is called",
    "rate": "rate",
    "route": "routes",
    "limit": "limits",
    "funds": "funds",
    "ring": "ringing",
    "hunt": "hunting",
    "answer": "answered",
    "refused": "refused",
    "fault": "trouble",
    "end": "the end",
}
"""What a step may be about, and how a heading says it."""

_NOTHING: Final[Mapping[str, Any]] = {}


class Step(NamedTuple):
    """One decision or event."""

    offset: float
    """Seconds since the call began."""
    kind: str
    """One of `KINDS`."""
    template: str
    """The text, with places for `data`."""
    data: Mapping[str, Any]
    """What was decided upon: numbers, prices, names."""

    @property
    def text(self) -> str:
        """What happened, in a sentence."""
        return self.template.format_map(self.data) if self.data else self.template


class Trace:
    """The steps of one call, oldest first. `clock` gives monotonic seconds."""

    __slots__ = ("_clock", "began_at", "steps")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.began_at = clock()
        self.steps: list[Step] = []

    def add(self, kind: str, template: str, /, **data: object) -> None:
        """Append a step; `template` names values of `data` in braces."""
        self.steps.append(Step(self._clock() - self.began_at, kind, template, data or _NOTHING))

    def __iter__(self) -> Iterator[str]:
        """The texts."""
        return (step.text for step in self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __str__(self) -> str:
        return "; ".join(self)

    def to_json(self) -> str:
        """The steps as a JSON list, which `from_json` reads; values become text where JSON has no such type."""
        return json.dumps(
            [(round(step.offset, 4), step.kind, step.template, step.data) for step in self.steps],
            default=str,
            ensure_ascii=False,
            separators=(",", ":"),
        )

    @staticmethod
    def from_json(text: str) -> list[Step]:
        """Steps that were written by `to_json`."""
        return [Step(*step) for step in json.loads(text)]
