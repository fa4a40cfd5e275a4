# SPDX-License-Identifier: Apache-2.0
"""How much a stream may carry: four times what its formats need; what is more is dropped. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from media.rtp.rtp import HEADER_SIZE

if TYPE_CHECKING:
    from media.sdp import MediaDescription

__all__ = ["RTCP_BOUND", "Bound", "bound_of"]

ROOM: Final = 4
AUDIO_PACKETS: Final = 100
"""A second: packets of 10 ms, the shortest that are common."""
OTHER_PACKETS: Final = 1000
"""A second: video in packets of an Ethernet frame at 8 Mbit/s, and fax with all its repetitions."""
OTHER_OCTETS: Final = 1_000_000
UNKNOWN_AUDIO_OCTETS: Final = 64_000
"""A second: Opus at its most (RFC 6716: 510 kbit/s), for every codec that is not in the table."""
AUDIO_OCTETS: Final = {
    "pcmu": 8000, "pcma": 8000, "g722": 8000, "g726-32": 4000, "g728": 2000, "g729": 1000, "g723": 800, "gsm": 1650,
    "gsm-efr": 1550, "ilbc": 1900, "lpc": 700, "qcelp": 1700, "speex": 5500, "amr": 1600, "amr-wb": 3100,
    "evs": 16_000, "g7221": 6000, "cn": 400, "telephone-event": 400,
}  # fmt: skip
"""Payload a second at a codec's highest rate, by encoding name in lower case."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The most that passes in a second."""

    packets: int
    octets: int


RTCP_BOUND: Final = Bound(ROOM * 10, ROOM * 10 * 1500)
"""RTCP of one side: ten packets a second, each as large as a frame, are more than any phone sends."""


def bound_of(receiver: MediaDescription | None, sender: MediaDescription | None) -> Bound:
    """The bound of what `sender` may send to `receiver`: of what the one wants to hear and the other can say."""
    described = [media for media in (receiver, sender) if media is not None]
    if not described or any(media.kind != "audio" or not media.is_rtp for media in described):
        return Bound(ROOM * OTHER_PACKETS, ROOM * OTHER_OCTETS)
    wanted, *others = (_encodings(media) for media in described)
    shared = wanted.intersection(*others) or wanted
    octets = max(map(_octets, shared), default=UNKNOWN_AUDIO_OCTETS) + AUDIO_PACKETS * HEADER_SIZE
    return Bound(ROOM * AUDIO_PACKETS, ROOM * octets)


def _encodings(media: MediaDescription) -> set[tuple[str, int]]:
    """Name in lower case and clock rate of the formats; those that nothing explains have no name."""
    encodings = (media.encoding(number) or ("", 0) for number in media.payload_types)
    return {(name.lower(), rate) for name, rate in encodings}


def _octets(encoding: tuple[str, int]) -> int:
    name, rate = encoding
    if name in ("l8", "l16", "l24"):
        return 2 * rate * int(name[1:]) // 8  # two channels
    return AUDIO_OCTETS.get(name, UNKNOWN_AUDIO_OCTETS)
