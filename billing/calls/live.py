# SPDX-License-Identifier: Apache-2.0
"""What runs on all switches, as they announce it for as long as somebody watches."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from billing.store.query import Row

__all__ = ["Announcements", "watch_calls"]

CHANNEL: Final = "softswitch_calls"
ASK_SECONDS: Final = 5.0
"""How often the switches are told that somebody watches; they stop after three times as long."""
SILENT_SECONDS: Final = 8.0
"""A switch that has announced nothing for so long is not shown."""


@dataclass(slots=True)
class _Node:
    heard_at: float
    number: int = 0
    coming: list[Row] = field(default_factory=list)
    calls: list[Row] = field(default_factory=list)
    total: int = 0


class Announcements:
    """Puts the messages of several switches together. `now` is in monotonic seconds."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}

    def take(self, payload: str, now: float) -> bool:
        """Take a message; True if a switch's announcement is complete with it."""
        message: dict[str, Any] = json.loads(payload)
        node = self._nodes.setdefault(message["node"], _Node(now))
        if node.number != message["round"]:
            node.number, node.coming = message["round"], []
        node.heard_at = now
        node.coming += [{**call, "node": message["node"]} for call in message["calls"]]
        if message["last"]:
            node.calls, node.total, node.coming = node.coming, message["total"], []
        return bool(message["last"])

    def calls(self, now: float) -> list[Row]:
        """All calls, the longest running first."""
        self._nodes = {name: node for name, node in self._nodes.items() if now - node.heard_at < SILENT_SECONDS}
        rows = [call for node in self._nodes.values() for call in node.calls]
        return sorted(rows, key=lambda row: (row["started_at"], row["call_id"]))

    @property
    def nodes(self) -> list[str]:
        """Which switches announce."""
        return sorted(self._nodes)

    @property
    def total(self) -> int:
        """How many calls there are, also those that a busy switch does not name."""
        return sum(node.total for node in self._nodes.values())


def watch_calls(every_seconds: float) -> Iterator[Announcements]:
    """Watch until the iterator is closed; yields what is known when a switch announced, or after so many seconds."""
    from django.db import connection

    connection.ensure_connection()
    listening = connection.connection
    listening.execute(f"LISTEN {CHANNEL}")
    found, asked_at = Announcements(), float("-inf")
    try:
        while True:
            if time.monotonic() - asked_at >= ASK_SECONDS:
                asked_at = time.monotonic()
                listening.execute("SELECT pg_notify('softswitch', 'watch')")
            for notice in listening.notifies(timeout=every_seconds):
                if found.take(notice.payload, time.monotonic()):
                    break
            yield found
    finally:
        listening.execute(f"UNLISTEN {CHANNEL}")
