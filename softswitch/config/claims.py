# SPDX-License-Identifier: Apache-2.0
"""The ports that a configuration claims, each with the key that asks for it and the process that opens it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from softswitch.config.model import Configuration
    from softswitch.config.values import Endpoint

__all__ = ["Claim", "claims", "collisions"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A port that a process opens."""

    process: str
    path: str
    """The configuration key that names it."""
    endpoint: Endpoint


def claims(configuration: Configuration) -> tuple[Claim, ...]:
    """Every port that `softswitch up` opens at a known number (RTP ports are taken as calls need them)."""
    return tuple(_claims(configuration))


def _claims(configuration: Configuration) -> Iterator[Claim]:
    for index, endpoint in enumerate(configuration.sip.listen):
        yield Claim("switch", f"sip.listen[{index}]", endpoint)
    if configuration.metrics.switch:
        yield Claim("switch", "metrics.switch", configuration.metrics.switch)
    yield Claim("ivr", "media.server.listen", configuration.media.server.listen)
    if configuration.metrics.ivr:
        yield Claim("ivr", "metrics.ivr", configuration.metrics.ivr)
    if configuration.media.is_builtin:
        yield Claim("media", "media.control", configuration.media.control)
    if configuration.demo.enabled:
        for index, endpoint in enumerate(configuration.demo.carriers):
            yield Claim("carrier", f"demo.carriers[{index}]", endpoint)


def collisions(found: Iterable[Claim]) -> Iterator[tuple[Claim, Claim]]:
    """Pairs of claims that cannot both be had."""
    for first, second in combinations(found, 2):
        if _overlap(first.endpoint, second.endpoint):
            yield first, second


def _overlap(first: Endpoint, second: Endpoint) -> bool:
    if (first.transport, first.port) != (second.transport, second.port):
        return False
    hosts = [ipaddress.ip_address(endpoint.host) for endpoint in (first, second)]
    return hosts[0].version == hosts[1].version and (hosts[0] == hosts[1] or any(host.is_unspecified for host in hosts))
