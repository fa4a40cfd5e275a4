# SPDX-License-Identifier: Apache-2.0
"""Subscriptions in the store: written in batches, read again when the switch starts."""

from __future__ import annotations

import asyncio
import itertools
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from billing_client.lamps import SubscriptionRow
from billing_client.types import StoreError, StoreUnavailable
from switch.sip.dialog import Dialog
from switch.sip.message.flow import Flow
from switch.sip.ways import anywhere

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from switch.sip.subscription import Subscription
    from switch.sip.ways import Ways

    class SubscriptionStore(Protocol):
        """What the records need of the store."""

        async def write_subscriptions(self, upserts: Sequence[SubscriptionRow], gone: Sequence[str]) -> None:
            """Insert or replace subscriptions, then remove others."""

        async def resume_subscriptions(self, *, after: str = "", limit: int = 500) -> list[SubscriptionRow]:
            """Those of this node's earlier life, a page at a time."""


__all__ = ["Records", "resumed_dialog"]

log = logging.getLogger(__name__)

_WRITE_SECONDS: Final = 0.2
_RETRY_SECONDS: Final = 1.0
_AT_A_TIME: Final = 500
_CLOSED: Final = -1
"""The number of a connection that ended with the process that had it."""


class Records:
    """Keeps the store up to date with the subscriptions. `clock` is Unix time, `now` monotonic."""

    def __init__(self, store: SubscriptionStore, *, clock: Callable[[], float], now: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._now = now
        self._unwritten: dict[str, Subscription | None] = {}
        """By tag; None: to be removed."""
        self._writing = 0
        self._changed = asyncio.Event()

    @property
    def unwritten(self) -> int:
        """Changes that the store does not have yet."""
        return len(self._unwritten) + self._writing

    def write(self, subscription: Subscription) -> None:
        """Have a subscription written as it is then."""
        self._unwritten[subscription.dialog.local_tag] = subscription
        self._changed.set()

    def remove(self, subscription: Subscription) -> None:
        """Have it removed."""
        self._unwritten[subscription.dialog.local_tag] = None
        self._changed.set()

    async def resume(self, take: Callable[[SubscriptionRow, float], None]) -> None:
        """Give every subscription of this node's earlier life to `take`, with its end in monotonic seconds."""
        after = ""
        while True:
            try:
                rows = await self._store.resume_subscriptions(after=after, limit=_AT_A_TIME)
            except StoreUnavailable:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            except StoreError:
                log.exception("the store refused to give subscriptions back")
                return
            ahead = self._now() - self._clock()
            for row in rows:
                take(row, row.expires_at.timestamp() + ahead)
            if len(rows) < _AT_A_TIME:
                return
            after = rows[-1].tag

    async def run(self) -> None:
        """Write what changes, for ever."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(_WRITE_SECONDS)
            self._changed.clear()
            try:
                await self._flush()
            except StoreUnavailable:
                self._changed.set()
                await asyncio.sleep(_RETRY_SECONDS)

    async def close(self) -> None:
        """Write what is not written yet."""
        try:
            await self._flush()
        except StoreError:
            log.warning("subscriptions were not written", extra={"subscriptions": len(self._unwritten)})

    async def _flush(self) -> None:
        """Raises StoreUnavailable, and then nothing is lost."""
        while self._unwritten:
            batch = dict(itertools.islice(self._unwritten.items(), _AT_A_TIME))
            for tag in batch:
                del self._unwritten[tag]
            self._writing = len(batch)
            rows = [self._row(subscription) for subscription in batch.values() if subscription is not None]
            try:
                await self._store.write_subscriptions(rows, [tag for tag, kept in batch.items() if kept is None])
            except (StoreUnavailable, asyncio.CancelledError):
                self._unwritten = {**batch, **self._unwritten}
                raise
            except StoreError:
                log.exception("the store refused subscriptions", extra={"subscriptions": len(batch)})
            finally:
                self._writing = 0

    def _row(self, subscription: Subscription) -> SubscriptionRow:
        dialog = subscription.dialog
        ends_at = subscription.expires_at - self._now() + self._clock()
        return SubscriptionRow(
            tag=dialog.local_tag,
            account=subscription.subject,
            call_id=dialog.call_id,
            local=dialog.local,
            remote=dialog.remote,
            remote_tag=dialog.remote_tag,
            target=dialog.remote_target,
            routes=tuple(dialog.route_set),
            event=subscription.event,
            local_cseq=dialog.local_cseq,
            remote_cseq=dialog.remote_cseq or 0,
            source=_socket(dialog.flow.transport, dialog.flow.remote),
            socket=_socket(dialog.flow.transport, dialog.flow.local),
            natted=dialog.natted,
            expires_at=datetime.fromtimestamp(ends_at, UTC),
        )


def resumed_dialog(row: SubscriptionRow, ways: Callable[[], Ways] = anywhere) -> Dialog:
    """The dialog of a subscription, as the store remembers it; raises ValueError."""
    transport, remote = _parse_socket(row.source)
    flow = Flow(transport, _parse_socket(row.socket)[1], remote, 0 if transport == "udp" else _CLOSED)
    return Dialog(
        call_id=row.call_id,
        local=row.local,
        local_tag=row.tag,
        remote=row.remote,
        remote_tag=row.remote_tag,
        local_cseq=row.local_cseq,
        remote_cseq=row.remote_cseq,
        remote_target=row.target,
        route_set=ways().route_set(row.routes, flow),
        flow=flow,
        natted=row.natted,
        ways=ways,
    )


def _socket(transport: str, address: tuple[str, int]) -> str:
    return f"{transport}:{address[0]}:{address[1]}"


def _parse_socket(text: str) -> tuple[str, tuple[str, int]]:
    transport, _, address = text.partition(":")
    host, _, port = address.rpartition(":")
    return transport, (host, int(port))
