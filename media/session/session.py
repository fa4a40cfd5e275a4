# SPDX-License-Identifier: Apache-2.0
"""One RTP session of the media server: what an IVR leg hears and says.

`tick` runs for every packet that is sent and `_receive` for every one that comes: in them nothing waits, logs, or makes
objects but the packet (docs/adr/0012-media-sessions.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from media.rtp.dtmf import EventReceiver
from media.rtp.rtp import HEADER, HEADER_SIZE, Reception
from media.session.bridge import Passage, Transcoder, can_pass
from media.session.hearing import Hearing
from media.session.negotiation import Agreement, Descriptions
from media.session.outgoing import Outgoing
from media.session.path import BUFFER, VIEW, Path
from media.session.reporting import Reporting, Statistics
from media.sound.inband import ToneDetector

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from media.rtp.ports import PortPair
    from media.session.recording import Recorder
    from media.session.shared import Shared
    from media.sound.codec import Codec
    from media.sound.resample import Samples
    from media.sound.sound import Sound

__all__ = ["MediaSession"]

SAMPLE_MASK: Final = 15
"""Loss and jitter look at every 16th packet."""
TICKS_OF_A_LOOK: Final = 10
"""Every 200 ms: recording, sources, silence, reports."""
SWITCH_SECONDS: Final = 0.2
"""A phone that changes between agreed codecs more often than this is not followed."""


class MediaSession:
    """Made by `MediaEngine.open`. Callbacks are called from the event loop, never from within a method."""

    def __init__(self, engine: Shared[MediaSession], pair: PortPair) -> None:
        self.on_digit: Callable[[str], None] | None = None
        """A key was pressed (RFC 4733, or a tone where no events were agreed on)."""
        self.on_played: Callable[[], None] | None = None
        """The queue has been played to its end."""
        self.on_silent: Callable[[], None] | None = None
        """No packet for `timeout_seconds`: the phone is gone. Told once."""
        self.pair = pair
        self.agreement: Agreement | None = None
        """What the last offer and answer agreed on."""
        self._engine = engine
        self._pump = engine.pump
        settings = engine.settings
        own = engine.trusted
        self._path = Path(pair, engine.pump, settings.settle_seconds, self._receive, self._receive_rtcp, own)
        self._outgoing = Outgoing(engine.random)
        self._descriptions = Descriptions(
            engine.addresses[pair.family], pair.port, engine.codecs, session_id=engine.random.getrandbits(62)
        )
        self._sends = False
        self._closed = False
        self._countdown = 1 + engine.random.randrange(TICKS_OF_A_LOOK)
        # Receiving
        self.received = 0
        """Packets of RTP."""
        self.received_octets = 0
        self._reception = Reception()
        self._sounds: dict[int, Codec] = {}
        self._event_types: frozenset[int] = frozenset()
        self._codec: Codec | None = None
        """What the phone speaks: what was agreed on first, until it uses another one of those agreed on."""
        self._switched_at = float("-inf")
        self._events = EventReceiver()
        self._listens = False
        """Whether anybody looks into the packets of sound."""
        self._recorder: Recorder | None = None
        self._hearing: Hearing | None = None
        self._tones: ToneDetector | None = None
        self._seen = 0
        self._heard_at = engine.clock()
        self._told_silent = False
        self._reporting = Reporting(self._outgoing.ssrc, self._cname(), engine.wall_clock)
        self._report_at = self._heard_at + settings.report_seconds
        # Bridging
        self._other: MediaSession | None = None
        self._passage: Passage | None = None
        self._transcoder: Transcoder | None = None

    # Offer and answer (RFC 3264)

    def answer(self, offer: bytes, signaller: str | None = None) -> bytes:
        """The answer to the phone's first offer or to a later one. Raises SdpError, NoCodecError.

        `signaller`: the host that sent the offer. Sound to another one that sends nothing ends after two seconds.
        """
        answer, agreement = self._descriptions.answer(offer)
        self._agree(agreement, signaller)
        return answer

    def offer(self) -> bytes:
        """An offer of ours, for a call that we make."""
        return self._descriptions.offer()

    def accept(self, answer: bytes, signaller: str | None = None) -> None:
        """The phone's answer to `offer`, from the host `signaller`. Raises SdpError, NoCodecError."""
        self._agree(self._descriptions.accept(answer), signaller)

    def begin(self) -> None:
        """The final answer went out, or came: from now on a phone may be learnt that nobody named."""
        self._path.answer()

    def _agree(self, agreement: Agreement, signaller: str | None) -> None:
        before, self.agreement = self.agreement, agreement
        numbers = agreement.events | agreement.sounds.keys()
        self._path.signal(agreement.remote, agreement.remote_rtcp, numbers, signaller)
        self._outgoing.agree(agreement.codec, agreement.payload_type, agreement.event_type, agreement.event_clock_rate)
        self._sends = agreement.sends
        self._outgoing.on_hold = not agreement.sends
        self._sounds, self._event_types = agreement.sounds, agreement.events
        spoken, self._codec = self._codec, agreement.codec
        if before is None or before.event_clock_rate != agreement.event_clock_rate:
            self._events = EventReceiver(agreement.event_clock_rate)
        self._heard_at = self._engine.clock()
        self._told_silent = False
        if spoken is not agreement.codec and self._recorder is not None:
            self._recorder.begin(agreement.codec, self._heard_at)
        if self._other is not None:
            self._connect()
            self._other._connect()
        self._listen_anew()

    # What the phone hears

    @property
    def is_playing(self) -> bool:
        return self._outgoing.is_playing

    def play(self, sounds: Sequence[Sound]) -> None:
        """Play these after what is being played. `on_played` is told when all has been."""
        self._outgoing.play(sounds)

    def stop_playing(self) -> None:
        """Be silent at once. `on_played` is not told."""
        self._outgoing.stop_playing()

    def send_digits(self, digits: str) -> None:
        """Press keys."""
        self._outgoing.send_digits(digits)

    def tick(self) -> None:
        """Send the packet of the next 20 ms."""
        self._countdown -= 1
        if not self._countdown:
            self._look()
        if self.agreement is None:
            return
        outgoing = self._outgoing
        if not self._sends:
            outgoing.pass_over()
        elif packet := outgoing.next_packet():
            try:
                self._path.send(packet)
            except OSError:  # an ICMP error for an earlier packet, or a full queue of the interface
                self._path.errors += 1
        if outgoing.played:
            outgoing.played = False
            if self.on_played is not None:
                self._engine.defer(self._tell_played)

    def skip(self, ticks: int) -> None:
        """So many ticks did not come."""
        self._outgoing.skip(ticks)

    def _tell_played(self) -> None:
        if self.on_played is not None and not self._closed:
            self.on_played()

    # What the phone says

    def record(self, recorder: Recorder) -> None:
        """Give what the phone says to `recorder` from now on."""
        self._recorder = recorder
        if self._codec is not None:
            recorder.begin(self._codec, self._pump.now)
        self._listen_anew()

    def stop_recording(self) -> None:
        """End the recording: its last piece comes out before this returns."""
        recorder, self._recorder = self._recorder, None
        self._listen_anew()
        if recorder is not None:
            recorder.finish()

    def _advance_recording(self) -> None:
        if self._recorder is not None:
            self._recorder.advance(self._pump.now)

    def _receive(self, size: int) -> None:
        """BUFFER has an RTP packet of the phone."""
        self.received += 1
        self.received_octets += size
        number = BUFFER[1] & 0x7F
        codec = self._sounds.get(number)
        if codec is not None and (codec is self._codec or self._switch(codec)):
            if self._listens:
                self._receive_sound(size)
            if self.received & SAMPLE_MASK == 1:
                self._sample()
        elif number in self._event_types:
            self._receive_event(size)
        elif self._listens:
            self._keep_order()  # comfort noise, say

    def _switch(self, codec: Codec) -> bool:
        """The phone speaks another codec of those agreed on. Returns whether it is followed."""
        now = self._pump.now
        if now - self._switched_at < SWITCH_SECONDS:
            return False
        self._switched_at, self._codec = now, codec
        if self._recorder is not None:
            self._recorder.begin(codec, now)
        if self._other is not None:
            self._connect()
        self._listen_anew()
        return True

    def _receive_sound(self, size: int) -> None:
        _, second, sequence, timestamp, ssrc = HEADER.unpack_from(BUFFER)
        payload = bytes(VIEW[HEADER_SIZE:size]) if BUFFER[0] == 0x80 else _payload(size)
        if self._recorder is not None:
            self._recorder.take(ssrc, sequence, timestamp, payload, self._pump.now)
        if self._hearing is not None:
            self._hearing.take(ssrc, sequence, timestamp, payload, self._pump.now)
        if self._passage is not None:
            self._pass_on(self._passage.sound(ssrc, sequence, timestamp, second & 0x80, payload))

    def _receive_event(self, size: int) -> None:
        _, second, sequence, timestamp, ssrc = HEADER.unpack_from(BUFFER)
        payload = _payload(size)
        digit = self._events.receive(ssrc, timestamp, payload)
        self._keep_order()
        passes = self._passage is not None and self._passes_events()
        if passes:
            assert self._passage is not None
            self._pass_on(self._passage.event(ssrc, sequence, timestamp, second & 0x80, payload))
        if digit:
            self._pressed(digit, sends_on=not passes)

    def _keep_order(self) -> None:
        """The packet in BUFFER is no sound; its number must not count as lost."""
        _, _, sequence, timestamp, ssrc = HEADER.unpack_from(BUFFER)
        if self._recorder is not None:
            self._recorder.take(ssrc, sequence, timestamp, b"", self._pump.now)
        if self._hearing is not None:
            self._hearing.take(ssrc, sequence, timestamp, b"", self._pump.now)

    def _pressed(self, digit: str, *, sends_on: bool) -> None:
        if sends_on and self._other is not None:
            self._other.send_digits(digit)
        if self.on_digit is not None:
            self._engine.defer(self._tell_digit, digit)

    def _tell_digit(self, digit: str) -> None:
        if self.on_digit is not None and not self._closed:
            self.on_digit(digit)

    def _sample(self) -> None:
        assert self._codec is not None
        self._reception.sample(BUFFER, self.received, self._pump.now, self._codec.clock_rate)

    def _listen_anew(self) -> None:
        """Look into packets only where somebody wants to know."""
        if self.agreement is not None and self._codec is not None:
            codec = self._codec
            needs_tones = self.agreement.event_type is None
            if self._tones is None and needs_tones:
                self._tones = ToneDetector(codec.sample_rate)
            elif not needs_tones:
                self._tones = None
            if self._tones is None and self._transcoder is None:
                self._hearing = None
            elif self._hearing is None or self._hearing.codec is not codec:
                if self._tones is not None:
                    self._tones = ToneDetector(codec.sample_rate)
                self._hearing = Hearing(codec, self._hear, self._pump.now)
        self._listens = self._recorder is not None or self._hearing is not None or self._passage is not None

    def _hear(self, samples: Samples) -> None:
        if self._tones is not None:
            for digit in self._tones.hear(samples):
                self._pressed(digit, sends_on=False)
        if self._transcoder is not None:
            self._transcoder.take(samples)

    # Two phones

    def bridge(self, other: MediaSession) -> None:
        """Let the two phones hear each other. What is played to one of them is heard instead."""
        self.unbridge()
        other.unbridge()
        self._other, other._other = other, self
        self._engine.ticker.hurry(+1)
        self._connect()
        other._connect()

    def unbridge(self) -> None:
        """Part them; nothing happens if they are not bridged."""
        other, self._other = self._other, None
        self._disconnect()
        if other is not None:
            self._engine.ticker.hurry(-1)
            other._other = None
            other._disconnect()

    def _connect(self) -> None:
        """Choose how what comes here goes out of the other session."""
        self._disconnect()
        other = self._other
        if other is None or self._codec is None or other.agreement is None:
            return
        source, destination = self._codec, other.agreement.codec
        if can_pass(source, destination):
            self._passage = Passage(source, other._outgoing, destination)
        else:
            self._transcoder = Transcoder(source, other._outgoing, destination)
        other._outgoing.be_fed(True)
        self._listen_anew()

    def _disconnect(self) -> None:
        if self._transcoder is not None:
            self._transcoder.close()
        self._passage = self._transcoder = None
        self._outgoing.be_fed(self._other is not None)
        self._listen_anew()

    def _passes_events(self) -> bool:
        """Whether the other phone takes telephone events by the same clock."""
        assert self._other is not None
        mine, theirs = self.agreement, self._other.agreement
        return (
            mine is not None
            and theirs is not None
            and theirs.event_type is not None
            and mine.event_clock_rate == theirs.event_clock_rate == theirs.codec.clock_rate
        )

    def _pass_on(self, packet: bytes) -> None:
        """Send a packet that `_passage` made."""
        assert self._other is not None
        if packet:
            try:
                self._other._path.send(packet)
            except OSError:
                self._other._path.errors += 1

    # Now and then

    def _look(self) -> None:
        """Every 200 ms."""
        self._countdown = TICKS_OF_A_LOOK
        now = self._pump.now
        settings = self._engine.settings
        if self._recorder is not None:
            self._engine.defer(self._advance_recording)
        if self.received != self._seen:
            self._seen = self.received
            self._heard_at = now
        silent_seconds = now - self._heard_at
        self._path.tend(now, silent_seconds if self._seen else 0.0, settings.relearn_seconds)
        agreement = self.agreement
        if agreement is None:
            return
        if not (agreement.sends and agreement.receives):
            self._heard_at = now  # on hold a phone may be silent
        elif silent_seconds >= settings.timeout_seconds and not self._told_silent:
            self._told_silent = True
            if self.on_silent is not None:
                self._engine.defer(self._tell_silent)
        if now >= self._report_at:
            self._report_at = now + settings.report_seconds
            self._path.send_rtcp(self._report())

    def _tell_silent(self) -> None:
        if self.on_silent is not None and not self._closed:
            self.on_silent()

    def _receive_rtcp(self, size: int) -> None:
        """BUFFER has an RTCP packet of the phone."""
        self._heard_at = self._pump.now
        self._reporting.read(BUFFER, size, self._pump.now)

    def _report(self) -> bytes:
        agreement = self.agreement
        assert agreement is not None
        return self._reporting.report(
            self._outgoing, self._reception, self.received, agreement.codec.clock_rate, self._engine.clock()
        )

    def _cname(self) -> str:
        """Says nothing about us (RFC 7022 section 4.1)."""
        return f"{self._engine.random.getrandbits(96):024x}"

    # The end

    def statistics(self) -> Statistics:
        """What happened on the wire so far."""
        rate = self.agreement.codec.clock_rate if self.agreement is not None else 8000
        return Statistics(
            codec=self.agreement.codec.name if self.agreement is not None else "",
            packets_sent=self._outgoing.packets,
            octets_sent=self._outgoing.octets,
            packets_received=self.received,
            octets_received=self.received_octets,
            lost=max(self._reception.lost, 0),
            jitter_seconds=self._reception.jitter_seconds,
            remote_lost=self._reporting.remote_lost,
            remote_jitter_seconds=self._reporting.remote_jitter / rate,
            round_trip_seconds=self._reporting.round_trip_seconds,
            errors=self._path.errors,
        )

    def close(self) -> None:
        """End the session: the recording, the bridge, a farewell by RTCP; the ports go back. May be called twice."""
        if self._closed:
            return
        self._closed = True
        self.stop_recording()
        self.unbridge()
        if self.agreement is not None:
            self._path.send_rtcp(self._report() + self._reporting.bye())
        self._path.close()
        self._engine.forget(self)
        # Nothing leads back here: the session goes with its last use, not with the next collection.
        self.on_digit = self.on_played = self.on_silent = None
        self._hearing = None


def _payload(size: int) -> bytes:
    """Of the packet in BUFFER, without contributing sources, extension and padding (RFC 3550 sections 5.1, 5.3.1)."""
    first = BUFFER[0]
    start = HEADER_SIZE + 4 * (first & 15)
    if first & 0x10:
        start += 4 + 4 * (BUFFER[start + 2] << 8 | BUFFER[start + 3])
    end = size - (BUFFER[size - 1] if first & 0x20 else 0)
    return bytes(BUFFER[start:end]) if start < end else b""
