# SPDX-License-Identifier: Apache-2.0
"""Passwords of accounts and gateways as they lie in the store: sealed by the ring of keys, so that a copy of the store
is no list of passwords (docs/adr/0022-passwords-sealed.md).

A sealed password is text: `$sealed$`, the number of its key, `$`, and nonce and ciphertext in base64. What is not of
this form is in clear: it was written before the store was migrated, and `softswitch migrate` seals it.
"""

from __future__ import annotations

import binascii
import logging
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Final

from billing_client.secrets.keyring import KeyRingError

if TYPE_CHECKING:
    from billing_client.secrets.keyring import KeyFile, KeyRing

__all__ = ["MARK", "Passwords"]

MARK: Final = "$sealed$"
_ABOUT: Final = "password"
_MOST_KEPT: Final = 50_000

log = logging.getLogger(__name__)


class Passwords:
    """Seals and opens. `keys` None: nothing is sealed, and what is sealed cannot be opened."""

    def __init__(self, keys: KeyFile | None = None) -> None:
        self._keys = keys
        self._opened: dict[str, str] = {}
        """Clear text by sealed text: what is asked for again costs no decryption."""
        self.unreadable = 0
        """How often a password could not be opened."""

    def seal(self, clear: str) -> str:
        """As the store keeps it; what is sealed already, and the empty text, stays. Raises KeyRingError."""
        if self._keys is None or not clear or clear.startswith(MARK):
            return clear
        ring = self._keys.ring()
        return f"{MARK}{ring.newest}${b64encode(ring.seal(clear, _ABOUT)).decode()}"

    def open(self, kept: str) -> str:
        """The clear text of what the store keeps. Raises KeyRingError."""
        if not kept.startswith(MARK):
            return kept
        clear = self._opened.get(kept)
        if clear is None:
            clear = self._open(kept)
            if len(self._opened) >= _MOST_KEPT:
                self._opened.clear()
            self._opened[kept] = clear
        return clear

    def open_or_none(self, kept: str) -> str:
        """The clear text; empty, by which nobody logs in, where it cannot be opened, which is logged."""
        try:
            return self.open(kept)
        except KeyRingError as error:
            if not self.unreadable:
                log.error("passwords cannot be opened", extra={"reason": str(error)})
            self.unreadable += 1
            return ""

    def resealed(self, kept: str, ring: KeyRing) -> str:
        """The same by the newest key of this ring. Raises KeyRingError."""
        return f"{MARK}{ring.newest}${b64encode(ring.seal(self._open(kept, ring), _ABOUT)).decode()}"

    def _open(self, kept: str, ring: KeyRing | None = None) -> str:
        number, _, sealed = kept.removeprefix(MARK).partition("$")
        try:
            key, data = int(number), b64decode(sealed, validate=True)
        except (ValueError, binascii.Error):
            raise KeyRingError("a password was changed: it is not sealed as passwords are") from None
        if ring is None:
            if self._keys is None:
                raise KeyRingError("passwords are sealed, and no file of keys is named")
            ring = self._keys.ring_with(key)
        return ring.open(key, data, _ABOUT)
