# SPDX-License-Identifier: Apache-2.0
"""Relayed calls: offers and answers give streams their ports and addresses, silence ends them.

A call has two sides. Side 0 is who made its first offer; a side is known by SIP tags, of which the answering one may
have several, because a forked INVITE brings several early answers: the latest answer wins.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from random import SystemRandom
from typing import TYPE_CHECKING

from media import sdp
from media.relay.player import PACKET_SECONDS, Outlet, Player, UnplayableError, payload_type_for, payloads, read_wav
from media.relay.stream import Stream, StreamSide
from media.rtp.ports import NoPortsError, PortPool
from media.sdp import Address, Endpoint, MediaDescription, SessionDescription

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from media.rtp.pump import Pump
    from media.settings import MediaSettings

__all__ = ["Call", "Relay", "RelayError", "Signal", "Totals"]

log = logging.getLogger("media.relay.calls")
MAX_TAGS = 32
"""Early answers of one call."""


class RelayError(Exception):
    """The command cannot be carried out; the text goes to who gave it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """An offer or an answer, as told by the switch."""

    call_id: str
    from_tag: str
    """Who made the offer, in the answer too."""
    to_tag: str | None
    body: bytes
    sip_host: str | None = None
    """Where the SIP message came from: a known host for source locking."""
    trusts_sip_host: bool = False
    """Whether media is expected at `sip_host` and not at the address in the SDP (flag `SIP-source-address`)."""
    address: Address | None = None
    """To be written into the SDP instead of our own address (key `media address`)."""
    replace_origin: bool = False
    remove_ice: bool = False
    watched: bool = False
    """Whether the switch promises to ask about the call now and then (flag `watched`)."""


@dataclass(slots=True)
class Call:
    """One call and its streams."""

    call_id: str
    created_at: float
    signalled_at: float
    tags: tuple[list[str], list[str]]
    """Of each side, the current one last."""
    streams: list[Stream | None] = field(default_factory=list)
    """By index of the media section; none where it was refused or is not relayed."""
    has_answer: bool = False
    sound_blocked: set[int] = field(default_factory=set)
    """Sides whose sound is kept from the other one (`block media`)."""
    keys_blocked: set[int] = field(default_factory=set)
    """The same for telephone events (`block DTMF`)."""
    watched_at: float | None = None
    """When its switch last asked about it; none: it made no promise to."""

    @property
    def answered(self) -> bool:
        """Whether the final answer came. While a party's sound is kept back, it is early media that is heard."""
        return self.has_answer and not self.sound_blocked

    def tell_streams(self) -> None:
        """What holds for the call holds for its streams."""
        for stream in self.active_streams:
            for number, side in enumerate(stream.sides):
                side.block(sound=number in self.sound_blocked, keys=number in self.keys_blocked)
                side.answer(answered=self.answered)

    def side_of(self, tag: str | None) -> int | None:
        return next((side for side in (0, 1) if tag in self.tags[side]), None)

    def add_tag(self, side: int, tag: str) -> None:
        """`tag` speaks for `side` from now on."""
        tags = self.tags[side]
        if tag in tags:
            tags.remove(tag)
        elif len(tags) >= MAX_TAGS:
            raise RelayError(f"the call has more than {MAX_TAGS} tags")
        tags.append(tag)

    @property
    def active_streams(self) -> Iterator[Stream]:
        return (stream for stream in self.streams if stream is not None)

    @property
    def silent(self) -> bool:
        """Whether nobody need send: not answered yet, or every stream on hold."""
        return not self.answered or all(stream.held for stream in self.active_streams)

    def last_sign_of_life(self, now: float, relearn_seconds: float) -> float:
        """When the call was last signalled or had a packet; tends its streams."""
        latest = self.signalled_at
        for stream in self.active_streams:
            for side in stream.sides:
                latest = max(latest, side.tend(now, relearn_seconds) or latest)
        return latest


@dataclass(slots=True)
class Totals:
    """Sums over the calls that ended."""

    calls: int = 0
    rejected: int = 0
    timeouts: int = 0
    silent_timeouts: int = 0
    packets: int = 0
    octets: int = 0
    errors: int = 0


