# SPDX-License-Identifier: Apache-2.0
"""A caller: the leg of an INVITE that the switch sent us."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ivr.legs.outgoing import Origin, OutgoingLeg
from ivr.legs.sip_leg import SipLeg
from switch.sip.message.reason import reason, reason_cause
from switch.sip.session import Acknowledged, Cancelled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ivr.legs.house import House
    from ivr.verbs import DialRequest
    from media.session.session import MediaSession
    from switch.sip.mark import Chain
    from switch.sip.message.message import Request
    from switch.sip.session import IncomingInvite, Session, SessionEvent

__all__ = ["IncomingLeg"]

_PASSED_ON: Final = ("Diversion", "History-Info")
"""RFC 5806, RFC 7044: where a call has been, so that forwarding in a circle ends."""


class IncomingLeg(SipLeg):
    """See Leg."""

    def __init__(self, house: House, media: MediaSession, invite: IncomingInvite, chain: Chain) -> None:
        """`chain`: what led here, which calls of ours go on from.

        Takes the offer; raises SdpError or NoCodecError. The media session is then the caller's to close.
        """
        super().__init__(house, media, invite.flow.remote[0])
        offer = invite.request.sdp
        self._invite = invite
        self._chain = chain
        self._description = media.answer(offer, self.signaller) if offer is not None else media.offer()
        self._is_late = offer is None
        """The caller sent no offer: ours goes with the first response that must arrive, the answer comes back in its
        PRACK or ACK (RFC 3264, RFC 3262 section 5)."""
        self._described = False
        invite.owner = self

    @property
    def call_id(self) -> str:
        """See Leg."""
        return self._invite.request.call_id

    @property
    def dialogs(self) -> Sequence[IncomingInvite | Session]:
        """See SipLeg."""
        return (self._invite, *self._invite.sessions)

    @property
    def request(self) -> Request:
        """The INVITE."""
        return self._invite.request

    # verbs ----------------------------------------------------------------------------------------------------------
    def ring(self) -> None:
        """See Leg."""
        if self.is_talking:
            self.play_ringback()
        else:
            self.perform(self._invite.progress(180, self.now()))

    def progress(self) -> None:
        """See Leg. A caller that offers late and knows no reliable responses has no early media: it hears nothing."""
        if self.is_answered or self._described or self.is_gone:
            return
        if self._is_late and not self._invite.accepts_reliable:
            self.is_talking = True
            return
        self._described = True
        self._answer_due = self._is_late
        body, reliable = self._description, self._invite.accepts_reliable
        self.perform(self._invite.progress(183, self.now(), body=body, reliable=reliable))
        self.is_talking = not self._is_late
        self.tell()

    def answer(self) -> None:
        """See Leg."""
        if self.is_answered or self.is_gone:
            return
        self.is_answered = True
        self.status = 200
        self.media.begin()
        body = b"" if self._described else self._description
        if self._is_late and not self._described:
            self._answer_due, self.is_talking = True, False
        self._described = True
        self.session = self._invite.session()
        self.perform(self._invite.accept(self.now(), body=body))
        if not self._is_late:
            self.is_talking = True
        self.tell()

    def hang_up(self, status: int = 480, cause: int = 16) -> None:
        """See Leg."""
        if self.is_gone:
            return
        self.cause = cause
        if self.is_answered:
            self.bye(cause)
        else:
            self.status = status
            self.perform(self._invite.reject(status, self.now(), headers=[reason(cause)]))
        self.over()

    def accept_charge(self) -> None:
        """See Leg; whoever called us has asked for it."""

    def dial(self, request: DialRequest) -> OutgoingLeg:
        """See Leg."""
        asked = self.request
        history = tuple((name, value) for name in _PASSED_ON for value in asked.all(name)) if request.diverted else ()
        hops = asked.max_forwards
        return OutgoingLeg.call(self.house, request, Origin(70 if hops is None else hops, history, self._chain))

    # events ---------------------------------------------------------------------------------------------------------
    def receive(self, event: SessionEvent) -> None:
        """Something happened in the dialog, or before it."""
        match event:
            case Cancelled(_, request):
                self.cause = reason_cause(request.all("Reason")) or 16
                self.status = 487
                self.over()
            case Acknowledged() if self.is_gone:
                return
            case _:
                super().receive(event)
