# SPDX-License-Identifier: Apache-2.0
"""One party of a call, as the verbs need it; `ivr.legs.sip_leg` makes it of SIP and RTP, `ivr.scripted.scripted` of a
script.

Nothing here waits. What happens to the party is told to the one that listens (`Listener`), which the verbs are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ivr.verbs import DialRequest, Playable

__all__ = ["Leg", "Listener", "Take", "TakeEnd"]

TakeEnd = Literal["silence", "length"]


class Listener(Protocol):
    """Is told what happens to a party, from the event loop; must not raise."""

    def digit(self, key: str) -> None:
        """A key was pressed."""

    def changed(self) -> None:
        """Look at the leg again: it was answered, or is gone, or has played all, or its recording has ended."""


class Take(Protocol):
    """A recording that is under way or has ended."""

    @property
    def rate(self) -> int:
        """Samples a second, mono, signed 16 bit; final at the end."""

    @property
    def ended_by(self) -> TakeEnd | None:
        """Why it ended by itself; None while it goes on."""

    def finish(self) -> tuple[bytes, float]:
        """End it; the samples (little endian) and how many seconds they last, both without the silence at the end."""


class Leg(Protocol):
    """One party."""

    listener: Listener | None

    @property
    def call_id(self) -> str:
        """Of its SIP dialog."""

    @property
    def is_answered(self) -> bool:
        """The call to or from this party was answered."""

    @property
    def is_gone(self) -> bool:
        """The party hung up, gave up or was hung up on; nothing can be done with it any more."""

    @property
    def is_talking(self) -> bool:
        """Sound can go to it: the descriptions of both sides are known, in early media or after the answer."""

    @property
    def is_ringing(self) -> bool:
        """A called party is being told of the call (180)."""

    @property
    def status(self) -> int:
        """The last SIP status of a called party; 0 before any."""

    @property
    def cause(self) -> int | None:
        """The Q.850 cause that the other side gave at its end."""

    def ring(self) -> None:
        """Let a caller know that somebody else is rung for it: 180, or where it was answered the sound of it."""

    def progress(self) -> None:
        """Open early media to a caller that is not answered (183)."""

    def answer(self) -> None:
        """Answer a caller (200)."""

    def accept_charge(self) -> None:
        """A called party has accepted the call, which was free until now."""

    def hang_up(self, status: int = 480, cause: int = 16) -> None:
        """BYE, CANCEL or a final response, whichever fits; harmless when it is gone."""

    def play(self, playables: Sequence[Playable], language: str) -> None:
        """Play these one after the other, instead of what is played now; `changed` follows at the end."""

    @property
    def is_playing(self) -> bool:
        """Whether what `play` was given is not at its end."""

    def stop(self) -> None:
        """Play no further."""

    def record(
        self, *, most_seconds: float, silence_seconds: float, on_samples: Callable[[bytes, int], None] | None
    ) -> Take:
        """Record what the party says; `on_samples` is given samples and their rate about once a second, and the rest
        at the end. It may be given silence at the end that does not count.
        """

    def dial(self, request: DialRequest) -> Leg:
        """Call somebody else through the switch; the new leg is `is_gone` with a `status` when that fails.

        Raises DialFailed where it cannot even be tried.
        """

    def bridge(self, other: Leg) -> None:
        """Let the two hear each other; keys are still told."""

    def unbridge(self) -> None:
        """Part them again."""
