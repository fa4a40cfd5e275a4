# SPDX-License-Identifier: Apache-2.0
"""The SIP messages of both legs as a ladder, the switch in the middle; at most 100 columns wide."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from switch.sip.message.host import with_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from switch.trace.ladder import Crossing

__all__ = ["address", "ladder", "legs", "summary"]

ARROW: Final = 40
MIDDLE: Final = "softswitch"

_STATUS: Final = re.compile(rb"SIP/2\.0 (\d{3} [^\r\n]*)")
_CSEQ: Final = re.compile(rb"(?im)^CSeq[ \t]*:[ \t]*\d+[ \t]+([A-Za-z]+)")
_SDP: Final = re.compile(rb"(?im)^(?:Content-Type|c)[ \t]*:[ \t]*application/sdp")
_DIRECTION: Final = re.compile(rb"(?m)^a=(sendonly|recvonly|inactive)")
_CALL_ID: Final = re.compile(rb"(?im)^(?:Call-ID|i)[ \t]*:[ \t]*([^\r\n]+)")


def ladder(crossings: Sequence[Crossing]) -> str:
    """Draws the messages in the order of time; seconds count from the beginning of the call."""
    if not crossings:
        return "(no messages were kept)"
    called = sorted({crossing.leg for crossing in crossings} - {"a"})
    shown = {leg: f"{leg} " if len(called) > 1 else "" for leg in called}
    right = ", ".join(called) if called else ""
    lines = [f"{'seconds':>8}  {'a':<{ARROW - 5}}{MIDDLE:^12}{right:>{ARROW - 5}}"]
    gap = " " * ARROW
    seen: set[tuple[str, bool, bytes]] = set()
    for crossing in crossings:
        text = shown.get(crossing.leg, "") + summary(crossing.data)
        key = (crossing.leg, crossing.is_sent, crossing.data)
        if key in seen:
            text += ", again"
        seen.add(key)
        is_left = crossing.leg == "a"
        arrow = _arrow(text, to_the_right=crossing.is_sent is not is_left)
        lines.append(f"{crossing.at:8.3f}  │{arrow if is_left else gap}│{gap if is_left else arrow}│")
    return "\n".join(lines)


def legs(crossings: Sequence[Crossing]) -> Iterator[str]:
    """A line a leg: who is at its other end, and its Call-ID."""
    first: dict[str, Crossing] = {}
    for crossing in crossings:
        first.setdefault(crossing.leg, crossing)
    for leg, crossing in sorted(first.items()):
        found = _CALL_ID.search(crossing.data)
        call_id = found[1].decode("utf-8", "replace").strip() if found else "?"
        far, near = address(crossing.flow.remote), address(crossing.flow.local)
        yield f"{leg:<3} {far:<22} by {crossing.flow.transport} from {near:<22} Call-ID {call_id}"


def address(socket: tuple[str, int]) -> str:
    """host:port, as URIs write it."""
    host, port = socket
    return with_port(host, port)


def summary(data: bytes) -> str:
    """What a rung of the ladder says: `INVITE + SDP`, `200 OK (INVITE) + SDP`."""
    status = _STATUS.match(data)
    cseq = _CSEQ.search(data)
    if status is None:
        text = data.split(b" ", 1)[0].decode("ascii", "replace")
    else:
        text = status[1].decode("utf-8", "replace").strip() + (f" ({cseq[1].decode()})" if cseq else "")
    if _SDP.search(data):
        held = _DIRECTION.search(data)
        text += f" + SDP {held[1].decode()}" if held else " + SDP"
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _arrow(text: str, *, to_the_right: bool) -> str:
    label = f" {text[: ARROW - 4]} "
    return f"{label:─^{ARROW - 1}}▶" if to_the_right else f"◀{label:─^{ARROW - 1}}"
