# SPDX-License-Identifier: Apache-2.0
"""Wrong passwords, counted per account over all sources: guessing gets slow, and the owner is not locked out.

After a few wrong passwords for an account, attempts from addresses that have not lately logged in to it take turns:
each new address is given an instant, one after the other, from which its next attempt is judged. The more wrong ones,
the longer the pace. What comes before its turn hears that its nonce is stale, like anybody whose nonce has expired, and
nothing was looked at. So guesses from a thousand addresses are no faster than those from one, and a right password from
a new address gets in when its turn has come: after one pace for each address that waits, of which there are at most
`_MAX_WAITING`. Addresses that know the password, or from which a phone is registered, wait for nobody.

An address that tries many names waits the same way, counted by itself. Names are counted whether or not anybody has
them, so that the counting tells nobody which exist. Each node counts by itself: what is guessed at several goes as many
times faster.

Only attempts with a nonce that was sent to the source (`DigestServer.is_current`) may be counted: anybody can write any
source address on a datagram.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from switch.sip.transport.flood import source_key

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Guesses"]

_FREE: Final = 10
"""Wrong passwords for a name that slow nobody: of a phone that is being set up."""
_FREE_OF_SOURCE: Final = 100
"""Wrong passwords of an address, for whatever names: an office in which many phones have old ones."""
_FORGET_SECONDS: Final = 900.0
_PACES: Final = (1.0, 2.0, 4.0, 8.0)
"""Seconds from turn to turn, for each ten more wrong ones."""
_MAX_WAITING: Final = 64
_KEEP_TURN_SECONDS: Final = 300.0
"""How long after its instant a turn that was not used is kept: phones try again after minutes."""
_MAX_COUNTED: Final = 20_000
_MAX_KNOWN: Final = 200_000
_KNOWN_SECONDS: Final = 7 * 86_400.0


class _Count:
    """The wrong passwords for a name, or of a source, and whose turn is when."""

    __slots__ = ("failed_at", "failures", "next_turn", "turns")

    def __init__(self) -> None:
        self.failures = 0
        self.failed_at = 0.0
        self.next_turn = 0.0
        self.turns: dict[str, float] = {}

    def pace(self, free: int) -> float:
        return _PACES[min((self.failures - free) // 10, len(_PACES) - 1)]

    def has_turn(self, source: str, free: int, now: float) -> bool:
        """Whether it is this source's turn; gives it one to come if it has none."""
        turn = self.turns.get(source)
        if turn is None:
            if len(self.turns) >= _MAX_WAITING:
                self.turns = {one: at for one, at in self.turns.items() if now - at < _KEEP_TURN_SECONDS}
            if len(self.turns) < _MAX_WAITING:
                self.next_turn = self.turns[source] = max(self.next_turn, now) + self.pace(free)
            return False
        return now >= turn


class Guesses:
    """Decides whether an attempt to log in is judged; `now` is monotonic, memory is bounded.

    `is_registered` tells whether a phone of a name is registered from an address (without port).
    """

    def __init__(self, *, is_registered: Callable[[str, str], bool] = lambda _name, _host: False) -> None:
        self._is_registered = is_registered
        self._names: dict[str, _Count] = {}
        self._sources: dict[str, _Count] = {}
        self._accounts: dict[str, str] = {}
        """The account of other names than its number."""
        self._known: dict[tuple[str, str], float] = {}
        """Until when an address counts as the owner's; in that order."""
        self.put_off = 0
        """Attempts that were not judged."""

    @property
    def known(self) -> int:
        """Addresses of owners that are remembered."""
        return len(self._known)

    def may_try(self, name: str, host: str, now: float) -> bool:
        """Whether to judge an attempt to log in by this name from this address."""
        if not self._names:
            return True
        source, account = source_key(host), self._accounts.get(name, name)
        by_name = self._counted(self._names, account, _FREE, now)
        by_source = self._counted(self._sources, source, _FREE_OF_SOURCE, now)
        if (by_name is None and by_source is None) or self._knows(account, name, host, now):
            return True
        waits = [
            not count.has_turn(source, free, now)
            for count, free in ((by_name, _FREE), (by_source, _FREE_OF_SOURCE))
            if count is not None
        ]
        if any(waits):
            self.put_off += 1
            return False
        for count in (by_name, by_source):
            if count is not None:
                del count.turns[source]
        return True

    def failed(self, name: str, host: str, now: float, *, account: str | None = None) -> None:
        """A wrong password for a name of `account`, or a name that nobody has."""
        if account is not None and account != name:
            if len(self._accounts) >= _MAX_COUNTED:
                self._accounts.clear()
            self._accounts[name] = account
        for counts, key in ((self._names, account or name), (self._sources, source_key(host))):
            count = counts.get(key)
            if count is None:
                while len(counts) >= _MAX_COUNTED:
                    del counts[next(iter(counts))]
                count = counts[key] = _Count()
            elif now - count.failed_at >= _FORGET_SECONDS:
                count.failures = 0
            count.failures += 1
            count.failed_at = now

    def succeeded(self, account: str, host: str, now: float) -> None:
        """Whoever is at this address knows the password of this account."""
        known, pair = self._known, (account, source_key(host))
        known.pop(pair, None)
        known[pair] = now + _KNOWN_SECONDS
        while known[oldest := next(iter(known))] <= now or len(known) > _MAX_KNOWN:
            del known[oldest]

    def slowed(self, now: float) -> dict[str, int]:
        """Accounts, and names of nobody, for which attempts wait for their turn: how many wrong passwords each had."""
        return {
            name: count.failures
            for name, count in self._names.items()
            if count.failures >= _FREE and now - count.failed_at < _FORGET_SECONDS
        }

    @staticmethod
    def _counted(counts: dict[str, _Count], key: str, free: int, now: float) -> _Count | None:
        """The count of a key that is slowed; None: it is not."""
        count = counts.get(key)
        if count is None or count.failures < free:
            return None
        if now - count.failed_at >= _FORGET_SECONDS:
            del counts[key]
            return None
        return count

    def _knows(self, account: str, name: str, host: str, now: float) -> bool:
        return self._known.get((account, source_key(host)), 0.0) > now or self._is_registered(name, host)
