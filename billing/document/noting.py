# SPDX-License-Identifier: Apache-2.0
"""What applying a document changed, on its way into the log of what was done.

The run is one entry with counts; each thing that it changed has one of its own, with before and after, unless it were
more of them than anybody reads. Rates are only counted.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from billing.audit_log.action import Action, Deed
from billing.audit_log.models import AuditLog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing.document.change import Change

__all__ = ["note"]

MOST_TOLD: Final = 1000
"""So many changed things have an entry each."""
KINDS: Final = ("customer", "tariff", "product", "account", "alias", "mailbox", "range", "address", "gateway", "route")
OF: Final = {"mailbox": "account"}
"""What things of a kind are found by."""
ACTIONS: Final = {kind: Action(f"document.{kind}", OF.get(kind, kind)) for kind in KINDS}


def note(deed: Deed, changes: Sequence[Change]) -> None:
    """Note one run; nothing, where it changed nothing."""
    if not changes:
        deed.nothing()
        return
    things: dict[tuple[str, str], Deed] = {}
    rates = 0
    for change in changes:
        if change.kind not in ACTIONS:
            rates += 1
            continue
        thing = things.setdefault(
            (change.kind, change.key), Deed(ACTIONS[change.kind], deed.actor, change.key, deed.reason)
        )
        _take(thing, change)
    counts = Counter(f"{kind} changes" for kind, _ in things)
    deed.tell(**counts, **({"rate changes": rates} if rates else {}))
    if len(things) <= MOST_TOLD:
        AuditLog.objects.bulk_create(thing.row() for thing in things.values())


def _take(thing: Deed, change: Change) -> None:
    if change.field:
        thing.changed({change.field: change.before}, {change.field: change.after})
    elif change.after is None:
        thing.changed({"thing": "present"}, {})
    else:
        thing.changed({}, {"thing": "present", **{name: value for name, value in change.after.items() if value}})
