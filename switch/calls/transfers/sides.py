# SPDX-License-Identifier: Apache-2.0
"""Who talks on either side of a call that was answered: those who began it, or who came in their places."""

from __future__ import annotations

from typing import TYPE_CHECKING

from switch.sip.session import State

if TYPE_CHECKING:
    from billing_client.parties import Party
    from switch.calls.leg import Legs
    from switch.sip.message.message import Request
    from switch.sip.session import IncomingInvite, Session

__all__ = ["Sides"]


class Sides:
    """The caller's side and the callee's."""

    __slots__ = ("_invite", "_phones", "_stand_in", "callee")

    def __init__(self, invite: IncomingInvite) -> None:
        self._invite = invite
        self._stand_in: Session | None = None
        """Who came in the caller's place."""
        self._phones: dict[Session, Party] = {}
        """Accounts of ours on sides other than the caller's first."""
        self.callee: Session | None = None
        """Who answered, or came in his place."""

    @property
    def callers(self) -> list[Session]:
        """The dialogs on the caller's side."""
        return self._invite.sessions if self._stand_in is None else [self._stand_in]

    @property
    def all(self) -> list[Session]:
        """Those of both sides, and of the first caller."""
        found = [*self._invite.sessions, *self.callers]
        return found if self.callee is None else [self.callee, *found]

    def answered(self, session: Session, phone: Party | None) -> None:
        """Somebody answered; `phone`: the account whose phone it is."""
        self.callee = session
        if phone is not None:
            self._phones[session] = phone

    def change(self, old: Session, new: Session, phone: Party | None) -> None:
        """Somebody comes in the place of another one."""
        if old is self.callee:
            self.callee = new
        else:
            self._stand_in = new
        if phone is not None:
            self._phones[new] = phone

    def hang_up(self, legs: Legs, asked: Request | None, headers: list[tuple[str, str]]) -> None:
        """BYE to both; `asked`: the INVITE that was answered, where that is not acknowledged yet."""
        if self.callee is not None and self.callee.state is State.ACCEPTED and asked is not None:
            legs.acknowledge(self.callee, asked)  # RFC 3261 15: no BYE before the ACK
        for session in self.all:
            legs.hang_up(session, headers)

    def let_go(self) -> None:
        """Cut what leads back to the call."""
        self._invite.owner = None
        for session in self.all:
            session.owner = None
        if self.callee is not None:
            self._invite.transaction.user = None

    def phone_at(self, session: Session, caller: Party | None) -> Party | None:
        """The account whose phone is there; `caller`: whose phone made the call."""
        return caller if session in self._invite.sessions else self._phones.get(session)
