# SPDX-License-Identifier: Apache-2.0
"""`softswitch calls --watch`: what runs on all nodes, drawn again every second."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.live import Live
from rich.text import Text

from softswitch.cli.context import Column, amount_text
from softswitch.shown import json_text, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType

    from billing.calls.live import Announcements
    from softswitch.cli.context import Shell

__all__ = ["readable", "watch_calls"]

COLUMNS = (
    Column("id", "Call"),
    Column("caller", "From"),
    Column("dialled", "To"),
    Column("state", "State"),
    Column("time", "Time", is_number=True),
    Column("left", "Left", is_number=True),
    Column("spent", "Spent", is_number=True),
    Column("lost", "Lost %", is_number=True, is_dispensable=True),
    Column("jitter", "Jitter", is_number=True, is_dispensable=True),
    Column("account", "Pays", is_dispensable=True),
    Column("customer", "Customer", grows=True, is_dispensable=True),
    Column("locked", "Locked", is_number=True, is_dispensable=True),
    Column("price", "A minute", is_number=True, is_dispensable=True),
    Column("destination", "Destination", grows=True, is_dispensable=True),
    Column("gateway", "Gateway", is_dispensable=True),
    Column("node", "Node", is_dispensable=True),
)
LONGEST_NUMBER = 12
STATES = {"answered": "talks", "ringing": "rings"}
FRAME_LINES = 5
EVERY_SECONDS = 1.0


def watch_calls(shell: Shell, seconds: float | None, *, as_json: bool) -> None:
    """Show all calls until Ctrl-C, or for so many seconds."""
    until = float("inf") if seconds is None else time.monotonic() + seconds
    with shell.store(), contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as shown:
        from billing.calls import live as running

        live = None
        if not as_json:
            live = shown.enter_context(Live(console=shell.out, screen=shell.out.is_terminal, refresh_per_second=4))
        for found in running.watch_calls(EVERY_SECONDS):
            if live is None:
                shell.out.file.write(json_text(found.calls(time.monotonic())) + "\n")
                shell.out.file.flush()
            else:
                live.update(view(shell, found))
            if time.monotonic() >= until:
                return


def view(shell: Shell, found: Announcements) -> RenderableType:
    """One picture."""
    calls = found.calls(time.monotonic())
    room = max(1, shell.out.height - FRAME_LINES) if shell.out.is_terminal else len(calls)
    heading = f"{found.total} calls on {', '.join(found.nodes) or 'no node yet'}"
    if len(calls) > room:
        heading += f", the {room} longest"
    return Group(Text(heading, style="bold"), shell.table([readable(call) for call in calls[:room]], COLUMNS))


def readable(call: Mapping[str, Any]) -> dict[str, str]:
    """A call as the table shows it; what came from the caller stands before what came from the callee."""
    left = call["remaining_seconds"]
    media = [(call["media"] or {}).get(side) for side in ("caller", "callee")]
    texts = {key: str(call[key] or "") for key in ("account", "customer", "destination", "gateway", "node")}
    return texts | {
        "id": call["call_id"][:8],
        "state": STATES.get(call["state"], call["state"]),
        "caller": _short(call["caller"]),
        "dialled": _short(call["dialled"]),
        "time": _clock(call["seconds"]),
        "left": "" if left is None else _clock(left) + ("" if call["is_ending"] else "+"),
        "spent": amount_text(call["spent"], call.get("currency")),
        "locked": amount_text(call["locked"], call.get("currency")),
        "price": amount_text(call["price"], call.get("currency")),
        "lost": _pair([_loss(one) for one in media]),
        "jitter": _pair(
            ["" if one is None or one["jitter_ms"] is None else f"{one['jitter_ms']:.0f}" for one in media]
        ),
    }


def _short(number: str) -> str:
    number = one_line(number)
    return number if len(number) <= LONGEST_NUMBER else number[: LONGEST_NUMBER - 1] + "…"


def _clock(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}:{rest:02d}"


def _loss(media: Mapping[str, Any] | None) -> str:
    """Lost packets in percent of those that were sent."""
    if media is None or media["packets"] is None or media["lost"] is None:
        return ""
    sent = media["packets"] + media["lost"]
    return f"{100 * media['lost'] / sent:.1f}" if sent else "-"


def _pair(texts: list[str]) -> str:
    return "/".join(texts) if any(texts) else ""
