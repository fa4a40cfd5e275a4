# SPDX-License-Identifier: Apache-2.0
"""The SIP messages of running calls, as they crossed the wire.

`Ladders` knows which Call-IDs belong to a call; for a message of one it keeps a reference to the bytes. A call's record
is bounded: of very many messages the first and the last are kept, and those between them counted.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from switch.sip.message.flow import INNER, Flow
from switch.trace.masking import mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from switch.sip.message.message import Message

Address = tuple[str, int]

__all__ = ["Crossing", "Ladder", "Ladders", "read_crossings", "write_crossings"]

FIRST_MESSAGES: Final = 120
LAST_MESSAGES: Final = 40
MOST_BYTES: Final = 4096
"""Of one message; what is longer is cut."""

_CALL_ID: Final = b"\r\nCall-ID: "


class Crossing(NamedTuple):
    """One message on the wire."""

    at: float
    """Monotonic seconds; in what was read back, seconds since the call began."""
    is_sent: bool
    """By us."""
    leg: str
    """"a": the caller's; "b1", "b2" and so on: those that we called."""
    flow: Flow
    data: bytes


class Ladder:
    """The messages of one call; `squeeze` turns those so far into few bytes."""

    __slots__ = ("_first", "_last", "_pack", "_seen_at", "began_at", "call_ids", "dropped", "keys", "packed")

    def __init__(self, began_at: float, pack: Callable[[bytes], bytes], seen_at: Callable[[Flow], Address]) -> None:
        """`pack` compresses; `seen_at` says which address of ours the peer of a flow sees."""
        self.began_at = began_at
        self.call_ids: list[str] = []
        """SIP Call-IDs of the legs, the caller's first."""
        self.keys: list[str] = []
        """What the messages of the legs are known by."""
        self.dropped = 0
        """Messages that were not kept because there were too many."""
        self.packed: list[bytes] = []
        self._pack = pack
        self._seen_at = seen_at
        self._first: list[Crossing] = []
        self._last: deque[Crossing] | None = None

    def add(self, crossing: Crossing) -> None:
        """Keep a message, in the order of time."""
        if len(self._first) < FIRST_MESSAGES:
            self._first.append(crossing)
            return
        if self._last is None:
            self._last = deque(maxlen=LAST_MESSAGES)
        self.dropped += len(self._last) == LAST_MESSAGES
        self._last.append(crossing)

    def __len__(self) -> int:
        return len(self._first) + len(self._last or ())

    def squeeze(self) -> None:
        """Turn the messages so far into masked, compressed bytes: a held call shall not cost more than it must."""
        if self._first:
            crossings = (one._replace(flow=self._seen(one.flow)) for one in (*self._first, *(self._last or ())))
            self.packed.append(self._pack(write_crossings(crossings, self.began_at)))
            self._first, self._last = [], None

    def _seen(self, flow: Flow) -> Flow:
        """A flow as it is on the wire: no packet comes from 0.0.0.0."""
        local = self._seen_at(flow)
        return flow if local == flow.local else replace(flow, local=local)


class Ladders:
    """The ladders of all running calls, by the Call-IDs of their legs. `clock` gives monotonic seconds."""

    def __init__(self, pack: Callable[[bytes], bytes], clock: Callable[[], float] = time.monotonic) -> None:
        self._pack = pack
        self._clock = clock
        self.seen_at: Callable[[Flow], Address] = attrgetter("local")
        """Which address of ours the peer of a flow sees; asked when a call's messages are packed."""
        self._legs: dict[str, tuple[Ladder, str]] = {}
        self._unclaimed: tuple[str, Crossing] | None = None
        """The last INVITE that belongs to no call: the next call may be what it asks for."""

    def __len__(self) -> int:
        """Legs that are being recorded."""
        return len(self._legs)

    def received(self, message: Message, flow: Flow, data: bytes) -> None:
        """A message came in, and has not been acted on."""
        call_id = message.call_id
        found = self._legs.get(_key(call_id, flow))
        if found is not None:
            found[0].add(Crossing(self._clock(), False, found[1], flow, data[:MOST_BYTES]))
        elif data.lstrip(b"\r\n").startswith(b"INVITE"):
            self._unclaimed = (call_id, Crossing(self._clock(), False, "a", flow, data[:MOST_BYTES]))

    def sent(self, data: bytes, flow: Flow) -> None:
        """A message of ours goes out."""
        begin = data.find(_CALL_ID) + len(_CALL_ID)
        call_id = data[begin : data.find(b"\r\n", begin)].decode("utf-8", "surrogateescape")
        found = self._legs.get(_key(call_id, flow))
        if found is not None:
            found[0].add(Crossing(self._clock(), True, found[1], flow, data[:MOST_BYTES]))

    def begin(self, call_id: str, flow: Flow | None = None) -> Ladder:
        """Record a new call, beginning with the INVITE that has just come (on `flow`)."""
        last, self._unclaimed = self._unclaimed, None
        ladder = Ladder(self._clock(), self._pack, self.seen_at)
        self.add_leg(ladder, call_id, flow)
        if last is not None and last[0] == call_id:
            ladder.began_at = last[1].at
            ladder.add(last[1])
        return ladder

    def add_leg(self, ladder: Ladder, call_id: str, flow: Flow | None = None) -> None:
        """Record another leg of a call."""
        legs, key = len(ladder.call_ids), _key(call_id, flow)
        ladder.call_ids.append(call_id)
        ladder.keys.append(key)
        self._legs[key] = (ladder, f"b{legs}" if legs else "a")

    def end(self, ladder: Ladder) -> None:
        """Record no more of a call."""
        for key in ladder.keys:
            if self._legs.get(key, (None,))[0] is ladder:
                del self._legs[key]


def _key(call_id: str, flow: Flow | None) -> str:
    """What a leg's messages are known by: its Call-ID; where we talk to ourselves, each end of the leg has its own."""
    return call_id if flow is None or flow.transport != INNER else f"{call_id} {flow.local[1]}"


def write_crossings(crossings: Iterable[Crossing], began_at: float) -> bytes:
    """The messages as bytes, masked: for each a line that describes it, then what crossed the wire."""
    parts: list[bytes] = []
    for at, is_sent, leg, flow, data in crossings:
        shown = mask(data)
        local, remote = flow.local, flow.remote
        line = f"{at - began_at:.6f} {'>' if is_sent else '<'} {leg} {flow.transport} {local[0]} {local[1]}"
        parts += (f"{line} {remote[0]} {remote[1]} {len(shown)}\n".encode(), shown)
    return b"".join(parts)


def read_crossings(written: bytes) -> Iterator[Crossing]:
    """What `write_crossings` wrote; times count from the beginning of the call."""
    position = 0
    while position < len(written):
        end = written.index(b"\n", position)
        at, way, leg, transport, host, port, far_host, far_port, size = written[position:end].decode().split(" ")
        position = end + 1 + int(size)
        flow = Flow(transport, (host, int(port)), (far_host, int(far_port)))
        yield Crossing(float(at), way == ">", leg, flow, written[end + 1 : position])
