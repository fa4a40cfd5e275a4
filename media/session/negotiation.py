# SPDX-License-Identifier: Apache-2.0
"""Offer and answer (RFC 3264) of one audio stream: what the media server and a phone agree on. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from media.rtp.dtmf import DIGITS
from media.sdp import Address, SdpError, parse
from media.sound.codec import CODECS, Codec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from media.sdp import MediaDescription, SessionDescription

__all__ = ["Agreement", "Descriptions", "Ground", "NoCodecError", "agree", "answer_to", "family_of", "offer_of"]

EVENTS: Final = "telephone-event"
EVENT_CODES: Final = f"0-{len(DIGITS) - 1}"
OFFERED_EVENTS: Final = {8000: 101, 48000: 102}
"""Payload types of telephone events that we offer, by clock rate."""
PROFILES: Final = frozenset({"RTP/AVP", "RTP/AVPF"})
PTIME: Final = 20
FIRST_DYNAMIC: Final = 96
"""Payload types from here on stand for nothing by themselves (RFC 3551 section 3)."""


class NoCodecError(ValueError):
    """No stream of the other side can be taken; a SIP element answers 488. The text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What we stand on: our address, and the codecs in our order."""

    address: Address
    port: int
    codecs: Sequence[Codec]
    session_id: int
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What packets carry, and where they go."""

    codec: Codec
    payload_type: int
    """What we send it as: the other side's number."""
    event_type: int | None
    """Payload type that we send telephone events as; none: keys come as tones."""
    sounds: dict[int, Codec]
    """What is understood when received: both sides' numbers, for a phone may use either (RFC 3264 section 5.1)."""
    events: frozenset[int]
    """The same of telephone events."""
    event_clock_rate: int
    remote: tuple[str, int] | None
    """Where the phone wants RTP; none while it is on hold in the manner of RFC 2543."""
    remote_rtcp: tuple[str, int] | None
    sends: bool
    """Whether we may send."""
    receives: bool
    """Whether packets are to be expected."""


class Descriptions:
    """What one session says of itself. The version counts up where that changes (RFC 3264 section 8)."""

    def __init__(self, address: Address, port: int, codecs: Sequence[Codec], *, session_id: int) -> None:
        self._ground = Ground(address=address, port=port, codecs=codecs, session_id=session_id, version=0)
        self._said = b""

    def answer(self, offer: bytes) -> tuple[bytes, Agreement]:
        """Our answer, and what is agreed on thereby. Raises SdpError, NoCodecError."""
        answer, agreement = answer_to(offer, self._ground)
        self._check_family(agreement)
        return self._versioned(answer, lambda ground: answer_to(offer, ground)[0]), agreement

    def offer(self) -> bytes:
        """An offer of ours."""
        return self._versioned(offer_of(self._ground), offer_of)

    def accept(self, answer: bytes) -> Agreement:
        """What an answer to that agrees on. Raises SdpError, NoCodecError."""
        agreement = agree(answer, self._ground.codecs)
        self._check_family(agreement)
        return agreement

    def _versioned(self, description: bytes, written: Callable[[Ground], bytes]) -> bytes:
        if self._said and description != self._said:
            self._ground = replace(self._ground, version=self._ground.version + 1)
            description = written(self._ground)
        self._said = description
        return description

    def _check_family(self, agreement: Agreement) -> None:
        if agreement.remote is not None and (":" in agreement.remote[0]) != (self._ground.address.version == 6):
            raise NoCodecError(f"the phone's address {agreement.remote[0]} is not of the family of this session")


def answer_to(body: bytes, ground: Ground) -> tuple[bytes, Agreement]:
    """Our answer to an offer, and what is agreed on thereby. Raises SdpError, NoCodecError.

    The first audio stream that can be taken is; all others are refused by port 0 (RFC 3264 section 6).
    """
    offer = parse(body)
    if not offer.media:
        raise SdpError("the offer has no m= section")
    index = next((i for i, media in enumerate(offer.media) if _choice(offer, i, ground.codecs)), None)
    if index is None:
        raise NoCodecError(_why_not(offer))
    agreement = _agreement(offer, index, ground.codecs, {})
    lines = _session_lines(ground)
    for number, media in enumerate(offer.media):
        if number == index:
            lines += _audio_lines(ground.port, media.protocol, [agreement.payload_type], agreement)
        else:
            lines.append(f"m={media.kind} 0 {media.protocol} {' '.join(media.formats)}")
    return _written(lines), agreement


def offer_of(ground: Ground) -> bytes:
    """An offer of all our codecs."""
    lines = _session_lines(ground)
    rates = sorted({codec.clock_rate for codec in ground.codecs})
    events = [OFFERED_EVENTS[rate] for rate in rates]
    formats = [codec.payload_type for codec in ground.codecs] + events
    lines.append(f"m=audio {ground.port} RTP/AVP {' '.join(map(str, formats))}")
    lines += [f"a=rtpmap:{codec.payload_type} {codec.rtpmap}" for codec in ground.codecs]
    for rate in rates:
        lines += _event_lines(OFFERED_EVENTS[rate], rate)
    return _written([*lines, f"a=ptime:{PTIME}", "a=sendrecv"])


def agree(body: bytes, codecs: Sequence[Codec]) -> Agreement:
    """What an answer to our offer agrees on. Raises SdpError, NoCodecError."""
    answer = parse(body)
    if not answer.media:
        raise SdpError("the answer has no m= section")
    if _choice(answer, 0, codecs, answers=True) is None:
        raise NoCodecError(_why_not(answer))
    ours = {codec.payload_type: codec for codec in codecs}
    return _agreement(answer, 0, codecs, ours, answers=True)


