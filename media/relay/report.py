# SPDX-License-Identifier: Apache-2.0
"""What ng answers about calls, in the shape of rtpengine's `query` and `statistics`; instants in epoch seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from media.relay.bencode import Value
    from media.relay.calls import Call, Relay
    from media.relay.stream import Stream, StreamSide
    from media.rtp.counters import Counters
    from media.rtp.lock import Source

__all__ = ["call_report", "statistics_report"]


def call_report(call: Call, now: float, wall_clock_offset: float) -> dict[str, Value]:
    """The streams of a call by tag, and totals. `wall_clock_offset` makes epoch seconds of monotonic ones."""
    tags: dict[str, Value] = {}
    for side in (0, 1):
        if call.tags[side]:
            tag = call.tags[side][-1]
            tags[tag] = _tag_report(call, side, tag, now, wall_clock_offset)
    sides = [one for stream in call.active_streams for one in stream.sides]
    return {
        "created": int(call.created_at + wall_clock_offset),
        "last signal": int(call.signalled_at + wall_clock_offset),
        "watched": int(call.watched_at is not None),
        "tags": tags,
        "totals": {
            "RTP": _sum(side.rtp for side in sides),
            "RTCP": _sum(side.rtcp for side in sides),
        },
    }


def statistics_report(relay: Relay, uptime_seconds: float) -> dict[str, Value]:
    """The whole relay: calls in progress and sums over those that ended."""
    totals = relay.totals
    return {
        "currentstatistics": {
            "sessionsown": len(relay.calls),
            "sessionstotal": len(relay.calls),
        },
        "totalstatistics": {
            "uptime": int(uptime_seconds),
            "managedsessions": totals.calls,
            "rejectedsessions": totals.rejected,
            "timeoutsessions": totals.timeouts,
            "silenttimeoutsessions": totals.silent_timeouts,
            "relayedpackets": totals.packets,
            "relayedbytes": totals.octets,
            "relayedpacketerrors": totals.errors,
        },
    }


def _tag_report(call: Call, side: int, tag: str, now: float, wall_clock_offset: float) -> dict[str, Value]:
    medias = [_media_report(stream, side, now, wall_clock_offset) for stream in call.active_streams]
    report: dict[str, Value] = {
        "tag": tag,
        "created": int(call.created_at + wall_clock_offset),
        "medias": [media for media in medias if media is not None],
    }
    if call.tags[1 - side]:
        report["in dialogue with"] = call.tags[1 - side][-1]
    return report


def _media_report(stream: Stream, side: int, now: float, wall_clock_offset: float) -> dict[str, Value] | None:
    one = stream.sides[side]
    if one.media is None:
        return None
    return {
        "index": stream.index + 1,
        "type": one.media.kind,
        "protocol": one.media.protocol,
        "flags": [name for name, holds in (("held", one.held), ("block egress", one.silenced)) if holds],
        "streams": [_rtp_report(one, now, wall_clock_offset), _rtcp_report(one, now, wall_clock_offset)],
    }


def _rtp_report(side: StreamSide, now: float, wall_clock_offset: float) -> dict[str, Value]:
    flags = ["RTP" if side.media is not None and side.media.is_rtp else "UDPTL"]
    flags += ["confirmed"] if side.lock.final else []
    report = _socket_report(side.pair.port, side.rtp, flags, now, wall_clock_offset)
    reception = side.reception
    report["stats"] = {
        **_sum([side.rtp]),
        "lost": max(reception.lost, 0),
        "jitter": round(reception.jitter_seconds * 1e6),
    }
    if reception.ssrc is not None:
        report["SSRC"] = reception.ssrc
    if side.lock.target is not None:
        report["endpoint"] = _endpoint_report(side.lock.target)
    if side.lock.signalled is not None:
        report["advertised endpoint"] = _endpoint_report(side.lock.signalled)
    return report


def _rtcp_report(side: StreamSide, now: float, wall_clock_offset: float) -> dict[str, Value]:
    return _socket_report(side.pair.port + 1, side.rtcp, ["RTCP"], now, wall_clock_offset)


def _socket_report(
    port: int, counters: Counters, flags: list[str], now: float, wall_clock_offset: float
) -> dict[str, Value]:
    report: dict[str, Value] = {"local port": port, "flags": flags, "stats": _sum([counters])}
    if counters.last_packet_at is not None:
        report["last packet"] = int(counters.last_packet_at + wall_clock_offset)
        report["last packet age"] = int(now - counters.last_packet_at)
    return report


def _endpoint_report(source: Source) -> dict[str, Value]:
    host, port = source
    return {"family": "IPv6" if ":" in host else "IPv4", "address": host, "port": port}


def _sum(counters: Iterable[Counters]) -> dict[str, Value]:
    every = list(counters)
    return {
        "packets": sum(one.packets for one in every),
        "bytes": sum(one.octets for one in every),
        "errors": sum(one.errors for one in every),
    }
