# SPDX-License-Identifier: Apache-2.0
"""Why a call went as it went: every decision appends a step, in the one code path that live calls and `explain` share.

A step costs a tuple and an append; its text is put together only when somebody reads it. Steps hold no secrets: what
goes into one may be shown to whoever looks after the call.
"""

from __future__ import annotations

import json
import time
import zlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = ["KINDS", "Step", "Trace"]

KINDS: Final = {
    "caller": "who is calling",
    "account": "account state",
    "callee": "who is called",
    "number": "number",
    "rate": "rate",
    "route": "routes",
    "funds": "funds",
    "answering": "answering",
    "forward": "forwarding",
    "ring": "ringing",
    "hunt": "hunting",
    "answer": "answered",
    "transfer": "transfer",
    "refused": "refused",
    "fault": "trouble",
    "end": "the end",
}
"""What a step may be about, and how a heading says it."""

STEPS_AT_A_TIME: Final = 50
MOST_PIECES: Final = 20
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
    """The steps of one call, oldest first. `clock` gives monotonic seconds.

    A long call does not grow without end: steps are squeezed now and then, and after very many of them no more are
    kept but the newest ones.
    """

    __slots__ = ("_clock", "_early", "began_at", "dropped", "steps")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.began_at = clock()
        self.steps: list[Step] = []
        """Those that are not squeezed."""
        self.dropped = 0
        self._early: list[bytes] = []

    def add(self, kind: str, template: str, /, **data: object) -> None:
        """Append a step; `template` names values of `data` in braces."""
        self.steps.append(Step(self._clock() - self.began_at, kind, template, data or _NOTHING))
        if len(self.steps) >= STEPS_AT_A_TIME:
            self.squeeze()

    def squeeze(self) -> None:
        """Turn the steps so far into few bytes: a call that is talked on shall not cost more than it must."""
        if len(self._early) >= MOST_PIECES:
            self.dropped += len(self.steps)
        elif self.steps:
            self._early.append(zlib.compress(_to_json(self.steps).encode("utf-8", "replace"), 1))
        self.steps = []

    def read(self) -> list[Step]:
        """All steps that were kept."""
        early = [step for piece in self._early for step in self.from_json(zlib.decompress(piece).decode())]
        return [*early, *self.steps]

    def __iter__(self) -> Iterator[str]:
        """The texts."""
        return (step.text for step in self.read())

    def __len__(self) -> int:
        return len(self.read())

    def to_json(self) -> str:
        """The steps as a JSON list, which `from_json` reads; values become text where JSON has no such type."""
        return _to_json(self.read())

    @staticmethod
    def from_json(text: str) -> list[Step]:
        """Steps that were written by `to_json`."""
        return [Step(*step) for step in json.loads(text)]


def _to_json(steps: Iterable[Step]) -> str:
    return json.dumps(
        [(round(step.offset, 4), step.kind, step.template, step.data) for step in steps],
        default=str,
        ensure_ascii=False,
        separators=(",", ":"),
    )
