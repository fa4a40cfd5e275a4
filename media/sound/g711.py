# SPDX-License-Identifier: Apache-2.0
"""G.711 (ITU-T): mu-law and A-law against 16-bit linear PCM, and against each other, by tables made at import."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ALAW_CODES",
    "ALAW_FROM_ULAW",
    "ALAW_SAMPLES",
    "ULAW_CODES",
    "ULAW_FROM_ALAW",
    "ULAW_SAMPLES",
    "alaw",
    "linear_from_alaw",
    "linear_from_ulaw",
    "ulaw",
]

ULAW_BIAS = 132


def _ulaw_sample(code: int) -> int:
    code = ~code & 0xFF
    exponent, mantissa = code >> 4 & 7, code & 15
    magnitude = ((mantissa << 3) + ULAW_BIAS << exponent) - ULAW_BIAS
    return -magnitude if code & 0x80 else magnitude


def _alaw_sample(code: int) -> int:
    code ^= 0x55
    exponent, mantissa = code >> 4 & 7, code & 15
    magnitude = (mantissa << 4) + 8
    if exponent:
        magnitude = magnitude + 256 << exponent - 1
    return magnitude if code & 0x80 else -magnitude


def _encoder(samples: list[int]) -> bytes:
    """For each 14-bit step of linear PCM (from -8192 up) the code whose sample is nearest."""
    by_level = sorted(range(256), key=lambda code: (samples[code], code))
    table = bytearray()
    nearest = 0
    for step in range(-8192, 8192):
        level = step << 2
        while nearest < 255 and abs(samples[by_level[nearest + 1]] - level) <= abs(samples[by_level[nearest]] - level):
            nearest += 1
        table.append(by_level[nearest])
    return bytes(table)


ULAW_SAMPLES = [_ulaw_sample(code) for code in range(256)]
ALAW_SAMPLES = [_alaw_sample(code) for code in range(256)]
"""16-bit samples by code."""
ULAW_CODES = _encoder(ULAW_SAMPLES)
ALAW_CODES = _encoder(ALAW_SAMPLES)
"""Codes by 14-bit step: that of a 16-bit sample stands at `(sample >> 2) + 8192`."""

ALAW_FROM_ULAW = bytes(ALAW_CODES[(sample >> 2) + 8192] for sample in ULAW_SAMPLES)
"""For `bytes.translate`: PCMU octets to PCMA."""
ULAW_FROM_ALAW = bytes(ULAW_CODES[(sample >> 2) + 8192] for sample in ALAW_SAMPLES)
"""For `bytes.translate`: PCMA octets to PCMU."""


def ulaw(samples: Iterable[int]) -> bytes:
    """Encode 16-bit samples as PCMU."""
    return bytes([ULAW_CODES[(sample >> 2) + 8192] for sample in samples])


def alaw(samples: Iterable[int]) -> bytes:
    """Encode 16-bit samples as PCMA."""
    return bytes([ALAW_CODES[(sample >> 2) + 8192] for sample in samples])


def linear_from_ulaw(payload: bytes) -> array[int]:
    """Decode PCMU to 16-bit samples."""
    return array("h", [ULAW_SAMPLES[code] for code in payload])


def linear_from_alaw(payload: bytes) -> array[int]:
    """Decode PCMA to 16-bit samples."""
    return array("h", [ALAW_SAMPLES[code] for code in payload])
