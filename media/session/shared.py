# SPDX-License-Identifier: Apache-2.0
"""What the sessions of a process share, as one of them sees it; `media.session.engine` is it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from media.rtp.pump import Pump
    from media.sdp import Address
    from media.session.ticker import Ticker
    from media.settings import EngineSettings
    from media.sound.codec import Codec

__all__ = ["Shared"]

Session = TypeVar("Session", contravariant=True)


class Shared(Protocol[Session]):
    """Clocks, sockets, chance and settings of all sessions."""

    settings: EngineSettings
    codecs: tuple[Codec, ...]
    """In order of preference."""
    addresses: dict[int, Address]
    """Our own, by family."""
    random: Random
    clock: Callable[[], float]
    """Monotonic seconds."""
    wall_clock: Callable[[], float]
    pump: Pump
    ticker: Ticker

    @property
    def trusted(self) -> frozenset[str]:
        """Hosts that are ours."""

    def defer(self, callback: Callable[..., object], *arguments: Any) -> None:
        """Call back out of the loop over the sessions."""

    def forget(self, session: Session) -> None:
        """The session is closed."""
