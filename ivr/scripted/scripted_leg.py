# SPDX-License-Identifier: Apache-2.0
"""The leg of a scripted party: nothing sounds, everything takes its time on the loop's clock and is written down."""

from __future__ import annotations

import asyncio
import io
import math
import struct
import wave
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ivr.verbs import Audio, Spoken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ivr.legs.leg import Leg, Listener, TakeEnd
    from ivr.verbs import DialRequest, Playable

__all__ = ["RECORDING", "RINGING", "Heard", "ScriptedLeg", "seconds_of"]

RECORDING: Final = "(recording)"
"""What is heard where a recording is played."""
RINGING: Final = "(ringing)"
RATE: Final = 8000
_TICK_SECONDS: Final = 0.1
_LOUDNESS: Final = 8000


@dataclass(frozen=True, slots=True)
class Heard:
    """Something that began to sound for a party."""

    at: float
    """Seconds of the loop's clock."""
    what: str
    """Id of the prompt; RECORDING or RINGING."""
    audio: Audio | None = field(default=None, repr=False)

    @property
    def is_background(self) -> bool:
        """Not said to the party, so scripts need not speak of it."""
        return self.what == RINGING


@lru_cache(maxsize=64)
def tone_samples(hertz: int, seconds: float) -> bytes:
    """A sine, signed 16 bit; 0 Hz is silence. What is asked for begins at a zero crossing of every whole 10 Hz."""
    count = round(seconds * RATE)
    if not hertz:
        return bytes(2 * count)
    values = (round(_LOUDNESS * math.sin(2 * math.pi * hertz * index / RATE)) for index in range(count))
    return struct.pack(f"<{count}h", *values)


def seconds_of(audio: Audio) -> float:
    """How long a recording plays; 5 s where it is no WAV file."""
    if audio.format != "wav":
        return 5.0
    try:
        with wave.open(io.BytesIO(audio.data)) as source:
            frames, rate = source.getnframes(), source.getframerate()
            return float(frames / rate)
    except (wave.Error, EOFError):
        return 5.0


def flattened(playables: Sequence[Playable]) -> Iterator[tuple[str, Audio | None]]:
    """One item a prompt or recording."""
    for playable in playables:
        if isinstance(playable, Audio):
            yield RECORDING, playable
        elif isinstance(playable, Spoken):
            for prompt in playable.prompts:
                yield prompt, None
        else:
            yield playable, None


