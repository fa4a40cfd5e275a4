# SPDX-License-Identifier: Apache-2.0
"""What runs for every packet that is relayed: the two fast ways from one socket to the other.

A handler lives on local variables and calls nothing but the two system calls (docs/adr/0005-relay-hot-path.md).
`media.relay.stream` chooses, and has the slow way for everything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from media.rtp.counters import Counters
    from media.rtp.lock import Source
    from media.rtp.pump import Handler

__all__ = [
    "ANY_FIRST_OCTET",
    "BUFFER",
    "RTP_FIRST_OCTETS",
    "SAMPLE_MASK",
    "SLICES",
    "relay_checked",
    "relay_locked",
]

BUFFER = bytearray(4096)
"""Shared by all sockets: a packet is relayed before the next one is read."""
SLICES = tuple(memoryview(BUFFER)[:size] for size in range(len(BUFFER) + 1))
"""The first n octets of BUFFER, made once: slicing a memoryview anew costs more than the rest of the handler."""
RTP_FIRST_OCTETS = bytes(first >> 6 == 2 for first in range(256))
ANY_FIRST_OCTET = b"\1" * 256
SAMPLE_MASK = 15
"""Loss, jitter and the bound look at every 16th packet."""


def relay_locked(
    source: socket.socket,
    destination: socket.socket,
    counters: Counters,
    least: int,
    accepted: bytes,
    sample: Handler,
) -> Handler:
    """A handler that relays one packet between two connected sockets.

    A packet passes if it has at least `least` octets and `accepted` has a 1 for its first one. The handler lives on
    local variables: it is the one function of the process that runs for every packet.
    """
    receive_into = source.recv_into
    send = destination.send

    def relay() -> None:
        try:
            size = receive_into(BUFFER)
            if size < least or not accepted[BUFFER[0]]:
                counters.errors += 1
                return
            send(SLICES[size])
        except BlockingIOError:
            return
        except OSError:  # an ICMP error for an earlier packet, or a full queue of the interface
            counters.errors += 1
            return
        counters.packets += 1
        counters.octets += size
        if not counters.packets & SAMPLE_MASK:
            sample()

    return relay


def relay_checked(
    source: socket.socket,
    destination: socket.socket,
    to: Source | None,
    counters: Counters,
    least: int,
    accepted: bytes,
    sample: Handler,
    *,
    expected: Source,
    take_other: Callable[[int, Source], None],
) -> Handler:
    """As `relay_locked`, where a socket is not connected. `to`: where packets go; none: `destination` is connected.

    What comes from elsewhere than `expected` is in BUFFER when `take_other` is called, one by one.
    """
    receive_from = source.recvfrom_into
    send_to, send = destination.sendto, destination.send

    def relay() -> None:
        try:
            size, sender = receive_from(BUFFER)
            if sender[:2] != expected:
                take_other(size, sender[:2])
                return
            if size < least or not accepted[BUFFER[0]]:
                counters.errors += 1
                return
            if to is None:
                send(SLICES[size])
            else:
                send_to(SLICES[size], to)
        except BlockingIOError:
            return
        except OSError:
            counters.errors += 1
            return
        counters.packets += 1
        counters.octets += size
        if not counters.packets & SAMPLE_MASK:
            sample()

    return relay
