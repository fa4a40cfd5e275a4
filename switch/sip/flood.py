# SPDX-License-Identifier: Apache-2.0
"""Who may send us requests, and how many: a limit for strangers, and nothing from known scanners.

Scanners and password guessers are strangers that send many requests. A phone, an office of two hundred phones behind
one address, a carrier or a load test sends many requests as well, but is no stranger. So the limit counts only requests
of addresses that have nothing to show for themselves:

* `trust()` lifts the limit from an address, for as long as told, once a request from it was authenticated; what was
  counted before is forgotten. An address of which bindings were reloaded at the start is trusted the same way.
* `exempt` names addresses that need no authentication: the carriers.
* `failed()` counts wrong passwords. An address that guesses faster than the limit loses its trust, and is then counted
  like any other. It is not banned for that: behind it may sit an office with one phone that holds an old password.

Banning strangers cannot be used against phones: whoever forges their address hits one that is trusted. An address is
banned only when it goes on beyond the limit for a whole period; until then the excess is dropped. So an office whose
phones all start at once is not banned: some of them are heard, the first that logs in earns trust for all, and the
others repeat their requests within a second.

The limit slides: a request counts fully in its own period and fades out over the next. Addresses are without port, for
a scanner changes its port at will.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["FloodGuard"]

_MAX_ADDRESSES: Final = 100_000


class FloodGuard:
    """Decides per source address whether to hear a request; `now` is monotonic, memory is bounded.

    No more than `requests` of a stranger are heard in `per_seconds`; one that goes on like this is banned for
    `ban_seconds`. 0 requests: no limit.
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
        self._banned: dict[str, float] = {}
        self.configure(requests, per_seconds, ban_seconds, drop_user_agents)
        self._purge_at = 0.0
        self.dropped = 0
        """Requests that were not heard: of banned addresses, and beyond the limit."""
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
        self._failures = _SlidingCount(per_seconds)

    def allows(self, host: str, now: float) -> bool:
        """Whether to hear one more request from this address; counts it."""
        until = self._trusted.get(host)
        if (until is not None and now < until) or not self._limit:
            return True
        if now >= self._purge_at:
            self._purge(now)
        if now >= self._banned.get(host, 0.0) and self._is_within(host, now):
            return True
        self.dropped += 1
        return False

    def _is_within(self, host: str, now: float) -> bool:
        """Count a request; bans the address when it has been beyond the limit for a period."""
        if self._requests.add(host, now) <= self._limit or self._exempt(host):
            return True
        since = self._excess.get(host)
        if since is None or now - since > 2 * self._period:
            if len(self._excess) < _MAX_ADDRESSES:
                self._excess[host] = now
        elif now - since >= self._period and len(self._banned) < _MAX_ADDRESSES:
            self.bans += 1
            self._banned[host] = now + self._ban
            del self._excess[host]
        return False

    def is_scanner(self, user_agent: str | None) -> bool:
        """Whether the request comes from a known scanner, which gets no answer at all."""
        if self._scanner is None or not user_agent or self._scanner.search(user_agent) is None:
            return False
        self.scanners += 1
        return True

    def trust(self, host: str, until: float) -> None:
        """A request from this address was authenticated: hear all of its requests until then."""
        known = self._trusted.get(host)
        if known is None:
            if len(self._trusted) >= _MAX_ADDRESSES:
                self._trusted.pop(next(iter(self._trusted)))
            self.pardon(host)
        if known is None or known < until:
            self._trusted[host] = until

    def failed(self, host: str, now: float) -> None:
        """A login from this address failed: guessing faster than the limit loses its trust."""
        if self._limit and self._failures.add(host, now) > self._limit:
            self._trusted.pop(host, None)

    def is_trusted(self, host: str, now: float) -> bool:
        """Whether this address is known to be one of ours."""
        return self._trusted.get(host, 0.0) > now or self._exempt(host)

    def banned(self, now: float) -> dict[str, float]:
        """Banned addresses and the seconds that they stay banned."""
        return {host: until - now for host, until in self._banned.items() if until > now}

    def pardon(self, host: str) -> None:
        """Lift the ban of an address."""
        self._banned.pop(host, None)
        self._excess.pop(host, None)
        self._requests.forget(host)

    def _purge(self, now: float) -> None:
        self._purge_at = now + max(self._period, 10.0)
        self._banned = {host: until for host, until in self._banned.items() if until > now}
        self._trusted = {host: until for host, until in self._trusted.items() if until > now}
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

    def forget(self, key: str) -> None:
        """Start anew for this key."""
        self._current.pop(key, None)
        self._previous.pop(key, None)