class Relay:
    """All calls of the process. `addresses` are our own by family (4 and, where IPv6 is served, 6)."""

    def __init__(
        self,
        settings: MediaSettings,
        addresses: dict[int, Address],
        pool: PortPool,
        pump: Pump,
        clock: Callable[[], float],
        random: Random | None = None,
    ) -> None:
        self.settings = settings
        self.addresses = addresses
        self.calls: dict[str, Call] = {}
        self.totals = Totals()
        self._pool = pool
        self._pump = pump
        self._clock = clock
        self._random = random or SystemRandom()
        self._playing: set[StreamSide] = set()
        self.on_play: Callable[[], None] | None = None
        """Called when something begins to be played: `play_due` wants to be called from then on."""

    def offer(self, signal: Signal) -> bytes:
        """Take an offer; returns it as the other side is to see it.

        Raises RelayError or SdpError; whatever is raised, the call is as it was.
        """
        now = self._clock()
        session = sdp.parse(signal.body)
        known = self.calls.get(signal.call_id)
        call = known or Call(signal.call_id, now, now, ([signal.from_tag], []))
        with self._undone(call):
            side = self._offerer(call, signal)
            call.streams += [None] * (len(session.media) - len(call.streams))
            for index, media in enumerate(session.media):
                self._check_family(call, index, side, media)
                if media.relayed and call.streams[index] is None:
                    call.streams[index] = self._open_stream(index, media, now)
            body = self._apply(call, side, session, signal, now, is_offer=True)
        self.calls[signal.call_id] = call
        return body

    def answer(self, signal: Signal) -> bytes:
        """Take the answer to the latest offer; returns it as the offerer is to see it. Raises as `offer` does."""
        now = self._clock()
        call = self._call(signal.call_id)
        offerer = call.side_of(signal.from_tag)
        if offerer is None:
            raise RelayError("Unknown from-tag")
        if signal.to_tag is None or signal.to_tag in call.tags[offerer]:
            raise RelayError("The to-tag of an answer must name the answering side")
        session = sdp.parse(signal.body)
        if len(session.media) > len(call.streams):
            raise RelayError("The answer has more media sections than the offer")
        with self._undone(call):
            for index, media in enumerate(session.media):
                self._check_family(call, index, 1 - offerer, media)
            call.add_tag(1 - offerer, signal.to_tag)
            call.has_answer = True
            body = self._apply(call, 1 - offerer, session, signal, now, is_offer=False)
        for index, media in enumerate(session.media):
            stream = call.streams[index]
            if stream is not None and not media.relayed:  # refused, or ended by agreement
                self._close_stream(stream, now)
                call.streams[index] = None
        return body

    @contextmanager
    def _undone(self, call: Call) -> Iterator[None]:
        """What fails within leaves tags, streams and ports of the call as they were."""
        tags, streams, has_answer = [list(tags) for tags in call.tags], list(call.streams), call.has_answer

        def restore() -> None:
            now = self._clock()
            for stream in call.active_streams:
                if stream not in streams:
                    self._close_stream(stream, now)
            call.tags[0][:], call.tags[1][:] = tags
            call.streams, call.has_answer = streams, has_answer
            self.totals.rejected += call.call_id not in self.calls

        with ExitStack() as undo:
            undo.callback(restore)
            try:
                yield
            except NoPortsError as error:
                raise RelayError(f"Ran out of ports: {error}") from error  # the words of rtpengine
            undo.pop_all()

    def block(self, call_id: str, tag: str | None, *, sound: bool | None = None, keys: bool | None = None) -> None:
        """Keep the sound or the telephone events of the party of a tag (none: of both) from the other one, or no more.

        Raises RelayError.
        """
        call = self._call(call_id)
        side = None if tag is None else call.side_of(tag)
        if tag is not None and side is None:
            raise RelayError("Unknown from-tag")
        for blocks, blocked in ((sound, call.sound_blocked), (keys, call.keys_blocked)):
            for number in (0, 1) if side is None else (side,):
                if blocks is not None:
                    (blocked.add if blocks else blocked.discard)(number)
        call.signalled_at = self._clock()
        call.tell_streams()

    def delete(self, call_id: str, from_tag: str | None, to_tag: str | None) -> Call | None:
        """End a call. A tag of a fork that lost is forgotten only; then, and for unknown calls, returns none."""
        call = self.calls.get(call_id)
        if call is None or (from_tag is not None and call.side_of(from_tag) is None):
            return None
        for tags in call.tags:
            for tag in (from_tag, to_tag):
                if tag in tags[:-1]:
                    tags.remove(tag)
                    return None
        self._end(call)
        return call

    def query(self, call_id: str) -> Call:
        """The call, its counters up to date. Raises RelayError for an unknown one."""
        call, now = self._call(call_id), self._clock()
        call.last_sign_of_life(now, self.settings.relearn_seconds)
        if call.watched_at is not None:
            call.watched_at = now
        return call

    def play(self, call_id: str, tag: str | None, wav: bytes, *, times: int, alone: bool) -> float:
        """Play a WAV file to the party of a tag, or to both; returns how long it takes, in seconds.

        `alone`: who hears it hears nothing of the other party meanwhile. Raises RelayError.
        """
        now, sides = self._clock(), self._audio_sides(call_id, tag)
        try:
            samples = read_wav(wav)
            kinds = [payload_type_for(side.media, side.other.media) for side in sides if side.media is not None]
        except UnplayableError as error:
            raise RelayError(str(error)) from error
        seconds = 0.0
        for side, (number, encoding) in zip(sides, kinds, strict=True):
            pieces = payloads(samples, encoding)
            if side.outlet is None:
                ssrc, sequence, timestamp = map(self._random.getrandbits, (32, 16, 32))
                side.outlet = Outlet(ssrc, sequence, timestamp, now)
            side.play(Player(side.outlet, number, pieces, times, now), alone=alone)
            self._playing.add(side)
            seconds = times * len(pieces) * PACKET_SECONDS
        if self.on_play is not None:
            self.on_play()
        return seconds

    def stop_playing(self, call_id: str, tag: str | None) -> None:
        """Stop what is played to the party of a tag, or to both. Raises RelayError."""
        for side in self._audio_sides(call_id, tag):
            self._playing.discard(side)
            side.stop_playing()

    def play_due(self) -> float | None:
        """Send what is due of all that is played. Returns in how many seconds to come again; None: nothing is."""
        now = self._clock()
        earliest: float | None = None
        for side in tuple(self._playing):
            next_at = side.play_due(now)
            if next_at is None:
                self._playing.discard(side)
                side.stop_playing()
            else:
                earliest = next_at if earliest is None else min(earliest, next_at)
        return None if earliest is None else max(0.0, earliest - now)

    def _audio_sides(self, call_id: str, tag: str | None) -> list[StreamSide]:
        """The sides of a call's first audio stream that face the party of a tag, or both parties."""
        call = self._call(call_id)
        side = None if tag is None else call.side_of(tag)
        if tag is not None and side is None:
            raise RelayError("Unknown from-tag")
        for stream in call.active_streams:
            sides = [one for one in stream.sides if one.media is not None and one.media.kind == "audio"]
            if sides:
                return [one for one in sides if side is None or one is stream.sides[side]]
        raise RelayError("The call has no audio stream")

    def sweep(self) -> None:
        """Once a second: tend all streams, end the calls that have been silent for too long."""
        now, settings = self._clock(), self.settings
        for call in tuple(self.calls.values()):
            silent = call.silent
            limit = settings.silent_timeout_seconds if silent else settings.timeout_seconds
            if now - call.last_sign_of_life(now, settings.relearn_seconds) >= limit:
                self.totals.silent_timeouts += silent
                self.totals.timeouts += not silent
                log.info("call dropped: no packets for %d s", limit, extra={"call_id": call.call_id})
                self._end(call)
            elif call.watched_at is not None and now - call.watched_at >= settings.unwatched_seconds:
                self.totals.timeouts += 1
                log.warning("call dropped: its switch is gone", extra={"call_id": call.call_id})
                self._end(call)

    def change_settings(self, settings: MediaSettings, addresses: dict[int, Address]) -> None:
        """Take new settings over; calls in progress keep their ports and addresses until the next offer."""
        self.settings = settings
        self.addresses = addresses
        self._pool.set_ports(settings.rtp_ports)
        self._pump.gather_seconds = settings.gather_seconds

    def close(self) -> None:
        """End all calls."""
        for call in tuple(self.calls.values()):
            self._end(call)

    def _call(self, call_id: str) -> Call:
        call = self.calls.get(call_id)
        if call is None:
            raise RelayError("Unknown call-id")
        return call

    def _offerer(self, call: Call, signal: Signal) -> int:
        """Which side makes the offer. A tag that is new there takes the place of an earlier one."""
        side = call.side_of(signal.from_tag)
        if side is None:
            other = call.side_of(signal.to_tag)
            if other is None:
                raise RelayError("Neither tag is part of the call")
            side = 1 - other
        if signal.to_tag in call.tags[side]:
            raise RelayError("Both tags name the same side")
        call.add_tag(side, signal.from_tag)
        if signal.to_tag is not None:
            call.add_tag(1 - side, signal.to_tag)
        return side

    def _check_family(self, call: Call, index: int, side: int, media: MediaDescription) -> None:
        """Refuse what no socket could reach: a family that is not served, or not the one of the stream's ports."""
        if not media.relayed or media.address is None:
            return
        family = media.address.version
        stream = call.streams[index] if index < len(call.streams) else None
        if family not in self.addresses:
            raise RelayError(f"No IPv{family} address is configured for media")
        if stream is not None and stream.sides[side].pair.family != family and not media.address.is_unspecified:
            raise RelayError(f"The stream was set up over IPv{stream.sides[side].pair.family}, not IPv{family}")

    def _open_stream(self, index: int, media: MediaDescription, now: float) -> Stream:
        assert media.address is not None
        settle_seconds = self.settings.settle_seconds
        first = self._pool.take(media.address.version, now)
        try:
            second = self._pool.take(media.address.version, now)
        except NoPortsError:
            self._pool.release(first, now)
            raise
        return Stream(
            index,
            (StreamSide(first, self._pump, settle_seconds), StreamSide(second, self._pump, settle_seconds)),
        )

    def _close_stream(self, stream: Stream, now: float) -> None:
        for side in stream.sides:
            self.totals.packets += side.rtp.packets + side.rtcp.packets
            self.totals.octets += side.rtp.octets + side.rtcp.octets
            self.totals.errors += side.rtp.errors + side.rtcp.errors
            self._playing.discard(side)
            side.close()
        for side in stream.sides:
            self._pool.release(side.pair, now)

    def _end(self, call: Call) -> None:
        del self.calls[call.call_id]
        self.totals.calls += 1
        now = self._clock()
        for stream in call.active_streams:
            for side in stream.sides:
                side.tend(now, self.settings.relearn_seconds)
            self._close_stream(stream, now)

    def _apply(
        self, call: Call, side: int, session: SessionDescription, signal: Signal, now: float, *, is_offer: bool
    ) -> bytes:
        """Tell the streams what `side` signalled; the body for the other side."""
        pairs = zip(call.streams, session.media, strict=False)
        streams = [stream if media.relayed else None for stream, media in pairs]
        endpoints = [
            None if stream is None else self._endpoint(stream.sides[1 - side], media, signal)
            for stream, media in zip(streams, session.media, strict=True)
        ]
        body = sdp.rewrite(session, endpoints, replace_origin=signal.replace_origin, remove_ice=signal.remove_ice)
        trusted = signal.sip_host if signal.trusts_sip_host else None
        for stream, media in zip(streams, session.media, strict=True):
            if stream is not None:
                stream.sides[side].signal(media, trusted, signal.sip_host, is_offer=is_offer)
                if not is_offer:
                    stream.sides[1 - side].sources.confirm()
        call.signalled_at = now
        if signal.watched:
            call.watched_at = now
        call.tell_streams()
        return body

    def _endpoint(self, facing: StreamSide, media: MediaDescription, signal: Signal) -> Endpoint:
        port = facing.pair.port
        address = signal.address or self.addresses[facing.pair.family]
        return Endpoint(address, port, port if media.rtcp_port == media.port else port + 1)
