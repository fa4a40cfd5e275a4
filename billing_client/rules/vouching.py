# SPDX-License-Identifier: Apache-2.0
"""Whose number a calling number is: who vouches for it, and what it opens. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, cast, get_args

if TYPE_CHECKING:
    from collections.abc import Container

__all__ = ["ANI_RULES", "IDENTIFIES", "AniRule", "Identifies", "NumberTrust", "Vouched"]

Identifies = Literal["no", "yes", "attested"]
"""Of a gateway: its numbers say nothing of who calls; they do; they do where the carrier says that they were verified
and attested fully (STIR attestation A)."""
AniRule = Literal["enough", "once", "pin", "off"]
"""Of an account: a number of its own is enough; the first call by each gateway asks the PIN; every call does; its
numbers do not identify."""
Vouched = Literal["", "claimed", "number"]
"""What a calling number shows: nothing; that somebody claimed it for the account, by telephone and without proof; that
it is the account's."""

IDENTIFIES: Final[tuple[Identifies, ...]] = get_args(Identifies)
ANI_RULES: Final[tuple[AniRule, ...]] = get_args(AniRule)


@dataclass(frozen=True, slots=True)
class NumberTrust:
    """How far a number of an account identifies it."""

    rule: AniRule
    is_claimed: bool
    """Its caller claimed it, and no call to it has proved that yet."""
    gateways: Container[int] = ()
    """By which it came with the right PIN."""

    @classmethod
    def parse(cls, written: str | None) -> NumberTrust | None:
        """As the store writes it: `once proven 3 5`."""
        if written is None:
            return None
        rule, state, *gateways = written.split()
        return cls(cast("AniRule", rule), state == "claimed", frozenset(map(int, gateways)))

    def by(self, gateway_id: int) -> Vouched:
        """What the number shows when it comes by a gateway that vouches for it."""
        if self.rule in ("off", "pin") or (self.rule == "once" and gateway_id not in self.gateways):
            return ""
        return "claimed" if self.is_claimed else "number"