class ScriptedLeg:
    """A caller, or a called party (`called`) that something else lets ring and answer."""

    def __init__(
        self,
        call_id: str,
        *,
        prompt_seconds: float,
        dialling: Callable[[DialRequest], ScriptedLeg],
        called: bool = False,
    ) -> None:
        self.listener: Listener | None = None
        self.call_id = call_id
        self.is_answered = False
        self.is_gone = False
        self.is_talking = False
        self.is_ringing = False
        self.status = 0
        self.cause: int | None = None
        self.heard: list[Heard] = []
        self.ended_by_us = False
        self.is_charge_accepted = False
        """The application ended the call."""
        self.take: ScriptedTake | None = None
        self.bridged: Leg | None = None
        self.says_hertz: int | None = None
        """The tone that the party says now."""
        self.on_event: Callable[[], None] = lambda: None
        """Told of all that the script may wait for."""
        self._prompt_seconds = prompt_seconds
        self._dialling = dialling
        self._called = called
        self._playing: list[tuple[str, Audio | None]] = []
        self._timer: asyncio.TimerHandle | None = None

    # what the script does -----------------------------------------------------------------------------------------
    def press(self, key: str) -> None:
        """A key."""
        if self.listener is not None:
            self.listener.digit(key)

    def leave(self, cause: int = 16) -> None:
        """The party hangs up."""
        if not self.is_gone:
            self.cause = cause
            self._over()

    def set_answered(self) -> None:
        """A called party answers."""
        self.is_answered = self.is_talking = True
        self.status = 200
        self._tell()

    def set_ringing(self) -> None:
        """A called party rings."""
        self.is_ringing = True
        self.status = 180
        self._tell()

    def set_failed(self, status: int, cause: int | None) -> None:
        """A call fails."""
        if not self.is_gone:
            self.status, self.cause = status, cause
            self._over()

    # what the verbs do ----------------------------------------------------------------------------------------------
    def ring(self) -> None:
        """See Leg."""
        self._hear(RINGING, None)

    def progress(self) -> None:
        """See Leg."""
        self.is_talking = True

    def answer(self) -> None:
        """See Leg."""
        if not self.is_gone and not self.is_answered:
            self.set_answered()

    def accept_charge(self) -> None:
        """See Leg."""
        self.is_charge_accepted = True

    def hang_up(self, status: int = 480, cause: int = 16) -> None:
        """See Leg."""
        if self.is_gone:
            return
        self.ended_by_us = True
        if not self._called:
            self.status, self.cause = 200 if self.is_answered else status, cause
        self._over()

    def play(self, playables: Sequence[Playable], language: str) -> None:
        """See Leg."""
        self.stop()
        self._playing = list(flattened(playables))
        self._next()

    @property
    def is_playing(self) -> bool:
        """See Leg."""
        return bool(self._playing)

    def stop(self) -> None:
        """See Leg."""
        self._playing = []
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def record(
        self, *, most_seconds: float, silence_seconds: float, on_samples: Callable[[bytes, int], None] | None
    ) -> ScriptedTake:
        """See Leg."""
        self.take = ScriptedTake(self, most_seconds, silence_seconds, on_samples)
        self.on_event()
        return self.take

    def dial(self, request: DialRequest) -> ScriptedLeg:
        """See Leg."""
        return self._dialling(request)

    def bridge(self, other: Leg) -> None:
        """See Leg."""
        self.bridged = other
        self.on_event()
        if isinstance(other, ScriptedLeg):
            other.bridged = self
            other.on_event()

    def unbridge(self) -> None:
        """See Leg."""
        if isinstance(self.bridged, ScriptedLeg):
            self.bridged.bridged = None
        self.bridged = None

    # inside -----------------------------------------------------------------------------------------------------
    def _next(self) -> None:
        if not self._playing:
            self._timer = None
            self._tell()
            return
        what, audio = self._playing[0]
        seconds = self._prompt_seconds if audio is None else seconds_of(audio)
        self._timer = asyncio.get_running_loop().call_later(seconds, self._played)
        self._hear(what, audio)

    def _played(self) -> None:
        del self._playing[:1]
        self._next()

    def _hear(self, what: str, audio: Audio | None) -> None:
        self.heard.append(Heard(asyncio.get_running_loop().time(), what, audio))
        self.on_event()

    def _over(self) -> None:
        self.is_gone, self.is_talking = True, False
        self.stop()
        self._tell()

    def _tell(self) -> None:
        self.on_event()
        if self.listener is not None:
            self.listener.changed()

    def told(self) -> None:
        """Something that the verbs wait for has changed."""
        self._tell()


class ScriptedTake:
    """A recording of what the script says: a tick is a tenth of a second."""

    def __init__(
        self,
        leg: ScriptedLeg,
        most_seconds: float,
        silence_seconds: float,
        on_samples: Callable[[bytes, int], None] | None,
    ) -> None:
        self.rate = RATE
        self.ended_by: TakeEnd | None = None
        self.is_over = False
        self._leg = leg
        self._most = most_seconds
        self._silence = silence_seconds
        self._on_samples = on_samples
        self._samples = bytearray()
        self._given = 0
        self._voiced = 0
        """Bytes up to the end of what was said last."""
        self._arm()

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        hertz = self._leg.says_hertz
        self._samples += tone_samples(hertz or 0, _TICK_SECONDS)
        if hertz is not None:
            self._voiced = len(self._samples)
        if len(self._samples) - self._given >= 2 * RATE:
            self._give()
        if len(self._samples) >= 2 * RATE * self._most:
            self._end("length")
        elif len(self._samples) - self._voiced >= 2 * RATE * self._silence:
            self._end("silence")
        else:
            self._arm()

    def _end(self, reason: TakeEnd) -> None:
        self.ended_by = reason
        self.is_over = True
        self._leg.told()

    def _give(self) -> None:
        fresh, self._given = bytes(self._samples[self._given :]), len(self._samples)
        if self._on_samples is not None and fresh:
            self._on_samples(fresh, RATE)

    def finish(self) -> tuple[bytes, float]:
        """See Take."""
        self._timer.cancel()
        self.is_over = True
        self._give()
        said = bytes(self._samples[: self._voiced])
        return said, len(said) / (2 * RATE)
