# SPDX-License-Identifier: Apache-2.0
"""A party on SIP and RTP: what callers and called parties have in common once there is a dialog."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from ivr.legs.info import info_keys
from media.sdp import SdpError
from media.session.negotiation import NoCodecError
from media.session.recording import Recorder
from media.sound.sound import Sound
from media.sound.tone import SAMPLE_RATE, tone
from switch.sip.message.reason import reason, reason_cause
from switch.sip.session import Acknowledged, Ended, Refreshed, Replied, Requested, Withdrawn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ivr.legs.house import House
    from ivr.legs.leg import Leg, Listener, TakeEnd
    from ivr.verbs import Playable
    from media.session.session import MediaSession
    from switch.sip.message.message import Request
    from switch.sip.session import IncomingInvite, Outcome, OutgoingInvite, Session, SessionEvent

__all__ = ["SipLeg", "SipTake"]

_ALLOW: Final = ("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO")
_SILENT_CAUSE: Final = 102
"""Q.850: recovery on timer expiry; no RTP came for too long."""

log = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def ringback() -> Sound:
    """425 Hz, one second on and four off (ETSI TR 101 041-2), for two minutes."""
    period = np.zeros(5 * SAMPLE_RATE, dtype=np.int16)
    period[:SAMPLE_RATE] = tone(425, 1.0, level=0.15)
    return Sound.from_samples(np.tile(period, 24), SAMPLE_RATE)


class SipTake:
    """A recording of a leg."""

    def __init__(
        self,
        leg: SipLeg,
        media: MediaSession,
        most_seconds: float,
        silence_seconds: float,
        on_samples: Callable[[bytes, int], None] | None,
    ) -> None:
        self.ended_by: TakeEnd | None = None
        self._leg = leg
        self._media = media
        self._on_samples = on_samples
        self._samples = bytearray()
        self._recorder = Recorder(
            self._take, silence_seconds=silence_seconds, most_seconds=most_seconds, on_end=self._end
        )
        media.record(self._recorder)

    @property
    def rate(self) -> int:
        """See Take."""
        return self._recorder.rate

    def _take(self, samples: bytes) -> None:
        self._samples += samples
        if self._on_samples is not None:
            self._on_samples(samples, self._recorder.rate)

    def _end(self, why: TakeEnd) -> None:
        self.ended_by = why
        self._leg.tell()

    def finish(self) -> tuple[bytes, float]:
        """See Take."""
        self._media.stop_recording()
        samples = bytes(self._samples)
        return samples, len(samples) / (2 * self.rate)


class SipLeg(ABC):
    """See Leg; subclasses begin the dialog."""

    def __init__(self, house: House, media: MediaSession, signaller: str) -> None:
        """`signaller`: the host that the other side signals from."""
        self.listener: Listener | None = None
        self.signaller = signaller
        self.is_answered = False
        self.is_gone = False
        self.is_talking = False
        self.is_ringing = False
        self.status = 0
        self.cause: int | None = None
        self.house = house
        self.media = media
        self.session: Session | None = None
        """The dialog, once there is one that lasts."""
        self._bridged: SipLeg | None = None
        self._decoding: asyncio.Task[None] | None = None
        self._unheard: asyncio.TimerHandle | None = None
        """Plays to a caller that cannot hear it."""
        self._silence: asyncio.TimerHandle | None = None
        self._answer_due = False
        """Our description was an offer, and the other side's answer has not come."""
        media.on_digit = self._digit
        media.on_played = self.tell
        media.on_silent = self._silent

    # telling ------------------------------------------------------------------------------------------------------
    def tell(self) -> None:
        """Something changed."""
        if self.listener is not None:
            self.listener.changed()

    def _digit(self, key: str) -> None:
        if self.listener is not None:
            self.listener.digit(key)

    def _silent(self) -> None:
        """No packet for too long. Many phones send none before the answer: then the time begins there."""
        if self.is_gone:
            return
        if not self.is_answered:
            self._silence = asyncio.get_running_loop().call_later(
                self.house.engine.settings.timeout_seconds, self._still_silent, self.media.received
            )
            return
        log.info("a party is silent for too long: it is taken for gone", extra={"call": self.call_id})
        self.hang_up(480, _SILENT_CAUSE)

    def _still_silent(self, received: int) -> None:
        if self.media.received == received:
            self._silent()

    def over(self) -> None:
        """The party is gone."""
        if self.is_gone:
            return
        self.is_gone, self.is_talking = True, False
        for work in (self._decoding, self._unheard, self._silence):
            if work is not None:
                work.cancel()
        self.unbridge()
        self.tell()
        self.media.close()
        self._let_go()

    def _let_go(self) -> None:
        """Cut what leads back here: the call's memory goes at once, not with its transactions or the next collection.

        What the dialog still has to do, such as BYE and CANCEL, it does by itself.
        """
        self.listener = None
        for one in self.dialogs:
            one.owner = None

    # what subclasses know -------------------------------------------------------------------------------------------
    @property
    @abstractmethod
    def call_id(self) -> str:
        """See Leg."""

    @property
    @abstractmethod
    def dialogs(self) -> Sequence[IncomingInvite | OutgoingInvite | Session]:
        """The INVITE, and the dialogs that it made."""

    @abstractmethod
    def hang_up(self, status: int = 480, cause: int = 16) -> None:
        """See Leg."""

    # sound --------------------------------------------------------------------------------------------------------
    def play(self, playables: Sequence[Playable], language: str) -> None:
        """See Leg."""
        self.stop()
        sounds = self.house.sounds.at_hand(playables, language)
        if sounds is None:
            self._decoding = asyncio.ensure_future(self._decode_and_play(playables, language))
        else:
            self._play(sounds)

    def _play(self, sounds: Sequence[Sound]) -> None:
        if self.media.agreement is None:  # a late offer, before the answer: it takes its time all the same
            seconds = sum(sound.seconds for sound in sounds)
            self._unheard = asyncio.get_running_loop().call_later(seconds, self._played_unheard)
        else:
            self.media.play(sounds)

    def _played_unheard(self) -> None:
        self._unheard = None
        self.tell()

    async def _decode_and_play(self, playables: Sequence[Playable], language: str) -> None:
        sounds = await self.house.sounds.decoded(playables, language)
        self._decoding = None
        self._play(sounds)
        if not sounds:
            self.tell()

    @property
    def is_playing(self) -> bool:
        """See Leg."""
        if self.is_gone:
            return False
        return self._decoding is not None or self._unheard is not None or self.media.is_playing

    def stop(self) -> None:
        """See Leg."""
        if self._decoding is not None:
            self._decoding.cancel()
            self._decoding = None
        if self._unheard is not None:
            self._unheard.cancel()
            self._unheard = None
        if not self.is_gone:
            self.media.stop_playing()

    def record(
        self, *, most_seconds: float, silence_seconds: float, on_samples: Callable[[bytes, int], None] | None
    ) -> SipTake:
        """See Leg."""
        return SipTake(self, self.media, most_seconds, silence_seconds, on_samples)

    def bridge(self, other: Leg) -> None:
        """See Leg."""
        if isinstance(other, SipLeg) and not self.is_gone and not other.is_gone:
            self._bridged, other._bridged = other, self
            self.media.bridge(other.media)

    def unbridge(self) -> None:
        """See Leg."""
        other, self._bridged = self._bridged, None
        if other is not None:
            other._bridged = None
            self.media.unbridge()

    def play_ringback(self) -> None:
        """The sound of ringing, for a party that is answered."""
        self.stop()
        self.media.play([ringback()])

    # signalling ---------------------------------------------------------------------------------------------------
    def perform(self, outcome: Outcome) -> None:
        """Carry out what a session wants."""
        self.house.core.perform(outcome)

    def now(self) -> float:
        """The core's clock."""
        return self.house.core.now()

    def bye(self, cause: int) -> None:
        """End the dialog."""
        if self.session is not None:
            self.perform(self.session.bye(self.now(), [reason(cause)]))

    def receive(self, event: SessionEvent) -> None:
        """An event of the dialog; subclasses see to those of its beginning."""
        match event:
            case Requested():
                self._requested(event)
            case Acknowledged(_, request):
                self._take_answer(request.sdp)
            case Refreshed(_, response):
                if response.sdp is not None:
                    self._accept(response.sdp)
            case Ended(_, _, request):
                self.cause = (reason_cause(request.all("Reason")) if request is not None else None) or self.cause or 16
                self.over()
            case Replied() | Withdrawn():
                return
            case _:
                return

    def _requested(self, event: Requested) -> None:
        session, transaction, request = event.session, event.transaction, event.request
        method = request.method
        if method in ("INVITE", "UPDATE"):
            self._modified(event)
            return
        if method == "PRACK":
            self._pracked(event)
            return
        status, headers = 405, [_ALLOW]
        if method == "INFO":
            status, headers = self._informed(request), []
        elif method == "OPTIONS":
            status, headers = 200, [_ALLOW, ("Accept", "application/sdp")]
        elif method == "NOTIFY":
            status, headers = 489, []
        self.perform(session.respond(transaction, status, self.now(), headers=headers))

    def _modified(self, event: Requested) -> None:
        """A re-INVITE or UPDATE: hold, another address, another codec; without a description we offer."""
        offer = event.request.sdp
        try:
            body = self.media.answer(offer, self.signaller) if offer is not None else self.media.offer()
        except (SdpError, NoCodecError) as error:
            log.info("an offer was refused", extra={"call": self.call_id, "reason": str(error)})
            self.perform(event.session.respond(event.transaction, 488, self.now()))
            return
        self._answer_due = offer is None
        self.perform(event.session.respond(event.transaction, 200, self.now(), body=body))

    def _pracked(self, event: Requested) -> None:
        """The PRACK of our 183: it may bring the answer to our offer, or an offer of its own (RFC 3262 section 5)."""
        body, sdp = b"", event.request.sdp
        if sdp is not None and self._answer_due:
            self._take_answer(sdp)
        elif sdp is not None:
            try:
                body = self.media.answer(sdp, self.signaller)
            except (SdpError, NoCodecError):
                self.perform(event.session.respond(event.transaction, 488, self.now()))
                return
        self.perform(event.session.respond(event.transaction, 200, self.now(), body=body))

    def _informed(self, request: Request) -> int:
        """RFC 6086: keys are taken; an INFO about something else is refused, an empty one is a sign of life."""
        keys = info_keys(request)
        if keys is None:
            return 415 if request.body else 200
        for key in keys:
            self._digit(key)
        return 200

    def _take_answer(self, sdp: bytes | None) -> None:
        """The answer to our offer; a peer that answers nothing or nonsense is hung up on."""
        if not self._answer_due:
            return
        self._answer_due = False
        if sdp is None or not self._accept(sdp):
            self.hang_up(488, 88)  # Q.850: incompatible destination
            return
        self.is_talking = True
        self.tell()

    def _accept(self, sdp: bytes) -> bool:
        try:
            self.media.accept(sdp, self.signaller)
        except (SdpError, NoCodecError) as error:
            log.info("an answer makes no sense", extra={"call": self.call_id, "reason": str(error)})
            return False
        return True
