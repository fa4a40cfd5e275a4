# SPDX-License-Identifier: Apache-2.0
"""Check digits by Damm's quasigroup: every wrong digit and every swap of two neighbours is noticed. Pure.

H. M. Damm, "Total anti-symmetrische Quasigruppen", Marburg 2004.
"""

from __future__ import annotations

__all__ = ["DAMM", "check_digit", "is_checked", "valid_prefixes"]

DAMM = (
    (0, 3, 1, 7, 5, 9, 8, 6, 4, 2),
    (7, 0, 9, 2, 1, 5, 4, 8, 6, 3),
    (4, 2, 0, 6, 8, 7, 1, 3, 5, 9),
    (1, 7, 5, 0, 9, 8, 3, 4, 2, 6),
    (6, 1, 2, 3, 0, 4, 5, 9, 7, 8),
    (3, 6, 7, 4, 2, 0, 9, 5, 8, 1),
    (5, 8, 6, 9, 7, 2, 0, 1, 3, 4),
    (8, 9, 4, 5, 3, 6, 2, 0, 1, 7),
    (9, 4, 3, 8, 6, 1, 7, 2, 0, 5),
    (2, 5, 8, 1, 4, 3, 6, 7, 9, 0),
)


def check_digit(digits: str) -> str:
    """The digit that completes these."""
    interim = 0
    for digit in digits:
        interim = DAMM[interim][int(digit)]
    return str(interim)


def is_checked(digits: str) -> bool:
    """Whether the last digit is the check digit of those before it."""
    return check_digit(digits) == "0"


def valid_prefixes(digits: str, least: int, most: int) -> list[str]:
    """Beginnings of `least` to `most` digits whose last digit checks the others."""
    found, interim = [], 0
    for length, digit in enumerate(digits[:most], start=1):
        interim = DAMM[interim][int(digit)]
        if interim == 0 and length >= least:
            found.append(digits[:length])
    return found
