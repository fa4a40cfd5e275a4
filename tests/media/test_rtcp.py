# SPDX-License-Identifier: Apache-2.0
"""RTCP (RFC 3550 section 6): reports written are reports read, and garbage is survived."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from media.rtp.rtcp import ReceptionBlock, Reports, bye, ntp_middle, read, report

BLOCK = ReceptionBlock(0xABCD, fraction_lost=0.25, lost=-3, highest=70_000, jitter=80, last_report=77, delay=0.5)


def test_a_sender_report_reads_as_it_was_written() -> None:
    packet = report(0x1111, (1_700_000_000.5, 160, 10, 1600), (BLOCK,), "cname")
    assert read(packet, len(packet)) == Reports(ntp_middle(1_700_000_000.5), 0x1111, (BLOCK,), is_bye=False)


def test_a_sender_report_is_laid_out_as_the_rfc_says() -> None:
    packet = report(0x11223344, (-2_208_988_800 + 1.5, 0xA0, 2, 320), (), "ab")
    assert packet.hex(" ", 4) == (
        "80c80006 11223344 00000001 80000000 000000a0 00000002 00000140 81ca0003 11223344 01026162 00000000"
    )


def test_a_receiver_report_and_a_farewell_read_as_they_were_written() -> None:
    packet = report(0x1111, None, (replace(BLOCK, lost=5),), "cname") + bye(0x1111)
    reports = read(packet, len(packet))
    assert reports.sender_ntp is None
    assert reports.blocks == (replace(BLOCK, lost=5),)
    assert reports.is_bye


@given(st.binary(max_size=200))
def test_any_octets_are_survived(octets: bytes) -> None:
    read(octets, len(octets))
    packet = report(1, None, (BLOCK,), "x")[:-3] + octets
    assert read(packet, len(packet)).blocks[:1] == (BLOCK,)
