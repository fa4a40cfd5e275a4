# SPDX-License-Identifier: Apache-2.0
"""Who may send us requests, and how many: a limit for strangers, a wide one for those we know, nothing from scanners.

Scanners are strangers that send many requests. A phone, an office of two hundred phones behind one address, a carrier
or a load test sends many requests as well, but is no stranger:

* `trust()` widens the limit of an address, for as long as told, once a request from it was authenticated; what was
  counted before is forgotten. An address of which bindings were reloaded at the start is trusted the same way. The more
  phones have registered from there, the more is heard.
* `exempt` names addresses that need no authentication: the carriers.

Anybody can write any source address on a datagram. So what comes over UDP bans nobody, and takes trust from nobody, be
it malformed, wrong or too much: what is beyond the limit is dropped, and the next period begins anew. Only who has
shaken hands over TCP, is not known, and goes on beyond the limit for a whole period is banned. What answers those who
have not authenticated is counted as well (`may_answer`), so that a forged source gets no more than its own limit; each
login that succeeds takes one off that count, so whoever makes use of our challenges may ask for more.

So an office whose phones all start at once is not banned: some of them are heard, the first that logs in earns trust
for all, and the others repeat their requests within a second.

The limit slides: a request counts fully in its own period and fades out over the next. Addresses are without port, for
a scanner changes its port at will; those of IPv6 count by their network of 64 bits, which is what one site is given.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["FloodGuard", "source_key"]

_MAX_ADDRESSES: Final = 100_000
_KNOWN_TIMES: Final = 1000
"""How many times the limit of a stranger an address that we know is heard, before its phones are counted."""
_ANSWERS_TIMES: Final = 64
"""How many times the limit of a stranger an address that we know is challenged."""


def source_key(host: str) -> str:
    """By what a source is counted: its address, or of IPv6 the network of 64 bits (RFC 4291 section 2.5.4)."""
    return _network(host) if ":" in host else host


@lru_cache(maxsize=8192)
def _network(host: str) -> str:
    try:
        return IPv6Address(host.partition("%")[0]).packed[:8].hex()
    except ValueError:
        return host


class FloodGuard:
    """Decides per source address whether to hear a request; `now` is monotonic, memory is bounded.

    No more than `requests` of a stranger are heard in `per_seconds`; one that goes on like this over a connection is
    banned for `ban_seconds`. 0 requests: no limit.
    """

    def __init__(
        self,
        *,
        requests: int = 16,
        per_seconds: float = 2.0,
        ban_seconds: float = 300.0,
        drop_user_agents: Iterable[str] = (),
        exempt: Callable[[str], bool] = lambda _host: False,
    ) -> None:
        self._exempt = exempt
        self._trusted: dict[str, float] = {}
        self._phones: dict[str, int] = {}
        """Bindings that were made from an address since it is trusted."""
        self._banned: dict[str, float] = {}
        self.configure(requests, per_seconds, ban_seconds, drop_user_agents)
        self._purge_at = 0.0
        self.dropped = 0
        """Requests that were not heard: of banned addresses, and beyond the limit."""
        self.unanswered = 0
        """Requests that were heard and got no challenge any more."""
        self.scanners = 0
        """Requests with the User-Agent of a scanner."""
        self.bans = 0

    def configure(self, requests: int, per_seconds: float, ban_seconds: float, drop_user_agents: Iterable[str]) -> None:
        """Take over other limits; who is trusted or banned stays so, the counting starts anew."""
        self._limit = requests
        self._period = per_seconds
        self._ban = ban_seconds
        names = [re.escape(name) for name in drop_user_agents if name]
        self._scanner = re.compile("|".join(names), re.IGNORECASE) if names else None
        self._excess: dict[str, float] = {}
        """Since when an address is beyond the limit."""
        self._requests = _SlidingCount(per_seconds)
        self._answers = _SlidingCount(per_seconds)

    def allows(self, host: str, now: float, *, is_proven: bool = True) -> bool:
        """Whether to hear one more request from this address; counts it.

        `is_proven`: it came over a connection, so nobody else has written this address.
        """
        if not self._limit:
            return True
        if now >= self._purge_at:
            self._purge(now)
        key = source_key(host)
        if self._banned and now < self._banned.get(key, 0.0) and not self._exempt(host):
            self.dropped += 1
            return False
        count = self._requests.add(key, now)
        if count <= self._limit:
            return True
        if self.is_trusted(host, now):
            if count <= self._limit * (_KNOWN_TIMES + self._phones.get(key, 0)):
                return True
        elif is_proven:
            self._go_on(key, now)
        self.dropped += 1
        return False

    def _go_on(self, key: str, now: float) -> None:
        """A stranger is beyond the limit; bans it when it has been for a period."""
        since = self._excess.get(key)
        if since is None or now - since > 2 * self._period:
            if len(self._excess) < _MAX_ADDRESSES:
                self._excess[key] = now
        elif now - since >= self._period and len(self._banned) < _MAX_ADDRESSES:
            self.bans += 1
            self._banned[key] = now + self._ban
            del self._excess[key]

    def may_answer(self, host: str, now: float) -> bool:
        """Whether to answer one more request of somebody who has not authenticated; counts it."""
        if not self._limit:
            return True
        key = source_key(host)
        count = self._answers.add(key, now)
        if count <= self._limit or (
            self.is_trusted(host, now) and count <= self._limit * (_ANSWERS_TIMES + self._phones.get(key, 0))
        ):
            return True
        self.unanswered += 1
        return False

    def is_scanner(self, user_agent: str | None) -> bool:
        """Whether the request comes from a known scanner, which gets no answer at all."""
        if self._scanner is None or not user_agent or self._scanner.search(user_agent) is None:
            return False
        self.scanners += 1
        return True

    def trust(self, host: str, until: float) -> None:
        """A request from this address was authenticated: hear much of it until then."""
        key = source_key(host)
        self._answers.take_back(key)
        known = self._trusted.get(key)
        if known is None:
            if len(self._trusted) >= _MAX_ADDRESSES:
                oldest = next(iter(self._trusted))
                del self._trusted[oldest]
                self._phones.pop(oldest, None)
            self.pardon(host)
        if known is None or known < until:
            self._trusted[key] = until

    def add_phones(self, host: str, number: int) -> None:
        """More phones are registered from a trusted address: hear more of it."""
        key = source_key(host)
        if key in self._trusted:
            self._phones[key] = self._phones.get(key, 0) + number

    def has_phones(self, host: str, now: float) -> bool:
        """Whether somebody has lately shown his password from there."""
        return self._trusted.get(source_key(host), 0.0) > now

    def is_trusted(self, host: str, now: float) -> bool:
        """Whether this address is known to be one of ours."""
        return self._trusted.get(source_key(host), 0.0) > now or self._exempt(host)

    def pardon(self, host: str) -> None:
        """Lift the ban of an address."""
        key = source_key(host)
        self._banned.pop(key, None)
        self._excess.pop(key, None)
        self._requests.forget(key)

    def _purge(self, now: float) -> None:
        self._purge_at = now + max(self._period, 10.0)
        self._banned = {host: until for host, until in self._banned.items() if until > now}
        self._trusted = {host: until for host, until in self._trusted.items() if until > now}
        self._phones = {host: count for host, count in self._phones.items() if host in self._trusted}
        self._excess = {host: since for host, since in self._excess.items() if since > now - 2 * self._period}


class _SlidingCount:
    """Events per key in the last period, by two counters per key: this period's, and last period's fading out."""

    def __init__(self, period_seconds: float) -> None:
        self._period = period_seconds
        self._started_at = float("-inf")
        self._current: dict[str, int] = {}
        self._previous: dict[str, int] = {}

    def add(self, key: str, now: float) -> float:
        """Count one event; returns how many there were in the period that ends now."""
        elapsed = now - self._started_at
        if elapsed >= self._period or len(self._current) >= _MAX_ADDRESSES:
            self._previous = self._current if elapsed < 2 * self._period else {}
            self._current = {}
            # a period that is full of addresses ends early
            self._started_at = self._started_at + self._period if self._period <= elapsed < 2 * self._period else now
            elapsed = now - self._started_at
        count = self._current[key] = self._current.get(key, 0) + 1
        before = self._previous.get(key)
        return count if before is None else count + before * (1 - elapsed / self._period)

    def take_back(self, key: str) -> None:
        """Count one event less."""
        count = self._current.get(key)
        if count:
            self._current[key] = count - 1

    def forget(self, key: str) -> None:
        """Start anew for this key."""
        self._current.pop(key, None)
        self._previous.pop(key, None)
