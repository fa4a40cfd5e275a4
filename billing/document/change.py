# SPDX-License-Identifier: Apache-2.0
"""What applying a document changed, or would."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Change"]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference; an empty `field` means the whole thing, made (`before` None) or removed (`after` None).

    A whole thing is told by a mapping of what tells most of it, or as `present`.
    """

    kind: str
    key: str
    field: str
    before: Any
    after: Any

    def __str__(self) -> str:
        if self.field:
            return f"{self.kind} {self.key}: {self.field} {self.before} -> {self.after}"
        return f"{'-' if self.after is None else '+'} {self.kind} {self.key}"
