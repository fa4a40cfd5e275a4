# SPDX-License-Identifier: Apache-2.0
"""PINs: how they are kept, and which are too easy to guess. Pure."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from itertools import pairwise

from billing_client.rules.numbering import digits_of

__all__ = ["DEFAULT_SLOW_AFTER", "LONGEST_PIN", "SHORTEST_PIN", "hash_pin", "is_pin", "new_pin", "weak_pin"]

SHORTEST_PIN = 4
LONGEST_PIN = 16
NEW_PIN_DIGITS = 6
DEFAULT_SLOW_AFTER = 18
"""Wrong PINs in an hour of callers whom nobody vouches for, after which an access number takes one at a time."""
SHORTEST_NUMBER = 3
"""A number of fewer digits is in too many PINs to be a hint."""

# A PIN has few values, so whoever has the hash finds it in minutes at any cost that a caller would wait for; what
# protects PINs is the lock after a few wrong ones. 8 MiB and 20 ms keep a copy of the table from being a list of PINs.
_LOG_COST = 13
_BLOCK_SIZE = 8
_DIGEST_OCTETS = 32
_SALT_OCTETS = 16
NO_PIN = f"scrypt${_LOG_COST}${'0' * 2 * _SALT_OCTETS}${'0' * 2 * _DIGEST_OCTETS}"
"""The hash of nothing: comparing with it takes as long as with any other."""


def hash_pin(pin: str, salt: bytes | None = None) -> str:
    """A salted hash by scrypt (RFC 7914): `scrypt$LOG_COST$SALT$DIGEST`. Takes about 20 ms."""
    salt = secrets.token_bytes(_SALT_OCTETS) if salt is None else salt
    return f"scrypt${_LOG_COST}${salt.hex()}${_digest(pin, salt, _LOG_COST).hex()}"


def is_pin(pin: str, hashed: str) -> bool:
    """Whether this PIN was hashed; takes as long where there was none (an empty `hashed`)."""
    _, log_cost, salt, digest = (hashed or NO_PIN).split("$")
    return hmac.compare_digest(_digest(pin, bytes.fromhex(salt), int(log_cost)), bytes.fromhex(digest))


def _digest(pin: str, salt: bytes, log_cost: int) -> bytes:
    return hashlib.scrypt(pin.encode(), salt=salt, n=1 << log_cost, r=_BLOCK_SIZE, p=1, dklen=_DIGEST_OCTETS)


def weak_pin(pin: str, number: str) -> bool:
    """Whether a PIN must not be taken: no digits, too short or long, one digit or one pair repeated, digits in a row
    (up or down, 0 after 9 too), or a part of the mailbox's own number."""
    if not digits_of(pin) or not SHORTEST_PIN <= len(pin) <= LONGEST_PIN:
        return True
    if pin in number or pin[::-1] in number or (len(number) >= SHORTEST_NUMBER and number in pin):
        return True
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(pin)}
    return steps in ({0}, {1}, {9}) or pin == (pin[:2] * len(pin))[: len(pin)]


def new_pin(number: str) -> str:
    """A random one that is not weak."""
    while True:
        pin = "".join(secrets.choice("0123456789") for _ in range(NEW_PIN_DIGITS))
        if not weak_pin(pin, number):
            return pin
