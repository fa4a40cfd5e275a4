# SPDX-License-Identifier: Apache-2.0
"""Digits by chance, by the million: ids, passwords, and how COPY takes text."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from billing_client.rules.check_digit import DAMM

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["draw", "escaped", "random_digits", "random_ids"]


def random_ids(count: int, digits: int) -> list[str]:
    """Ids that do not follow from each other: the first digit is not 0, the last one checks the others."""
    drawn = _random(count, digits - 1)
    drawn[:, 0] = 1 + draw(count, 9)
    table = np.array(DAMM, dtype=np.uint8)
    interim = np.zeros(count, dtype=np.uint8)
    for column in drawn.T:
        interim = table[interim, column]
    return _texts(np.column_stack((drawn, interim)))


def random_digits(count: int, length: int) -> list[str]:
    """Passwords."""
    return _texts(_random(count, length))


def _random(count: int, length: int) -> NDArray[np.uint8]:
    return draw(count * length, 10).reshape(count, length)


def draw(count: int, values: int) -> NDArray[np.uint8]:
    """Numbers below `values`, each as likely, from the system's source of randomness."""
    least_unfair = 256 - 256 % values
    found = np.empty(0, dtype=np.uint8)
    while len(found) < count:
        octets = np.frombuffer(os.urandom((count - len(found)) * 256 // least_unfair + 16), dtype=np.uint8)
        found = np.concatenate((found, octets[octets < least_unfair] % values))
    return found[:count].astype(np.uint8)


def _texts(digits: NDArray[np.uint8]) -> list[str]:
    length = digits.shape[1]
    text = (digits + ord("0")).astype(np.uint8).tobytes().decode("ascii")
    return [text[start : start + length] for start in range(0, len(text), length)]


def escaped(text: str) -> str:
    """Text in COPY's text format."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
