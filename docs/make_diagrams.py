# SPDX-License-Identifier: Apache-2.0
"""Draw docs/transactions.md from the transition tables: python -m docs.make_diagrams."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from switch.sip.transaction import (
    InviteClientTransaction,
    InviteServerTransaction,
    NonInviteClientTransaction,
    NonInviteServerTransaction,
)
from switch.sip.transaction.timers import Timers

if TYPE_CHECKING:
    from switch.sip.transaction.machine import Machine

PAGE: Final = Path(__file__).with_name("transactions.md")

_INTRODUCTION: Final = """\
# Transactions

Drawn by `python -m docs.make_diagrams` from the tables in `switch/sip/transaction/`; a test keeps this page up to date.
Compare with figures 5 to 8 of RFC 3261 and with RFC 6026. Each arrow reads *input / action*. An input that is not drawn
does nothing: from the wire it is counted as ignored, from our own side it is an error.
"""
_FIGURES: Final = (
    (InviteClientTransaction, "INVITE from TU"),
    (NonInviteClientTransaction, "Request from TU"),
    (InviteServerTransaction, "INVITE"),
    (NonInviteServerTransaction, "Request"),
)


def page() -> str:
    """The whole page."""
    parts = [_INTRODUCTION, *(_figure(machine, beginning) for machine, beginning in _FIGURES), _timers()]
    return "\n".join(parts)


def _figure(machine: type[Machine], beginning: str) -> str:
    lines = [f"    [*] --> {machine.INITIAL}: {beginning}"]
    for (state, event), (action, target) in machine.TABLE.items():
        words = action.strip("_").replace("_", " ")
        does = "" if words == "do nothing" else f" / {words}"
        # mermaid ends a statement at a semicolon and a colon separates the label: neither occurs in our words
        lines.append(f"    {state} --> {target}: {event}{does}")
    lines.append("    Terminated --> [*]")
    title = (machine.__doc__ or "").strip().partition("\n")[0]
    module = machine.__module__.rpartition(".")[2]
    body = "\n".join(lines)
    return (
        f"## {machine.__name__}\n\n{title} `switch/sip/transaction/{module}.py`\n\n"
        f"```mermaid\nstateDiagram-v2\n{body}\n```\n"
    )


def _timers() -> str:
    table = "\n".join(line.strip() for line in (Timers.__doc__ or "").splitlines() if line.strip().startswith("|"))
    timers = Timers()
    return (
        f"## Timers\n\nT1 = {timers.t1:g} s, T2 = {timers.t2:g} s, T4 = {timers.t4:g} s.\n\n{table}\n\n"
        f"Beside the letters: an INVITE without a response of its user after {timers.trying_seconds * 1000:.0f} ms is\n"
        f"answered 100 (17.2.1), any other one after {timers.late_seconds:g} s (RFC 4320: timer E of its client\n"
        "is at T2); an INVITE without a final response 64*T1 after its CANCEL is given up (9.1).\n"
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
