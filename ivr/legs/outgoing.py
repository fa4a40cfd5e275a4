# SPDX-License-Identifier: Apache-2.0
"""A called party: the leg of an INVITE that we send to the switch, which authorises and charges the account served."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ivr.legs.sip_leg import SipLeg
from ivr.verbs import ANONYMOUS, DialFailed
from media.rtp.ports import NoPortsError
from switch.sip.mark import ACCEPTED, NOBODY
from switch.sip.message.address import NameAddr
from switch.sip.message.errors import ParseError
from switch.sip.message.flow import Hop
from switch.sip.message.message import Request
from switch.sip.message.reason import reason, reason_cause
from switch.sip.message.uri import Uri
from switch.sip.session import Answered, Failed, Progressed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ivr.legs.house import House
    from ivr.verbs import DialRequest
    from media.session.session import MediaSession
    from switch.sip.mark import Chain
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import HeaderLines, Response
    from switch.sip.session import OutgoingInvite, Session, SessionEvent

__all__ = ["Origin", "OutgoingLeg"]

_BAD_ADDRESS: Final = 484
_TOO_MANY_HOPS: Final = 483
_UNAVAILABLE: Final = 503

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Origin:
    """What a call that we make inherits from the one that asked for it."""

    max_forwards: int = 70
    history: tuple[tuple[str, str], ...] = ()
    """Diversion and History-Info of a call that is forwarded."""
    chain: Chain = NOBODY
    """Who began it, and through how many applications."""


class OutgoingLeg(SipLeg):
    """See Leg."""

    def __init__(self, house: House, media: MediaSession, request: Request, flow: Flow, origin: Origin) -> None:
        super().__init__(house, media, flow.remote[0])
        self._origin = origin
        self._early: Session | None = None
        """The early dialog whose media is heard; other forks are not."""
        self._invite: OutgoingInvite = house.core.agent.invite(request, flow, natted=False, owner=self)

    @classmethod
    def call(cls, house: House, wanted: DialRequest, origin: Origin) -> OutgoingLeg:
        """Send the INVITE; raises DialFailed."""
        if origin.max_forwards <= 1:
            raise DialFailed(_TOO_MANY_HOPS)
        try:
            media = house.engine.open()
        except NoPortsError as error:
            log.warning("no ports for a call of an application", extra={"reason": str(error)})
            raise DialFailed(_UNAVAILABLE) from error
        host, port = house.settings.switch
        try:
            flow = house.core.transport.flow_to(Hop("udp", host, port))
            request = _request(house, wanted, origin, media.offer())
        except (ParseError, LookupError) as error:
            log.warning("a call of an application cannot be made", extra={"reason": str(error)})
            media.close()
            raise DialFailed(_BAD_ADDRESS if isinstance(error, ParseError) else _UNAVAILABLE) from error
        leg = cls(house, media, request, flow, origin)
        leg.perform(leg._invite.start(leg.now()))
        return leg

    @property
    def call_id(self) -> str:
        """See Leg."""
        return self._invite.request.call_id

    @property
    def dialogs(self) -> Sequence[OutgoingInvite | Session]:
        """See SipLeg."""
        return (self._invite, *self._invite.sessions)

    # verbs ----------------------------------------------------------------------------------------------------------
    def ring(self) -> None:
        """See Leg."""
        if self.is_talking:
            self.play_ringback()

    def progress(self) -> None:
        """Nothing: a called party opens early media by itself."""

    def answer(self) -> None:
        """Nothing: it is not ours to answer."""

    def accept_charge(self) -> None:
        """See Leg."""
        if self.session is not None:
            self.perform(self.session.send("INFO", self.now(), headers=[(ACCEPTED, "yes")]))

    def hang_up(self, status: int = 480, cause: int = 16) -> None:
        """See Leg."""
        if self.is_gone:
            return
        self.cause = cause
        if self.is_answered:
            self.bye(cause)
        else:
            self.perform(self._invite.cancel(self.now(), [reason(cause)]))
        self.over()

    def dial(self, request: DialRequest) -> OutgoingLeg:
        """See Leg."""
        return OutgoingLeg.call(self.house, request, replace(self._origin, max_forwards=self._origin.max_forwards - 1))

    # events ---------------------------------------------------------------------------------------------------------
    def receive(self, event: SessionEvent) -> None:
        """Something happened to the INVITE, or in the dialog."""
        match event:
            case Progressed():
                self._progressed(event)
            case Answered(_, session, response):
                self._was_answered(session, response)
            case Failed(_, response, _):
                if not self.is_gone:
                    self.status, self.cause = response.status, reason_cause(response.all("Reason"))
                    self.over()
            case _:
                super().receive(event)

    def _progressed(self, event: Progressed) -> None:
        session, response = event.session, event.response
        if event.reliable and session is not None:
            self.perform(session.prack(response, self.now()))
        if self.is_gone:
            return
        self.status = response.status
        if response.status == 180:
            self.is_ringing = True
        if session is not None and response.sdp is not None and self._early in (None, session):
            self._early = session
            self.is_talking = self._accept(response.sdp)
        self.tell()

    def _was_answered(self, session: Session, response: Response) -> None:
        self.session = session
        self.media.begin()
        self.perform(session.ack(self._invite.request, self.now()))
        if self.is_gone:
            self.bye(16)
            return
        if response.sdp is not None and (not self.is_talking or self._early is not session):
            self.is_talking = self._accept(response.sdp)
        self.is_answered = True
        self.status = response.status
        if not self.is_talking:
            self.hang_up(488, 88)  # Q.850: incompatible destination
            return
        self.tell()


def _request(house: House, wanted: DialRequest, origin: Origin, offer: bytes) -> Request:
    """The INVITE but for Via and Contact; raises ParseError."""
    core, domain = house.core, house.settings.domain
    target = Uri.parse(wanted.destination) if ":" in wanted.destination else Uri("sip", wanted.destination, domain)
    if not target.is_sip:
        raise ParseError("not a SIP URI")
    caller = Uri("sip", wanted.caller or ANONYMOUS, domain)
    sender = NameAddr(wanted.caller_name, str(caller))
    case = "orig-cdiv" if wanted.diverted else "orig"
    vouched = ";vouched=number" if wanted.is_number_only else ""
    charged = ";charged=accepted" if wanted.is_charged_on_acceptance else ""
    lines: HeaderLines = [
        ("Max-Forwards", str(origin.max_forwards - 1)),
        ("From", str(sender.with_tag(core.agent.new_token()))),
        ("To", f"<{target}>"),
        ("Call-ID", core.agent.new_token() + core.agent.new_token()),
        ("CSeq", "1 INVITE"),
        ("P-Asserted-Identity", str(sender)),
        ("P-Served-User", f"<{Uri('sip', wanted.account, domain)}>;sescase={case}{vouched}{charged}"),
        *origin.history,
        ("Content-Type", "application/sdp"),
    ]
    request = Request("INVITE", str(target), lines, offer)
    house.marks.put(request, origin.chain)
    return request
