# SPDX-License-Identifier: Apache-2.0
"""The keys that a party has pressed and nobody has asked for yet (type-ahead)."""

from __future__ import annotations

from collections import deque
from typing import Final

__all__ = ["ANY", "KEYS", "KeyBuffer"]

KEYS: Final = "0123456789*#ABCD"
ANY: Final = "any"
_MOST: Final = 256
"""Keys that are kept; what is pressed beyond is lost."""


class KeyBuffer:
    """Keys in the order in which they were pressed."""

    def __init__(self) -> None:
        self._keys: deque[str] = deque()
        self._first = 0
        """How many keys have left the buffer."""

    def __len__(self) -> int:
        return len(self._keys)

    def press(self, key: str) -> None:
        """A key was pressed; what is no key is ignored."""
        if key in KEYS and len(self._keys) < _MOST:
            self._keys.append(key)

    def take(self) -> str:
        """The key that was pressed first; "" where there is none."""
        if not self._keys:
            return ""
        self._first += 1
        return self._keys.popleft()

    def clear(self) -> None:
        """Forget all keys."""
        self._first += len(self._keys)
        self._keys.clear()

    @property
    def mark(self) -> int:
        """A place in the stream of keys: after the last one."""
        return self._first + len(self._keys)

    def interrupting(self, interrupt: str, mark: int) -> str:
        """The key that ends a prompt: one of `interrupt`, at the head of the buffer or pressed since `mark`.

        It is taken out, but not where `interrupt` is ANY: then every key counts, and stays to be asked for.
        """
        if not interrupt or not self._keys:
            return ""
        if interrupt == ANY:
            return self._keys[0]
        for place, key in enumerate(self._keys):
            if key in interrupt and (place == 0 or self._first + place >= mark):
                del self._keys[place]
                if place == 0:
                    self._first += 1
                return key
        return ""
