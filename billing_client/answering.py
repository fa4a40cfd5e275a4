# SPDX-License-Identifier: Apache-2.0
"""Changing how an account takes its calls, as star codes do: the door that applications use."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from billing_client.link.pool import Pool

if TYPE_CHECKING:
    from billing_client.rules.incoming import Mode

__all__ = ["Answering", "AnsweringChange", "StoreAnswering"]

SET_ANSWERING = "SELECT set_answering($1, $2::jsonb) AS found"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweringChange:
    """What to change; None: nothing of that."""

    mode: Mode | None = None
    do_not_disturb: bool | None = None
    trigger: str | None = None
    """"always", "busy", "no_answer" or "unregistered": the forward that changes."""
    forward_to: str | None = None
    """Where that forward leads; empty: it goes."""
    ring_seconds: int | None = None

    def to_json(self) -> str:
        """As the store takes it: null takes a thing away."""
        change: dict[str, Any] = {}
        if self.mode is not None:
            change["mode"] = self.mode
        if self.do_not_disturb is not None:
            change["do_not_disturb"] = self.do_not_disturb or None
        if self.ring_seconds is not None:
            change["ring_seconds"] = self.ring_seconds or None
        if self.trigger is not None:
            change["forward"] = {self.trigger: {"to": self.forward_to} if self.forward_to else None}
        return json.dumps(change)


class Answering(Protocol):
    """How accounts take their calls, for applications; raises StoreError."""

    async def set_answering(self, number: str, change: AnsweringChange) -> bool:
        """Change something of an account; false: there is no such account."""


class StoreAnswering:
    """`Answering` on the billing store; make one by `connect`."""

    def __init__(self, pool: Pool) -> None:
        """The pool is closed by `close`."""
        self._pool = pool

    @classmethod
    async def connect(
        cls, dsn: str, *, node: str, connections: int = 1, timeout_seconds: float = 2.0
    ) -> StoreAnswering:
        """Open connections of its own; raises StoreUnavailable."""
        name = f"softswitch {node} answering"
        pool = Pool(dsn, name=name, size=connections, timeout_seconds=timeout_seconds, prepare=(SET_ANSWERING,))
        await pool.open()
        return cls(pool)

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def set_answering(self, number: str, change: AnsweringChange) -> bool:
        """Change something of an account; false: there is no such account. Raises StoreError."""
        found = await self._pool.fetch(SET_ANSWERING, number, change.to_json())
        return bool(found[0]["found"])
