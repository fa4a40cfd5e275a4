# SPDX-License-Identifier: Apache-2.0
"""What runs on this switch, told to whoever watches: nobody pays for it while nobody does.

A watcher says so in the store every few seconds; for as long as it does, every switch announces its calls there.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any, Final

from billing_client.types import StoreError
from switch.calls.view import CallState
from switch.relay.ng import CALLER_TAG, NgError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from decimal import Decimal

    from switch.calls.call import Call
    from switch.calls.control import CallControl

__all__ = ["LiveCalls", "describe", "media_statistics", "messages"]

log = logging.getLogger(__name__)

WATCHED_SECONDS: Final = 15.0
"""How long one word of a watcher counts."""
ROUND_SECONDS: Final = 2.0
MEDIA_AT_A_TIME: Final = 50
"""Calls whose media are asked about in one round."""
MAX_CALLS: Final = 1000
"""Of one switch that are told, those that began first."""
MESSAGE_BYTES: Final = 7500
"""PostgreSQL takes notifications of less than 8000."""


class LiveCalls:
    """Announces the calls of a switch while they are watched."""

    def __init__(self, control: CallControl) -> None:
        self._control = control
        self._until = 0.0
        self._wanted = asyncio.Event()
        self._media: dict[str, dict[str, Any]] = {}
        self._round = 0

    def watched(self) -> None:
        """Somebody watches."""
        self._until = asyncio.get_running_loop().time() + WATCHED_SECONDS
        self._wanted.set()

    async def run(self) -> None:
        """Announce, round by round, for as long as somebody watches; for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wanted.wait()
            while loop.time() < self._until:
                await self._announce()
                await asyncio.sleep(ROUND_SECONDS)
            self._wanted.clear()
            self._media.clear()

    async def _announce(self) -> None:
        shared, calls = self._control.shared, list(self._control.calls.values())
        self._round += 1
        await self._look_at_media(calls)
        now = shared.core.now()
        rows = [describe(call, now, self._media.get(call.call_id)) for call in calls[:MAX_CALLS]]
        try:
            await shared.till.store.announce_calls(list(messages(shared.settings.node, self._round, len(calls), rows)))
        except StoreError as error:
            log.warning("the calls could not be announced", extra={"reason": str(error)})

    async def _look_at_media(self, calls: list[Call]) -> None:
        """Ask the relay about the calls that it was asked about the longest ago."""
        relay = self._control.shared.relay
        answered = {
            call.call_id: call.bridge.relay_name
            for call in calls
            if call.state is CallState.ANSWERED and call.bridge.relay.carries_media
        }
        if not relay.carries_media:
            return
        known = {call_id: self._media[call_id] for call_id in self._media if call_id in answered}
        oldest = [*(answered.keys() - known.keys()), *known][:MEDIA_AT_A_TIME]
        for call_id in oldest:
            try:
                report = await relay.query(answered[call_id])
            except NgError:
                break
            known.pop(call_id, None)
            known[call_id] = media_statistics(report or {})
        self._media = known


def describe(call: Call, now: float, media: Mapping[str, Any] | None) -> dict[str, Any]:
    """A call as its watchers see it; seconds and amounts as of `now`."""
    plan, credit, rate = call.plan, call.payment.credit, call.plan.rate if call.plan else None
    payer = plan.payer if plan else None
    charge = credit.charge(now) if credit is not None else None
    ends_at = credit.end_at if credit is not None else None
    since = call.answered_at or call.started_at
    return {
        "call_id": call.call_id,
        "state": call.state.value,
        "caller": call.caller.number if call.caller else "",
        "dialled": call.dialled,
        "account": payer.number if payer else "",
        "customer": payer.customer_name if payer else "",
        "currency": payer.currency if payer else "",
        "direction": plan.direction if plan else "",
        "destination": rate.destination if rate else "",
        "country": rate.country if rate else "",
        "gateway": call.gateway.name if call.gateway else "",
        "started_at": call.started_at.isoformat(timespec="seconds"),
        "seconds": int((call.utc() - since).total_seconds()),
        "price": _text(rate.next_price if rate else None),
        "locked": _text(credit.locked if credit else None),
        "spent": _text(charge.amount if charge else None),
        "remaining_seconds": None if ends_at is None or credit is None or credit.paid_seconds is None else
        max(0, int(ends_at - now)),
        "is_ending": bool(credit and credit.exhausted),
        "media": media,
        "sip_call_id": call.invite.request.call_id,
    }  # fmt: skip


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:f}"


def media_statistics(report: Mapping[str, object]) -> dict[str, Any]:
    """What came from each side's phone, out of an ng report: packets, and lost ones and jitter if the relay tells."""
    found: dict[str, Any] = {}
    tags = report.get("tags")
    for tag, party in tags.items() if isinstance(tags, dict) else ():
        stats = _audio(party)
        if stats is not None:
            jitter = stats.get("jitter")
            found["caller" if tag == CALLER_TAG else "callee"] = {
                "packets": stats.get("packets"),
                "lost": stats.get("lost"),
                "jitter_ms": round(jitter / 1000, 1) if isinstance(jitter, int) else None,
            }
    return found


def _audio(party: object) -> dict[str, Any] | None:
    """The counters of a party's first stream."""
    medias = party.get("medias") if isinstance(party, dict) else None
    for media in medias if isinstance(medias, list) else ():
        streams = media.get("streams") if isinstance(media, dict) else None
        if isinstance(streams, list) and streams and isinstance(streams[0], dict):
            stats = streams[0].get("stats")
            return stats if isinstance(stats, dict) else None
    return None


def messages(node: str, number: int, total: int, rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The announcement of one round, in messages that PostgreSQL takes; the last one says that it is the last."""
    head = json.dumps({"node": node, "round": number, "total": total})[:-1]
    batch: list[str] = []
    room = size = MESSAGE_BYTES - len(head) - 40
    for row in rows:
        text = json.dumps(row, separators=(",", ":"))
        if len(text) > size and batch:
            yield f'{head}, "last": false, "calls": [{",".join(batch)}]}}'
            batch, size = [], room
        if len(text) <= room:
            batch.append(text)
            size -= len(text) + 1
    yield f'{head}, "last": true, "calls": [{",".join(batch)}]}}'