def family_of(body: bytes) -> int:
    """4 or 6: the family of the first audio stream's address. Raises SdpError."""
    for media in parse(body).media:
        if media.kind == "audio" and media.port and media.address is not None:
            return media.address.version
    return 4


def _choice(
    session: SessionDescription, index: int, codecs: Sequence[Codec], *, answers: bool = False
) -> tuple[Codec, int] | None:
    """The codec to speak and its payload type: the first of ours in an offer, the first of theirs in an answer."""
    media = session.media[index]
    if media.kind != "audio" or not media.port or media.protocol.upper() not in PROFILES:
        return None
    offered: dict[Codec, int] = {}
    for payload_type, name, rate in media.encodings:
        codec = CODECS.get(name.lower())
        if codec in codecs and codec is not None and rate == codec.clock_rate:
            offered.setdefault(codec, payload_type)
    preferred = offered if answers else codecs
    return next(((codec, offered[codec]) for codec in preferred if codec in offered), None)


def _agreement(
    session: SessionDescription,
    index: int,
    codecs: Sequence[Codec],
    offered: dict[int, Codec],
    *,
    answers: bool = False,
) -> Agreement:
    """`offered`: what our own offer named."""
    media = session.media[index]
    choice = _choice(session, index, codecs, answers=answers)
    assert choice is not None
    codec, payload_type = choice
    # Events run by the clock of the sound that they interrupt (RFC 4733 section 2.1); some phones offer 8000 only.
    events = [(rate, number) for number, name, rate in media.encodings if name.lower() == EVENTS]
    events.sort(key=lambda event: event[0] != codec.clock_rate)
    rate, event_type = events[0] if events else (codec.clock_rate, None)
    nowhere = media.address is None or media.address.is_unspecified
    rtcp_address = media.rtcp_address or media.address
    event_numbers = {number for event_rate, number in events if event_rate == rate}
    if answers and event_type is not None and rate in OFFERED_EVENTS:
        event_numbers.add(OFFERED_EVENTS[rate])
    return Agreement(
        codec=codec,
        payload_type=payload_type,
        event_type=event_type,
        event_clock_rate=rate,
        sounds=_sounds(media, codecs, offered, codec, payload_type),
        events=frozenset(event_numbers - offered.keys()),
        remote=None if nowhere else (str(media.address), media.port),
        remote_rtcp=None if nowhere else (str(rtcp_address), media.rtcp_port),
        sends=not nowhere and media.direction in ("sendrecv", "recvonly"),
        receives=not nowhere and media.direction in ("sendrecv", "sendonly"),
    )


def _sounds(
    media: MediaDescription, codecs: Sequence[Codec], offered: dict[int, Codec], codec: Codec, payload_type: int
) -> dict[int, Codec]:
    """Which numbers stand for which codec when they are received.

    Our own numbers count before the other side's, where one stands for two things. Of an answer every codec may be
    used; a phone that we answered has one to use, by its number or by the static one.
    """
    if not offered:
        foreign = {number for number, _, _ in media.encodings if number != payload_type}
        static = {codec.payload_type} if codec.payload_type < FIRST_DYNAMIC else set[int]()
        return dict.fromkeys(static - foreign, codec) | {payload_type: codec}
    known = {
        number: CODECS[name.lower()]
        for number, name, rate in media.encodings
        if name.lower() in CODECS and CODECS[name.lower()].clock_rate == rate and CODECS[name.lower()] in codecs
    }
    agreed = set(known.values())
    theirs = {number: each for number, each in known.items() if number not in OFFERED_EVENTS.values()}
    return {**theirs, **{number: each for number, each in offered.items() if each in agreed}}


def _session_lines(ground: Ground) -> list[str]:
    where = f"IN IP{ground.address.version} {ground.address}"
    return ["v=0", f"o=- {ground.session_id} {ground.version} {where}", "s=-", f"c={where}", "t=0 0"]


def _audio_lines(port: int, protocol: str, formats: list[int], agreement: Agreement) -> list[str]:
    if agreement.event_type is not None:
        formats = [*formats, agreement.event_type]
    lines = [f"m=audio {port} {protocol} {' '.join(map(str, formats))}"]
    lines.append(f"a=rtpmap:{agreement.payload_type} {agreement.codec.rtpmap}")
    if agreement.event_type is not None:
        lines += _event_lines(agreement.event_type, agreement.event_clock_rate)
    return [*lines, f"a=ptime:{PTIME}", f"a={_direction(agreement)}"]


def _direction(agreement: Agreement) -> str:
    """Ours; of a phone that is on hold in the manner of RFC 2543 nothing is said (RFC 3264 section 8.4)."""
    if agreement.remote is None:
        return "inactive"
    return {(True, True): "sendrecv", (True, False): "sendonly", (False, True): "recvonly"}.get(
        (agreement.sends, agreement.receives), "inactive"
    )


def _event_lines(payload_type: int, rate: int) -> list[str]:
    return [f"a=rtpmap:{payload_type} {EVENTS}/{rate}", f"a=fmtp:{payload_type} {EVENT_CODES}"]


def _why_not(session: SessionDescription) -> str:
    audio: list[MediaDescription] = [media for media in session.media if media.kind == "audio" and media.port]
    if not audio:
        return "there is no audio stream"
    if not any(media.protocol.upper() in PROFILES for media in audio):
        return f"only {' and '.join(sorted(PROFILES))} can be taken, not {audio[0].protocol}"
    return f"none of the codecs {', '.join(audio[0].formats)} is known here"


def _written(lines: list[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode()
