# SPDX-License-Identifier: Apache-2.0
"""The keys that seal passwords of vouchers, accounts and gateways: a file outside the store, so that a copy of the
store is no list of vouchers, nor of passwords.

A line is a number and 32 octets in hexadecimal; the highest number seals, all of them open. `digest` is the key of the
digests by which codes of external stores are told apart; it never changes. What is sealed is bound to what it belongs
to (its voucher's id), so that it cannot be moved to another row. AES-256-GCM, NIST SP 800-38D.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["KeyFile", "KeyRing", "KeyRingError"]

KEY_OCTETS: Final = 32
NONCE_OCTETS: Final = 12
HEADER: Final = (
    "# Keys of the passwords in the store. Keep a copy apart from those of the store: without this file nobody can\n"
    "# redeem a voucher or register a phone any more. Every node needs the same one. `softswitch vouchers rotate-key`\n"
    "# adds a key.\n"
)


class KeyRingError(Exception):
    """The keys cannot be used; the text says why and names no key."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys by their number; made by `make`, or read from a file."""

    digest_key: bytes = field(repr=False)
    keys: Mapping[int, bytes] = field(repr=False)
    _ciphers: Mapping[int, AESGCM] = field(repr=False, compare=False, default_factory=dict)

    @classmethod
    def of(cls, digest_key: bytes, keys: Mapping[int, bytes]) -> Self:
        """A ring of these keys."""
        return cls(digest_key, keys, {number: AESGCM(key) for number, key in keys.items()})

    @classmethod
    def make(cls) -> Self:
        """A ring with one new key."""
        return cls.of(secrets.token_bytes(KEY_OCTETS), {1: AESGCM.generate_key(256)})

    @property
    def newest(self) -> int:
        """The number of the key that seals."""
        return max(self.keys)

    def with_new_key(self) -> Self:
        """The ring and a new key, which seals from now on."""
        return type(self).of(self.digest_key, {**self.keys, self.newest + 1: AESGCM.generate_key(256)})

    def only(self, numbers: set[int]) -> Self:
        """The ring without other keys than these and the newest."""
        return type(self).of(
            self.digest_key, {number: key for number, key in self.keys.items() if number in {*numbers, self.newest}}
        )

    def seal(self, secret: str, about: str) -> bytes:
        """Seal by the newest key; `about` must be said again to open it."""
        nonce = os.urandom(NONCE_OCTETS)
        return nonce + self._ciphers[self.newest].encrypt(nonce, secret.encode(), about.encode())

    def open(self, number: int, sealed: bytes, about: str) -> str:
        """What was sealed. Raises KeyRingError if its key is missing, or if it was changed or moved."""
        cipher = self._ciphers.get(number)
        if cipher is None:
            raise KeyRingError(f"key {number} is not in the ring")
        try:
            return cipher.decrypt(sealed[:NONCE_OCTETS], sealed[NONCE_OCTETS:], about.encode()).decode()
        except (InvalidTag, ValueError):
            raise KeyRingError(f"what key {number} sealed was changed, or it is another key") from None

    def digest(self, code: str) -> bytes:
        """By which a code is found again without being kept."""
        return hmac.digest(self.digest_key, code.encode(), hashlib.sha256)

    def __str__(self) -> str:
        lines = [f"digest {self.digest_key.hex()}", *(f"{number} {key.hex()}" for number, key in self.keys.items())]
        return HEADER + "\n".join(lines) + "\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote; raises KeyRingError."""
        digest, keys = b"", {}
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip() or line.startswith("#"):
                continue
            try:
                name, written = line.split()
                key = bytes.fromhex(written)
                if len(key) != KEY_OCTETS:
                    raise ValueError
                if name == "digest":
                    digest = key
                else:
                    keys[int(name)] = key
            except ValueError:
                raise KeyRingError(f"line {number} is no key") from None
        if not (digest and keys):
            raise KeyRingError("it has no key" if digest else 'its line "digest" is missing')
        return cls.of(digest, keys)


class KeyFile:
    """The file of a ring; read when it is first needed, and again when a key is missing."""

    def __init__(self, path: Path) -> None:
        """`path` need not exist yet."""
        self.path = path
        self._ring: KeyRing | None = None

    def ring(self) -> KeyRing:
        """The keys. Raises KeyRingError if there are none, or if others than the owner may read them."""
        if self._ring is None:
            self._ring = self._read()
        return self._ring

    def ring_with(self, number: int) -> KeyRing:
        """The keys; read again if this one is not among those read before."""
        if number not in self.ring().keys:
            self._ring = self._read()
        return self.ring()

    def exists(self) -> bool:
        """Whether there is such a file."""
        return self.path.exists()

    def write(self, ring: KeyRing) -> None:
        """Put a ring in the place of what is there, at once and whole."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_name(self.path.name + ".new")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(str(ring))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)
        directory = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        self._ring = ring

    def _read(self) -> KeyRing:
        try:
            if stat.S_IMODE(self.path.stat().st_mode) & 0o077:
                raise KeyRingError(f"{self.path}: others than its owner may read it (chmod 600)")
            return KeyRing.parse(self.path.read_text(encoding="ascii"))
        except FileNotFoundError:
            raise KeyRingError(f"{self.path}: there is no such file, so nothing that is sealed can be opened") from None
        except (OSError, UnicodeDecodeError) as error:
            raise KeyRingError(f"{self.path}: it cannot be read") from error
        except KeyRingError as error:
            raise KeyRingError(str(error) if str(self.path) in str(error) else f"{self.path}: {error}") from None
