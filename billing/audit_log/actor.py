# SPDX-License-Identifier: Apache-2.0
"""Who acts, from where, by what, and what he may do. Nothing here knows the store."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["ADMINISTRATOR", "AUDITOR", "HELPDESK", "ActionError", "Actor", "NotAllowedError", "Role", "Via"]


class ActionError(Exception):
    """An action was refused and changed nothing; the text says why, in a sentence for whoever asked for it."""


class NotAllowedError(ActionError):
    """The actor may not do that."""


class Via(StrEnum):
    """By what somebody acts."""

    COMMAND_LINE = "command line"
    WEB = "web"
    API = "API"
    JOB = "job"
    """A process of ours that nobody sits at: a start, periodic work."""
    IVR = "IVR"
    STORE = "store"
    """The store itself, which notes alarms."""


@dataclass(frozen=True, slots=True)
class Role:
    """What somebody may do."""

    name: str
    may: frozenset[str]
    """Names of actions, such as `accounts.block`; all of a kind, such as `mailboxes.*`; or `*`."""

    def allows(self, action: str) -> bool:
        """Whether it may be done by this role."""
        return not self.may.isdisjoint((action, f"{action.partition('.')[0]}.*", "*"))


ADMINISTRATOR: Final = Role("administrator", frozenset({"*"}))
HELPDESK: Final = Role(
    "helpdesk",
    frozenset({
        "accounts.activate", "accounts.block", "accounts.forget_number", "accounts.note", "accounts.suspend",
        "accounts.unblock", "calls.disconnect", "guessing.unlock", "mailboxes.*",
    }),
)  # fmt: skip
"""Helps whoever calls: no money, no password of a phone or a voucher, no tariff."""
AUDITOR: Final = Role("auditor", frozenset())
"""Looks, and changes nothing."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever asks for an action."""

    name: str
    role: Role
    via: Via
    origin: str = ""
    """From where: an address, the name of a machine."""
