# SPDX-License-Identifier: Apache-2.0
"""An action: asked whether its actor may, done in one transaction, and noted there, once.

    with BLOCK.by(actor, number, reason="bill not paid") as deed:
        ...
        deed.changed({"state": "active"}, {"state": "blocked"})

What fails notes nothing; nor does what changed nothing, if it says so (`deed.nothing()`).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction

from billing.audit_log.actor import NotAllowedError
from billing.audit_log.models import AuditLog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from billing.audit_log.actor import Actor

__all__ = ["Action", "Deed"]

SECRETS: Final = frozenset({"password", "pin"})
MASK: Final = "********"


@dataclass(frozen=True, slots=True)
class Action:
    """What can be done to one kind of thing."""

    name: str
    """Such as `accounts.block`."""
    of: str
    """The kind of what it is done to, such as `account`."""

    @contextmanager
    def by(self, actor: Actor, subject: str, *, reason: str = "") -> Iterator[Deed]:
        """One transaction, at whose end the deed is noted. Raises NotAllowedError before anything is done."""
        self.check(actor)
        deed = Deed(self, actor, subject, reason)
        with transaction.atomic():
            yield deed
            deed.write()

    def check(self, actor: Actor) -> None:
        """Raises NotAllowedError if the actor may not."""
        if not actor.role.allows(self.name):
            raise NotAllowedError(f"{actor.name} may not do that: {self.name} is not for {actor.role.name}")


@dataclass(slots=True)
class Deed:
    """One time that an action is done, on its way into the log."""

    action: Action
    actor: Actor
    subject: str
    reason: str = ""
    _before: dict[str, Any] = field(default_factory=dict)
    _after: dict[str, Any] = field(default_factory=dict)
    _details: dict[str, Any] = field(default_factory=dict)
    _is_over: bool = False

    def changed(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Keep what differs; what is missing on one side was not there, or is not any more."""
        for name in {**before, **after}:
            if before.get(name) != after.get(name):
                self._before |= {name: _kept(name, before[name])} if name in before else {}
                self._after |= {name: _kept(name, after[name])} if name in after else {}

    def tell(self, **details: Any) -> None:
        """Keep what else tells; nothing secret."""
        self._details |= {name: _plain(value) for name, value in details.items()}

    def nothing(self) -> None:
        """Nothing was changed: there is nothing to note."""
        self._is_over = True

    def row(self) -> AuditLog:
        """The deed as the log has it, not saved."""
        actor = self.actor
        return AuditLog(
            actor=actor.name[:120], role=actor.role.name[:64], via=actor.via, origin=actor.origin[:255],
            action=self.action.name, kind=self.action.of, subject=self.subject[:255], reason=self.reason,
            before=self._before, after=self._after, details=self._details,
        )  # fmt: skip

    def write(self) -> int | None:
        """Note it now rather than at the end, such as before a secret is shown; its number, None if there is none."""
        if self._is_over:
            return None
        self._is_over = True
        row = self.row()
        row.save(force_insert=True)
        return row.pk


def _kept(name: str, value: Any) -> Any:
    return MASK if name in SECRETS and value else _plain(value)


def _plain(value: Any) -> Any:
    """A value as JSON has it; decimals and dates as they are written."""
    match value:
        case None | bool() | int() | str():
            return value
        case dict():
            return {str(key): _kept(str(key), one) for key, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
    return str(value)
