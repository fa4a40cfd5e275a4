# SPDX-License-Identifier: Apache-2.0
"""How the garbage collector is kept from stopping the switch.

Objects go by reference count as soon as nobody uses them; the collector is there for cycles only. A full collection
looks at every object: with ten thousand registered accounts that takes 0.2 to 0.4 s, in which no message is answered,
and with Python's own thresholds a busy switch makes one every few seconds.
"""

from __future__ import annotations

import gc
from typing import Final

__all__ = ["settle"]

_THRESHOLDS: Final = (1_000, 1, 10_000)
"""Young objects are looked at a thousand at a time, those that outlive that three thousand at a time, all once in 30
million. Each object is looked at as often as with larger heaps, but no single look holds up the messages: with five and
thirty thousand, looks took 20 to 160 ms on a busy machine, mostly 5 to 13 ms now."""


def settle() -> None:
    """To be called when everything that stays has been loaded: no collection looks at that any more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
