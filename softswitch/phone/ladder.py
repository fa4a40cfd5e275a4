# SPDX-License-Identifier: Apache-2.0
"""The ladder of a call: who sent what to whom, in the order of time, with the switch in the middle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from softswitch.phone.trace import SipMessage

__all__ = ["ladder"]

ARROW_WIDTH: Final = 34


def ladder(
    left: tuple[str, Iterable[SipMessage]], right: tuple[str, Iterable[SipMessage]], middle: str = "softswitch"
) -> str:
    """Draws the messages of two phones; times count from the first one."""
    steps = [(message, True) for message in left[1]] + [(message, False) for message in right[1]]
    steps.sort(key=lambda step: step[0].at)
    if not steps:
        return "(no messages)"
    started_at = steps[0][0].at
    gap = " " * ARROW_WIDTH
    lines = [f"{'seconds':>8}  {left[0]:<{ARROW_WIDTH - 3}}{middle:^10}{right[0]:>{ARROW_WIDTH - 3}}"]
    for message, is_left in steps:
        arrow = _arrow(message, to_the_right=message.is_sent is is_left)
        cells = [arrow, gap] if is_left else [gap, arrow]
        lines.append(f"{message.at - started_at:8.3f}  │{'│'.join(cells)}│")
    return "\n".join(lines)


def _arrow(message: SipMessage, *, to_the_right: bool) -> str:
    text = f" {message.summary[: ARROW_WIDTH - 6]} "
    return f"{text:─^{ARROW_WIDTH - 1}}▶" if to_the_right else f"◀{text:─^{ARROW_WIDTH - 1}}"
