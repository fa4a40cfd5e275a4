# SPDX-License-Identifier: Apache-2.0
"""The mark by which switch and media server know each other's requests: a MAC under a secret that only they have.

    Softswitch-Mark: v=1;at=MICROSECONDS;depth=1;by=account:101;from=192.0.2.7;mac=HEX

The secret never travels. The MAC is HMAC-SHA-256 over direction, method, Request-URI, body and every header field that
the other side believes (`_COVERED`), over the wall clock at its making, and over the chain: how many applications are
part of the call already, and who began it. A mark counts for `WINDOW_SECONDS` and for one call: what was captured on
the way opens no second one. See docs/adr/0015-one-secret.md.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Callable

    from switch.sip.message.message import Request

__all__ = ["ACCEPTED", "HEADER", "NOBODY", "WINDOW_SECONDS", "Chain", "Marks"]

HEADER: Final = "Softswitch-Mark"
ACCEPTED: Final = "Softswitch-Accepted"
"""In an INFO within a call of the media server: whoever was rung has pressed a key, and the call is charged."""
WINDOW_SECONDS: Final = 60.0
"""So far the clocks of both machines may differ, and so long is a used mark remembered."""
LEAST_SECRET: Final = 16
MOST_DEPTH: Final = 99
_GRACE_SECONDS: Final = 0.05
"""Wall and monotonic clock are no closer."""
_MOST_LENGTH: Final = 1024
_COVERED: Final = frozenset(
    {
        *("From", "To", "Call-ID", "P-Asserted-Identity", "P-Served-User"),
        *("Diversion", "History-Info", "Privacy", "Content-Type"),
    }
)
"""All in the spelling that `header_names` gives every other one."""

Side = Literal["switch", "media"]


@dataclass(frozen=True, slots=True)
class Chain:
    """What led to a call: limits count for who began it, however many forwards and applications came between."""

    depth: int = 0
    """Applications that are part of it."""
    by: str = ""
    """Who began it: "account:NUMBER", "number:ANI" or "carrier:NAME" where that withholds the number."""
    address: str = ""
    """Where a phone of ours began it from; empty: a carrier brought it."""

    def longer(self) -> Chain:
        """With one application more."""
        return Chain(self.depth + 1, self.by, self.address)


NOBODY: Final = Chain()


class Marks:
    """Makes the marks of one side and reads those of the other."""

    def __init__(self, secret: bytes, side: Side, *, wall: Callable[[], float], clock: Callable[[], float]) -> None:
        """`wall` gives epoch seconds, which both sides share; `clock` monotonic ones. ValueError: no secret."""
        if len(secret) < LEAST_SECRET:
            raise ValueError(f"a secret of fewer than {LEAST_SECRET} octets marks nothing")
        self._secret = secret
        self._side = side
        self._other = "media" if side == "switch" else "switch"
        self._wall = wall
        self._clock = clock
        self._began = clock()
        self._used: OrderedDict[str, float] = OrderedDict()
        """MACs of calls that were let in, and until when (epoch) they could be shown again."""

    def __len__(self) -> int:
        return len(self._used)

    def put(self, request: Request, chain: Chain) -> None:
        """Mark a request of ours; nothing that is covered may change afterwards."""
        names = f"by={quote(chain.by, safe=':')};from={quote(chain.address, safe=':')}"
        head = f"v=1;at={int(self._wall() * 1_000_000)};depth={chain.depth};{names}"
        request.add(HEADER, f"{head};mac={self._mac(self._side, request, head)}")

    def read(self, request: Request) -> Chain | None:
        """What the other side says of a request; None: it does not come from there. Changes nothing."""
        found = self._checked(request)
        return None if found is None else found[0]

    def take(self, request: Request) -> Chain | None:
        """The same for a request that begins something: its mark is used up."""
        found = self._checked(request)
        if found is None:
            return None
        chain, mac, at = found
        now = self._wall()
        used = self._used
        while used and next(iter(used.values())) < now:
            used.popitem(last=False)
        if mac in used:
            return None
        used[mac] = max(now, at) + WINDOW_SECONDS
        return chain

    def _checked(self, request: Request) -> tuple[Chain, str, float] | None:
        shown = request.all(HEADER)
        if len(shown) != 1 or len(shown[0]) > _MOST_LENGTH or not shown[0].isascii():
            return None
        head, _, mac = shown[0].partition(";mac=")
        if not hmac.compare_digest(mac, self._mac(self._other, request, head)):
            return None
        parts = dict(part.split("=", 1) for part in head.split(";"))  # ours: the MAC has shown it
        at = int(parts["at"]) / 1_000_000
        age = self._wall() - at
        # nothing of an earlier life of ours is taken: what it let in is forgotten
        if not -WINDOW_SECONDS <= age <= min(WINDOW_SECONDS, self._clock() - self._began + _GRACE_SECONDS):
            return None
        return Chain(int(parts["depth"]), unquote(parts["by"]), unquote(parts["from"])), mac, at

    def _mac(self, side: str, request: Request, head: str) -> str:
        lines = [side, request.method, request.uri_text, head]
        lines += [f"{name}:{value.strip()}" for name, value in request.headers if name in _COVERED]
        text = "\r\n".join(lines).encode("utf-8", "surrogateescape")
        return hmac.digest(self._secret, text + b"\r\n\r\n" + request.body, "sha256").hex()
