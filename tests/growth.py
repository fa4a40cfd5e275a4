# SPDX-License-Identifier: Apache-2.0
"""What is left in memory of calls that are over: nothing may be, by kind of object.

    growth = Growth()
    with growth.uncollected():
        await calls(500)            # what is made once
        growth.begin()
        await calls(500)
        assert growth.by_kind(500) == {}

The collector is off: what only it would find counts as left, as a busy process has it look at everything once in 30
million objects (`switch.collector`).
"""

from __future__ import annotations

import contextlib
import gc
import logging
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Growth"]

_CACHED: Final = ("switch.sip.message.address.NameAddr", "switch.sip.message.uri.Uri", "builtins.mappingproxy")
"""Parsed addresses are kept, as many as `switch.sip.message.address` and `switch.sip.message.uri` say."""


class Growth:
    """Counts objects."""

    def __init__(self) -> None:
        self._before: Counter[str] = Counter()

    @contextlib.contextmanager
    def uncollected(self) -> Iterator[None]:
        """Within, nothing goes but with its last use; nothing is logged, as pytest keeps what is."""
        gc.collect()
        gc.disable()
        logging.disable()
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)
            gc.enable()

    def begin(self) -> None:
        """From now on nothing may grow."""
        self._before = _count()

    def by_kind(self, calls: int) -> dict[str, float]:
        """How many objects each of so many calls has left, by class. Less than one for two calls is not counted: some
        are made once, on first use, and heaps of timers keep a few dozen entries that are void."""
        grown = _count() - self._before
        return {kind: number / calls for kind, number in grown.items() if number >= calls / 2 and kind not in _CACHED}


def _count() -> Counter[str]:
    return Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects() if not _is_plain(one))


def _is_plain(one: object) -> bool:
    """Whether it is a tuple of numbers and texts, which a collection would leave out: an entry of a heap."""
    return type(one) is tuple and not any(map(gc.is_tracked, one))
