# SPDX-License-Identifier: Apache-2.0
"""The verbs of `ivr.verbs`, over a leg: the one implementation, for real callers and for scripted ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from ivr.call import asking, dialling, taking
from ivr.call.allowance import Allowance
from ivr.call.party import Party
from ivr.verbs import DialRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from typing import Protocol

    from ivr.legs.leg import Leg
    from ivr.verbs import CallDetails, DialResult, Ivr, Playable, Recording

    class RecordingSpool(Protocol):
        """Where recordings grow on disk."""

        def check(self, name: str) -> None:
            """Raises ValueError for what is no name."""

        def begin(self, name: str, details: CallDetails, rate: int) -> Callable[[bytes], None]:
            """Open the file of a recording; what is returned appends samples to it."""

        def end(self, name: str, seconds: float | None = None) -> None:
            """All samples are there; so many seconds of them count."""


__all__ = ["IvrCall"]

Answer = TypeVar("Answer")


class IvrCall:
    """A caller; see `ivr.verbs.Ivr`."""

    def __init__(self, leg: Leg, details: CallDetails, *, spool: RecordingSpool | None = None) -> None:
        self._party = Party(leg, details.language)
        self._details = details
        self._spool = spool
        self._number_only = details.account if details.vouched else None
        """The account that the calling number alone says the caller to be."""
        self.spooled: list[str] = []
        """Names of the recordings that were written to disk."""

    @property
    def details(self) -> CallDetails:
        """What the INVITE said."""
        return self._details

    @property
    def language(self) -> str:
        """Of the prompts."""
        return self._party.language

    def speak(self, language: str) -> None:
        """Use the prompts of another language."""
        self._party.language = language

    @property
    def answered(self) -> bool:
        """Whether the call was answered."""
        return self._party.leg.is_answered

    @property
    def is_gone(self) -> bool:
        """Whether the caller hung up, or was hung up on."""
        return self._party.leg.is_gone

    @property
    def is_leaving(self) -> bool:
        """Whether the caller is gone, or has had its time."""
        return self._party.is_leaving

    async def is_reached(self, seconds: float) -> bool:
        """Whether a party that is being called answers within so many seconds; for who rings it."""
        leg = self._party.leg
        return await self._party.wait(lambda: leg.is_answered and leg.is_talking, seconds, raises=False)

    def allow(self, seconds: float) -> Allowance:
        """Let it go on for so long, beside the time in which the caller talks to somebody; for the runner."""
        self._party.allowance = Allowance(seconds, self._party.end)
        return self._party.allowance

    def resume(self) -> None:
        """A last word to a caller whose time is over; for the runner."""
        self._party.is_over = False

    def watch(self, on_change: Callable[[], None] | None) -> None:
        """Be told when something changes; for the runner."""
        self._party.on_change = on_change

    async def answer(self) -> None:
        """Answer the call."""
        await self._party.answer()

    async def play(self, *playables: Playable, interrupt: str = "", flush: bool = False) -> str:
        """Play one after the other; returns the key that ended it."""
        if flush:
            self._party.keys.clear()
        return await self._party.play(playables, interrupt)

    async def ask(
        self,
        *playables: Playable,
        digits: int,
        least: int = 1,
        finish: str = "#",
        first_seconds: float = 5.0,
        next_seconds: float = 3.0,
        tries: int = 3,
    ) -> str:
        """Ask for digits; they are written nowhere."""
        return await asking.ask(
            self._party,
            playables,
            digits=digits,
            least=least,
            finish=finish,
            first_seconds=first_seconds,
            next_seconds=next_seconds,
            tries=tries,
        )

    async def collect(
        self, digits: int, *, finish: str = "#", first_seconds: float = 5.0, next_seconds: float = 3.0
    ) -> str:
        """Wait for digits without a prompt."""
        return await asking.collect(self._party, digits, finish, first_seconds, next_seconds)

    async def menu(
        self,
        playables: Sequence[Playable],
        keys: Mapping[str, Answer],
        *,
        tries: int = 3,
        seconds: float = 5.0,
        invalid: Playable = "invalid-key",
    ) -> Answer:
        """Offer choices; raises TooManyTries."""
        return await asking.menu(self._party, playables, keys, tries=tries, seconds=seconds, invalid=invalid)

    async def record(
        self,
        *,
        most_seconds: float,
        silence_seconds: float = 10.0,
        finish: str = "#*0123456789",
        beep: bool = True,
        spool: str = "",
    ) -> Recording:
        """Record what the caller says."""
        to = self._spool if spool else None
        if to is not None:
            to.check(spool)
        write: Callable[[bytes], None] | None = None

        def on_samples(samples: bytes, rate: int) -> None:
            nonlocal write
            if write is None:
                assert to is not None
                write = to.begin(spool, self._details, rate)
                self.spooled.append(spool)
            write(samples)

        recording = await taking.record(
            self._party,
            most_seconds=most_seconds,
            silence_seconds=silence_seconds,
            finish=finish,
            beep=beep,
            on_samples=None if to is None else on_samples,
        )
        if to is not None and write is not None:
            to.end(spool, recording.seconds)
        return recording

    async def dial(
        self,
        destination: str,
        *,
        account: str,
        caller: str,
        caller_name: str = "",
        diverted: bool = False,
        ring_seconds: float = 60.0,
        hangup_key: str = "",
        most_seconds: float | None = None,
        on_answer: Callable[[Ivr], Awaitable[bool]] | None = None,
    ) -> DialResult:
        """Call somebody through the switch and connect both."""
        request = DialRequest(
            destination=destination,
            account=account,
            caller=caller,
            caller_name=caller_name,
            diverted=diverted,
            is_number_only=account == self._number_only,
        )

        async def meet(leg: Leg) -> bool:
            assert on_answer is not None
            return await on_answer(IvrCall(leg, self._details_of(leg, request)))

        return await dialling.dial(
            self._party,
            request,
            ring_seconds=ring_seconds,
            hangup_key=hangup_key,
            most_seconds=most_seconds,
            meet=None if on_answer is None else meet,
        )

    def _details_of(self, callee: Leg, request: DialRequest) -> CallDetails:
        """What an application is told that talks to a called party."""
        return replace(
            self._details,
            call_id=callee.call_id,
            caller=request.caller,
            caller_name=request.caller_name,
            account=request.account,
            cause=None,
            dialled=request.destination,
            language=self.language,
        )

    def known_by_number(self, account: str) -> None:
        """Only the calling number says so."""
        self._number_only = account

    def prove(self) -> None:
        """A PIN says so too."""
        self._number_only = None

    async def sleep(self, seconds: float) -> None:
        """Silence."""
        await self._party.wait(lambda: False, seconds)

    def accept_charge(self) -> None:
        """Whoever was rung accepts the call, which was free until now."""
        self._party.leg.accept_charge()

    async def hangup(self, status: int = 480, cause: int = 16) -> None:
        """End the call; the next verb raises CallerHungUp."""
        self._party.leg.hang_up(status, cause)
