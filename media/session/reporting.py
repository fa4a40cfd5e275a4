# SPDX-License-Identifier: Apache-2.0
"""What happened on the wire: the RTCP of one session, ours and the phone's (RFC 3550 section 6.4), and statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from media.rtp.rtcp import ReceptionBlock, bye, ntp_middle, read, report

if TYPE_CHECKING:
    from collections.abc import Callable

    from media.rtp.rtp import Octets, Reception
    from media.session.outgoing import Outgoing

__all__ = ["Reporting", "Statistics"]


@dataclass(frozen=True, slots=True)
class Statistics:
    """What happened on the wire so far."""

    codec: str
    packets_sent: int
    octets_sent: int
    packets_received: int
    octets_received: int
    lost: int
    """Packets of the phone that did not arrive."""
    jitter_seconds: float
    remote_lost: int
    """Packets of ours that did not arrive, as far as the phone reports."""
    remote_jitter_seconds: float
    round_trip_seconds: float | None
    errors: int
    """Packets dropped: foreign, malformed, or not to be sent."""


class Reporting:
    """Keeps between reports what they are made of."""

    def __init__(self, ssrc: int, cname: str, wall_clock: Callable[[], float]) -> None:
        """`wall_clock` in epoch seconds."""
        self.remote_lost = 0
        """Packets of ours that the phone missed."""
        self.remote_jitter = 0
        """By the RTP clock."""
        self.round_trip_seconds: float | None = None
        self.said_bye = False
        self._ssrc = ssrc
        self._cname = cname
        self._wall_clock = wall_clock
        self._lost_before = 0
        self._received_before = 0
        self._last_sender_report: tuple[int, float] | None = None

    def read(self, compound: Octets, size: int, now: float) -> None:
        """A compound packet of the phone."""
        reports = read(compound, size)
        if reports.sender_ntp is not None:
            self._last_sender_report = reports.sender_ntp, now
        self.said_bye = self.said_bye or reports.is_bye
        for block in reports.blocks:
            if block.ssrc == self._ssrc:
                self.remote_lost = max(block.lost, 0)
                self.remote_jitter = block.jitter
                if block.last_report:
                    passed = (ntp_middle(self._wall_clock()) - block.last_report) & 0xFFFFFFFF
                    self.round_trip_seconds = max(passed / 65536 - block.delay, 0.0)

    def report(self, outgoing: Outgoing, reception: Reception, received: int, clock_rate: int, now: float) -> bytes:
        """A sender report, or a receiver report before anything was sent. `received`: packets of the phone."""
        sent = None
        if outgoing.packets:
            sent = self._wall_clock(), outgoing.timestamp, outgoing.packets, outgoing.octets
        blocks: tuple[ReceptionBlock, ...] = ()
        if reception.ssrc is not None:
            blocks = (self._block(reception, received, clock_rate, now),)
        return report(self._ssrc, sent, blocks, self._cname)

    def bye(self) -> bytes:
        """To be appended to the last report."""
        return bye(self._ssrc)

    def _block(self, reception: Reception, received: int, clock_rate: int, now: float) -> ReceptionBlock:
        assert reception.ssrc is not None
        lost_now = max(reception.lost - self._lost_before, 0)
        came_now = received - self._received_before
        self._lost_before, self._received_before = reception.lost, received
        last_report, delay = 0, 0.0
        if self._last_sender_report is not None:
            last_report, at = self._last_sender_report
            delay = now - at
        return ReceptionBlock(
            reception.ssrc,
            fraction_lost=lost_now / (lost_now + came_now) if lost_now + came_now else 0.0,
            lost=reception.lost,
            highest=reception.highest,
            jitter=round(reception.jitter_seconds * clock_rate),
            last_report=last_report,
            delay=delay,
        )
