# SPDX-License-Identifier: Apache-2.0
"""What applying a document changed, on its way into the log of what was done.

The run is one entry with counts; each thing that it changed has one of its own, with before and after, unless it were
more of them than anybody reads. Rates are only counted.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from billing.audit_log.action import Action, Deed
from billing.audit_log.models import AuditLog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing.document.change import Change

__all__ = ["note"]

MOST_TOLD: Final = 1000
"""So many changed things have an entry each."""
COUNTED: Final = "rate"
OF: Final = {"mailbox": "account"}
"""What things of a kind are found by, where that is another thing."""


def note(deed: Deed, changes: Sequence[Change]) -> None:
    """Note one run; nothing, where it changed nothing."""
    if not changes:
        deed.nothing()
        return
    things: dict[tuple[str, str], Deed] = {}
    for change in changes:
        if change.kind == COUNTED:
            continue
        action = Action(f"document.{change.kind}", OF.get(change.kind, change.kind))
        _take(things.setdefault((change.kind, change.key), Deed(action, deed.actor, change.key, deed.reason)), change)
    counts = Counter(f"{kind} changes" for kind, _ in things)
    counts[f"{COUNTED} changes"] = sum(change.kind == COUNTED for change in changes)
    deed.tell(**{name: count for name, count in counts.items() if count})
    if len(things) <= MOST_TOLD:
        AuditLog.objects.bulk_create(thing.row() for thing in things.values())


def _take(thing: Deed, change: Change) -> None:
    if change.field:
        thing.changed({change.field: change.before}, {change.field: change.after})
    else:
        thing.changed(_whole(change.before), _whole(change.after))


def _whole(told: Any) -> dict[str, Any]:
    """A thing that was made or removed, on the side where it is."""
    if told is None:
        return {}
    return {"thing": "present"} | ({name: value for name, value in told.items() if value} if told != "present" else {})
