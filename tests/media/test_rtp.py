# SPDX-License-Identifier: Apache-2.0
"""RTP headers, and loss and jitter from sampled packets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.rtp.rtp import HEADER, Reception, is_dtls, is_rtcp, is_rtp


def packet(sequence: int, timestamp: int = 0, ssrc: int = 7) -> bytes:
    return HEADER.pack(0x80, 8, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)


def receive(reception: Reception, arrivals: list[int], every: int = 16, start: int = 0) -> int:
    """Feed a reception as the relay does: all packets counted, every 16th looked at. Returns the count."""
    received = start
    for sequence in arrivals:
        received += 1
        if received % every == 0:
            reception.sample(packet(sequence), received, 0.0, 8000)
    return received


@pytest.mark.parametrize(
    ("first", "second", "size", "kind"),
    [
        (0x80, 8, 172, "rtp"),
        (0x80, 0x80 | 101, 16, "rtp"),
        (0x80, 8, 11, ""),
        (0x80, 200, 28, "rtcp"),
        (0x80, 200, 7, ""),
        (0x40, 8, 172, ""),
        (0x00, 1, 20, ""),  # STUN
        (22, 254, 100, "dtls"),
    ],
)
def test_packets_are_told_apart_by_their_first_octets(first: int, second: int, size: int, kind: str) -> None:
    octets = bytes([first, second]) + bytes(200)
    assert (is_rtp(octets, size), is_rtcp(octets, size), is_dtls(octets, size)) == (
        kind == "rtp",
        kind == "rtcp",
        kind == "dtls",
    )


def test_no_loss_is_seen_where_there_is_none_across_the_wrap() -> None:
    reception = Reception()
    receive(reception, list(range(65000, 65000 + 2000)))
    assert reception.lost == 0


@given(st.sets(st.integers(32, 1500), max_size=60), st.integers(0, 65535))
def test_every_lost_packet_is_counted(missing: set[int], first: int) -> None:
    reception = Reception()
    came = [first + i for i in range(2000) if i not in missing]
    receive(reception, came[: len(came) // 16 * 16])
    assert reception.lost == len(missing)


def test_a_restarted_sender_is_not_loss() -> None:
    reception = Reception()
    received = receive(reception, list(range(160)))
    receive(reception, list(range(30000, 30160)), start=received)
    assert reception.lost == 0
    reception.sample(packet(1, ssrc=8), received + 161, 0.0, 8000)
    assert reception.lost == 0
    assert reception.ssrc == 8


def test_overtaken_samples_are_passed_over() -> None:
    reception = Reception()
    reception.sample(packet(100), 16, 0.0, 8000)
    reception.sample(packet(116), 32, 0.0, 8000)
    reception.sample(packet(90), 48, 0.0, 8000)
    assert reception.lost == 0


def test_jitter_is_that_of_rfc_3550() -> None:
    reception = Reception()
    expected = 0.0
    for i in range(400):
        late = 0.004 if i % 2 else 0.0
        reception.sample(packet(i, i * 160), i + 1, i * 0.02 + late, 8000)
        expected += (0.004 - expected) / 16 if i else 0.0
    assert reception.jitter_seconds == pytest.approx(expected, rel=1e-6)
    assert reception.jitter_seconds == pytest.approx(0.004, rel=0.01)


def test_a_wrapped_timestamp_is_not_jitter() -> None:
    reception = Reception()
    for i in range(20):
        reception.sample(packet(i, 0xFFFFFFFF - 800 + i * 160), i + 1, i * 0.02, 8000)
    assert reception.jitter_seconds < 1e-6
