# SPDX-License-Identifier: Apache-2.0
"""Keeps what calls were and why: after a call its reasons and its ladder go to the store, in batches, out of its way.

Nothing waits for this: while the store is away, or when calls end faster than they can be written, records are dropped
and counted. Records of calls are pruned by their age.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from billing_client.traces import CallTrace
from billing_client.types import StoreError
from switch.trace.ladder import Ladders, read_crossings
from switch.trace.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from switch.settings import TraceSettings
    from switch.sip.message.flow import Flow
    from switch.trace.ladder import Crossing, Ladder
    from switch.trace.trace import Step

__all__ = ["Ended", "Record", "Recorder", "read_record"]

log = logging.getLogger(__name__)

LINGER_SECONDS: Final = 5.0
"""How long after the end messages still belong to the call: answers to BYE, what was repeated."""
SETTLED_SECONDS: Final = 5.0
"""So long after the answer a call is taken to be talked on, and its messages are squeezed."""
TICK_SECONDS: Final = 1.0
BATCH: Final = 100
MOST_WAITING: Final = 5000
PRUNE_SECONDS: Final = 600.0
PRUNE_AT_A_TIME: Final = 5000

# What nearly every call has in it makes a short message of a long one; the most frequent at the end. It is part of the
# stored form: another one needs another tag in `read_record`.
_WORDS: Final = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8 0 101\r\n"
    b"a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"
    b'a=sendrecv\r\n["caller",["account",["callee",["rate",["route",["funds",["ring",["answer",["end",'
    b"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, MESSAGE, NOTIFY, SUBSCRIBE, REFER\r\n"
    b'Proxy-Authorization: Digest username="", realm="", uri="sip:", algorithm=MD5, response=[masked]\r\n'
    b'Reason: Q.850;cause=16;text="Normal call clearing"\r\nRecord-Route: <sip:\r\nUser-Agent: \r\nRequire: \r\n'
    b"Supported: 100rel, timer\r\nSession-Expires: 1800;refresher=uac\r\nMin-SE: 90\r\nP-Asserted-Identity: <sip:"
    b"SIP/2.0 100 Trying\r\nSIP/2.0 180 Ringing\r\nSIP/2.0 200 OK\r\nINVITE sip: SIP/2.0\r\nACK sip:\r\nBYE sip:\r\n"
    b" < b1 udp  > b1 udp  < a udp  > a udp Content-Type: application/sdp\r\nMax-Forwards: 70\r\nCSeq: 1 INVITE\r\n"
    b"CSeq: 2 BYE\r\nCSeq: 1 ACK\r\nCall-ID: \r\nContact: <sip:\r\nTo: <sip:>;tag=\r\nFrom: <sip:>;tag="
    b"Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK;rport=;received=\r\nContent-Length: 0\r\n\r\n"
)
_LEVEL: Final = 1
_REASONS, _MESSAGES = b"R", b"M"


def pack(data: bytes) -> bytes:
    """Compress a piece of a record."""
    squeezer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, _WORDS)
    return squeezer.compress(data) + squeezer.flush()


def unpack(data: bytes) -> bytes:
    """What `pack` was given."""
    return zlib.decompressobj(-15, _WORDS).decompress(data)


@dataclass(frozen=True, slots=True)
class Record:
    """A call read back from the store."""

    steps: tuple[Step, ...]
    crossings: tuple[Crossing, ...]


def read_record(body: bytes) -> Record:
    """Take apart what a `CallTrace` carries; ValueError or zlib.error if it is none."""
    steps: list[Step] = []
    crossings: list[Crossing] = []
    position = 0
    while position < len(body):
        tag, size = body[position : position + 1], int.from_bytes(body[position + 1 : position + 5], "big")
        piece = unpack(body[position + 5 : position + 5 + size])
        position += 5 + size
        if tag == _REASONS:
            steps += Trace.from_json(piece.decode())
        elif tag == _MESSAGES:
            crossings += read_crossings(piece)
        else:
            raise ValueError(f"a record of another form: {tag!r}")
    return Record(tuple(steps), tuple(crossings))


def write_record(trace: Trace, ladder: Ladder | None) -> bytes:
    """What `read_record` reads."""
    pieces = [(_REASONS, pack(trace.to_json().encode("utf-8", "replace")))]
    if ladder is not None:
        ladder.squeeze()
        pieces += [(_MESSAGES, piece) for piece in ladder.packed]
    return b"".join(tag + len(piece).to_bytes(4, "big") + piece for tag, piece in pieces)


class TraceStore(Protocol):
    """Where records go."""

    async def write_traces(self, traces: Sequence[CallTrace]) -> None:
        """Write a batch; raises StoreError."""

    async def prune_traces(self, before: datetime, most: int) -> int:
        """Remove up to `most` records of calls that began before then; returns how many. Raises StoreError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What the recorder is told of a call that has ended."""

    call_id: str
    account: str
    """Number of who pays; empty: nobody."""
    caller: str
    dialled: str
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime
    cause: int
    status: int | None
    ended_by: str


@dataclass(frozen=True, slots=True)
class _Waiting:
    due_at: float
    ended: Ended
    trace: Trace
    ladder: Ladder | None


class Recorder:
    """Records all calls of a switch. `clock` gives monotonic seconds, `utc` the time of day."""

    def __init__(
        self, settings: TraceSettings, store: TraceStore, *, clock: Callable[[], float], utc: Callable[[], datetime]
    ) -> None:
        self.settings = settings
        self.ladders = Ladders(pack, clock)
        self.written = 0
        self.dropped = 0
        """Records that were not written: the store was away, or there were too many."""
        self._store = store
        self._clock = clock
        self._utc = utc
        self._waiting: deque[_Waiting] = deque()
        self._talking: deque[tuple[float, Trace, Ladder | None]] = deque()
        self._prune_at = 0.0

    # what calls tell ----------------------------------------------------------------------------------------------
    def begin(self, call_id: str, flow: Flow | None = None) -> Ladder | None:
        """A call begins, with this Call-ID and on this flow; returns its ladder, if ladders are kept."""
        return self.ladders.begin(call_id, flow) if self.settings.enabled and self.settings.ladder else None

    def answered(self, trace: Trace, ladder: Ladder | None) -> None:
        """A call was answered: in a moment it will be quiet."""
        self._talking.append((self._clock() + SETTLED_SECONDS, trace, ladder))

    def ended(self, ended: Ended, trace: Trace, ladder: Ladder | None) -> None:
        """A call is over."""
        if not self.settings.enabled:
            return
        if len(self._waiting) >= MOST_WAITING:
            self.dropped += 1
            if ladder is not None:
                self.ladders.end(ladder)
            return
        self._waiting.append(_Waiting(self._clock() + LINGER_SECONDS, ended, trace, ladder))

    # the work -----------------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Squeeze, write and prune, for ever."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = self._clock()
            await self._squeeze(now)
            await self._write(now)
            if now >= self._prune_at:
                self._prune_at = now + PRUNE_SECONDS
                await self._prune()

    async def flush(self) -> None:
        """Write everything that waits."""
        await self._write(float("inf"))

    async def _squeeze(self, now: float) -> None:
        while self._talking and self._talking[0][0] <= now:
            _, trace, ladder = self._talking.popleft()
            trace.squeeze()
            if ladder is not None:
                ladder.squeeze()
            await asyncio.sleep(0)  # calls come first

    async def _write(self, now: float) -> None:
        while self._waiting and self._waiting[0].due_at <= now:
            batch: list[CallTrace] = []
            while self._waiting and self._waiting[0].due_at <= now and len(batch) < BATCH:
                batch.append(self._finish(self._waiting.popleft()))
                await asyncio.sleep(0)
            try:
                await self._store.write_traces(batch)
                self.written += len(batch)
            except StoreError as error:
                self.dropped += len(batch)
                log.warning("records of calls are lost", extra={"calls": len(batch), "reason": str(error)})

    def _finish(self, waiting: _Waiting) -> CallTrace:
        ended, ladder = waiting.ended, waiting.ladder
        if ladder is not None:
            self.ladders.end(ladder)
            if ladder.dropped:
                waiting.trace.add("fault", "{dropped} messages of the middle were not kept", dropped=ladder.dropped)
        keys = {ended.account, ended.caller, ended.dialled, *(ladder.call_ids if ladder is not None else ())}
        return CallTrace(
            call_id=ended.call_id,
            account=ended.account,
            caller=ended.caller,
            dialled=ended.dialled,
            started_at=ended.started_at,
            answered_at=ended.answered_at,
            ended_at=ended.ended_at,
            cause=ended.cause,
            sip_status=ended.status,
            ended_by=ended.ended_by,
            keys=tuple(keys - {""}),
            body=write_record(waiting.trace, ladder),
        )

    async def _prune(self) -> None:
        before = self._utc() - timedelta(days=self.settings.keep_days)
        try:
            if await self._store.prune_traces(before, PRUNE_AT_A_TIME) == PRUNE_AT_A_TIME:
                self._prune_at = 0.0  # there is more
        except StoreError as error:
            log.warning("old records of calls stay for now", extra={"reason": str(error)})
