# SPDX-License-Identifier: Apache-2.0
"""The timers of SIP transactions (RFC 3261 table 4, RFC 6026)."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Timers"]


@dataclass(frozen=True, slots=True)
class Timers:
    """Base values in seconds; the lettered timers follow from them.

    | letter | machine                             | value                   | over a reliable transport |
    |--------|-------------------------------------|-------------------------|---------------------------|
    | A      | INVITE client, retransmission       | T1, doubling            | never                     |
    | B      | INVITE client, no answer            | 64*T1                   | 64*T1                     |
    | D      | INVITE client, late failures        | at least 32 s           | 0                         |
    | E      | non-INVITE client, retransmission   | T1, doubling up to T2   | never                     |
    | F      | non-INVITE client, no final answer  | 64*T1                   | 64*T1                     |
    | G      | INVITE server, failure again        | T1, doubling up to T2   | never                     |
    | H      | INVITE server, no ACK               | 64*T1                   | 64*T1                     |
    | I      | INVITE server, late ACKs            | T4                      | 0                         |
    | J      | non-INVITE server, late requests    | 64*T1                   | 0                         |
    | K      | non-INVITE client, late responses   | T4                      | 0                         |
    | L      | INVITE server, late INVITEs         | 64*T1                   | 64*T1                     |
    | M      | INVITE client, more 2xx             | 64*T1                   | 64*T1                     |
    """

    t1: float = 0.5
    """Round-trip time estimate."""
    t2: float = 4.0
    """Longest interval between retransmissions of non-INVITE requests and of INVITE responses."""
    t4: float = 5.0
    """Longest time that a message stays in the network."""
    d: float = 32.0
    """How long an INVITE client transaction absorbs retransmitted failures over UDP."""
    trying_seconds: float = 0.2
    """How long the user of an INVITE server transaction may take before it sends 100 by itself (17.2.1)."""
    timeout_seconds: float = field(init=False)
    """64*T1: timers B, F, H, J, L and M, and the patience with a cancelled INVITE (9.1)."""

    late_seconds: float = field(init=False)
    """T1 + 2*T1 + ... until timer E is at T2: when a non-INVITE request without a response deserves 100 (RFC 4320)."""

    def __post_init__(self) -> None:
        if not 0 < self.t1 <= self.t2 or self.t4 < 0 or self.d < 0 or self.trying_seconds < 0:
            raise ValueError("timers need 0 < T1 <= T2 and no negative value")
        object.__setattr__(self, "timeout_seconds", 64 * self.t1)
        interval, passed = self.t1, 0.0
        while interval < self.t2:
            passed += interval
            interval *= 2
        object.__setattr__(self, "late_seconds", passed)
