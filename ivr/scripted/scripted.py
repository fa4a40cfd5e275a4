# SPDX-License-Identifier: Apache-2.0
"""The scripted caller: a test of an application reads as the story of a call, and takes milliseconds.

    call = ScriptedCaller(caller="42027777100", account="42027777100")
    call.dials("*98", app="voicemail-access").hears("vm-password").presses("1234#").hears("vm-you-have").hangs_up()
    story = call.run(partial(voicemail_access, mailboxes=mailboxes))

The verbs are the real ones (`ivr.call.call`); only the leg below them is played, on a clock that jumps. A caller who
hears something else than the script says raises `StoryFailed`, which tells the whole story up to there.
docs/writing-an-ivr-app.md has the steps one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Self

from ivr.call.call import IvrCall
from ivr.scripted.scripted_leg import RECORDING, RINGING, Heard, ScriptedLeg, flattened
from ivr.scripted.virtual_time import run_virtually
from ivr.server.runner import run_application
from ivr.settings import IvrSettings
from ivr.verbs import Audio, CallDetails, Spoken

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import EllipsisType

    from ivr.call.call import RecordingSpool
    from ivr.server.runner import Application
    from ivr.verbs import DialRequest, Playable

__all__ = ["RECORDING", "RINGING", "ScriptedCallee", "ScriptedCaller", "Story", "StoryFailed"]

PATIENCE_SECONDS: Final = 120.0
"""How long a party waits for what it should hear."""
REACTION_SECONDS: Final = 0.2
KEY_SECONDS: Final = 0.2
END_SECONDS: Final = 3600.0
"""How long an application may go on after the script's end."""


class StoryFailed(AssertionError):  # noqa: N818 (pytest shows it as a failed assertion)
    """The call went otherwise than the script says."""


@dataclass(slots=True)
class Story:
    """What happened in a call."""

    lines: list[str] = field(default_factory=list)
    """For people: one line for each thing that happened, with its time."""
    heard: list[str] = field(default_factory=list)
    """Ids of the prompts, in order; RECORDING for recordings. One that was interrupted counts."""
    recordings: list[Audio] = field(default_factory=list)
    """The recordings that were heard."""
    dialled: list[DialRequest] = field(default_factory=list)
    """Calls that the application made."""
    answered: bool = False
    is_charge_accepted: bool = False
    """Whoever was rung accepted the call."""
    status: int = 0
    """Final SIP status that the caller got; 200 where it was answered."""
    ended_by: str = ""
    """"caller" or "application"."""
    seconds: float = 0.0

    def __str__(self) -> str:
        return "\n".join(self.lines)


Step = tuple[str, Callable[["_Run"], Awaitable[None]]]


class _Run:
    """A script at work on a leg."""

    def __init__(self, who: str, leg: ScriptedLeg, story: Story) -> None:
        self.who, self.leg, self.story = who, leg, story
        self.cursor = 0
        self._waiter: asyncio.Future[None] | None = None
        self._written = 0
        leg.on_event = self._event

    def _event(self) -> None:
        for heard in self.leg.heard[self._written :]:
            self.note(f"hears {heard.what}", heard.at)
        self._written = len(self.leg.heard)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def note(self, line: str, at: float | None = None) -> None:
        """Write the story on."""
        time = asyncio.get_running_loop().time() if at is None else at
        self.story.lines.append(f"{time:8.1f} s  {self.who}{line}")

    async def until(self, condition: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until something is so; raises StoryFailed where it never is."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not condition():
            if self.leg.is_gone:
                raise StoryFailed(f"{what}: but the call is over")
            if loop.time() >= deadline:
                raise StoryFailed(f"{what}: not within {seconds:g} s")
            self._waiter = loop.create_future()
            await asyncio.wait((self._waiter,), timeout=deadline - loop.time())
            self._waiter = None

    async def next_heard(self, what: str) -> Heard:
        """The next thing that is said to the party."""
        while True:
            await self.until(lambda: len(self.leg.heard) > self.cursor, what)
            heard = self.leg.heard[self.cursor]
            self.cursor += 1
            if not heard.is_background or heard.what == what:
                return heard

    async def play_out(self, steps: list[Step]) -> None:
        """Do the steps in order."""
        for number, (name, step) in enumerate(steps, 1):
            try:
                await step(self)
            except StoryFailed as failed:
                raise StoryFailed(
                    f"{self.who}step {number}, {name}: {failed}\nThe story so far:\n{self.story}"
                ) from None


class Script:
    """Steps of a party, in order; every method returns the script, so that they chain."""

    def __init__(self) -> None:
        self._steps: list[Step] = []

    def _add(self, name: str, step: Callable[[_Run], Awaitable[None]]) -> Self:
        self._steps.append((name, step))
        return self

    def hears(self, *prompts: Playable | EllipsisType) -> Self:
        """The next prompts that begin to sound are these, and no others; waits for them.

        `...` stands for any number of other prompts. A `Spoken` stands for all its prompts, an `Audio` for exactly that
        recording, RECORDING for any. The step is done when the last one begins, so that keys which follow interrupt it.
        """
        expected: list[tuple[str, Audio | None] | None] = []
        for prompt in prompts:
            if prompt is ...:
                expected.append(None)
            else:
                expected += flattened([prompt])

        async def step(run: _Run) -> None:
            anything = False
            for item in expected:
                if item is None:
                    anything = True
                    continue
                await _hear(run, item, anything=anything)
                anything = False

        return self._add(f"hears {_named(prompts)}", step)

    def until(self, *prompts: Playable) -> Self:
        """Whatever comes before, at last these are heard: `hears(..., *prompts)`."""
        return self.hears(..., *prompts)

    def listens(self) -> Self:
        """Listen until nothing is played any more, without interrupting."""

        async def step(run: _Run) -> None:
            await run.until(lambda: not run.leg.is_playing, "listens to the end")
            run.cursor = len(run.leg.heard)

        return self._add("listens", step)

    def hears_nothing(self, seconds: float) -> Self:
        """Nothing new is played for so long."""

        async def step(run: _Run) -> None:
            before = len(run.leg.heard)
            await asyncio.sleep(seconds)
            if len(run.leg.heard) > before:
                raise StoryFailed(f"heard {run.leg.heard[before].what}")

        return self._add(f"hears nothing for {seconds:g} s", step)

    def presses(self, keys: str, *, after: float = REACTION_SECONDS, each: float = KEY_SECONDS) -> Self:
        """Press keys one by one, the first after `after` seconds: during a prompt that has begun."""

        async def step(run: _Run) -> None:
            for place, key in enumerate(keys):
                pause = each if place else after
                if pause:
                    await asyncio.sleep(pause)
                if run.leg.is_gone:
                    raise StoryFailed("the call is over")
                run.note(f"presses {key}")
                run.leg.press(key)
            await asyncio.sleep(0)

        return self._add(f"presses {keys}", step)

    def says(self, seconds: float, *, tone: int = 440) -> Self:
        """Say something (a tone) for so long, once a recording has begun."""

        async def step(run: _Run) -> None:
            leg = run.leg
            await run.until(lambda: leg.take is not None and not leg.take.is_over, "is recorded")
            run.note(f"says something for {seconds:g} s")
            leg.says_hertz = tone
            await asyncio.sleep(seconds)
            leg.says_hertz = None

        return self._add(f"says something for {seconds:g} s", step)

    def waits(self, seconds: float) -> Self:
        """Do nothing for so long."""

        async def step(run: _Run) -> None:
            run.note(f"waits {seconds:g} s")
            await asyncio.sleep(seconds)

        return self._add(f"waits {seconds:g} s", step)

    def does(self, action: Callable[[], Awaitable[Any] | Any]) -> Self:
        """Call a function (or await what it returns) at this point: to look at a store, or to change it."""

        async def step(_: _Run) -> None:
            result = action()
            if isinstance(result, Awaitable):
                await result

        return self._add("does something", step)

    def hangs_up(self) -> Self:
        """Hang up."""

        async def step(run: _Run) -> None:
            if run.leg.is_gone:
                raise StoryFailed("the call is over already")
            run.note("hangs up")
            run.leg.leave()
            await asyncio.sleep(0)

        return self._add("hangs up", step)

    def is_hung_up_on(self, status: int | None = None) -> Self:
        """The other side ends the call, with this final status where one is named."""

        async def step(run: _Run) -> None:
            await run.until(lambda: run.leg.is_gone, "is hung up on")
            if status is not None and run.leg.status != status:
                raise StoryFailed(f"got status {run.leg.status}")

        return self._add("is hung up on" + (f" with {status}" if status else ""), step)


class ScriptedCallee(Script):
    """What a called party does from its answer on."""


@dataclass(slots=True)
class _Dialled:
    """How a number that the application dials behaves."""

    after: float
    status: int
    cause: int | None
    talks: float | None
    script: ScriptedCallee


class ScriptedCaller(Script):
    """A caller; the arguments are what the INVITE says (`CallDetails`)."""

    def __init__(
        self,
        caller: str = "42075553333",
        *,
        caller_name: str = "",
        account: str | None = None,
        target: str | None = None,
        cause: int | None = None,
        language: str = "en",
        parameters: Mapping[str, str] | None = None,
        prompt_seconds: float = 1.0,
        spool: RecordingSpool | None = None,
        call_id: str = "scripted-call",
        unpaid_seconds: float | None = None,
    ) -> None:
        """`prompt_seconds`: how long each prompt takes. `unpaid_seconds`: see `run_application`; None: as many as a
        media server gives without a word in its configuration."""
        super().__init__()
        self.details = CallDetails(
            call_id=call_id,
            application="",
            caller=caller,
            caller_name=caller_name,
            account=account,
            target=target,
            cause=cause,
            language=language,
            parameters=dict(parameters or {}),
        )
        self._prompt_seconds = prompt_seconds
        self._spool = spool
        self._unpaid_seconds = unpaid_seconds
        self._dials: dict[str, list[_Dialled]] = {}
        self._background: set[asyncio.Future[None]] = set()
        self._story = Story()

    # the call ---------------------------------------------------------------------------------------------------
    def dials(self, number: str, *, app: str = "") -> Self:
        """What the caller dialled, and the application that the switch asks for."""
        self.details = replace(self.details, dialled=number, application=app or self.details.application)
        return self

    def answers_dial(
        self,
        number: str,
        *,
        after: float = 2.0,
        presses: str = "",
        talks: float | None = None,
        script: ScriptedCallee | None = None,
    ) -> Self:
        """Who is called at `number` answers after so many seconds of ringing.

        It then presses keys, or follows a script of its own; once connected it talks for so long and hangs up (None: it
        does not). Told several times for one number, the calls in turn meet these answers.
        """
        callee = script or ScriptedCallee()
        if presses:
            callee = ScriptedCallee().presses(presses, after=1.0)
        self._dials.setdefault(number, []).append(_Dialled(after, 200, None, talks, callee))
        return self

    def fails_dial(self, number: str, status: int = 486, *, after: float = 1.0, cause: int | None = 17) -> Self:
        """A call to `number` fails."""
        self._dials.setdefault(number, []).append(_Dialled(after, status, cause, None, ScriptedCallee()))
        return self

    def never_answers_dial(self, number: str) -> Self:
        """It rings at `number` for ever."""
        return self.answers_dial(number, after=1e9)

    def talks_to(self, number: str) -> Self:
        """Wait until the caller and who was called at `number` hear each other."""

        async def step(run: _Run) -> None:
            def connected() -> bool:
                return run.leg.bridged is not None and run.leg.bridged.call_id == f"scripted-dial-{number}"

            await run.until(connected, f"talks to {number}")
            run.note(f"talks to {number}")

        return self._add(f"talks to {number}", step)

    def is_answered(self) -> Self:
        """The call has been answered, so that it is charged."""

        async def step(run: _Run) -> None:
            await run.until(lambda: run.leg.is_answered, "is answered")

        return self._add("is answered", step)

    def is_not_answered(self) -> Self:
        """The call has not been answered so far."""

        async def step(run: _Run) -> None:
            if run.leg.is_answered:
                raise StoryFailed("it was answered")

        return self._add("is not answered", step)

    # running it -------------------------------------------------------------------------------------------------
    def run(self, application: Application, *, patience_seconds: float = 0.0) -> Story:
        """Run the application on a virtual clock; at the script's end the caller hangs up if the call still stands.

        Raises StoryFailed, or what the application raised. `patience_seconds`: real time that sockets (a real store)
        get before each jump of the clock.
        """
        return run_virtually(self.perform(application), patience_seconds=patience_seconds)

    async def perform(self, application: Application) -> Story:
        """The same on the loop that runs, by its clock."""
        loop = asyncio.get_running_loop()
        story = self._story = Story()
        plans = {number: list(entries) for number, entries in self._dials.items()}
        leg = ScriptedLeg(
            self.details.call_id,
            prompt_seconds=self._prompt_seconds,
            dialling=lambda request: self._dial(request, plans),
        )
        run = _Run("", leg, story)
        run.note(f"dials {self.details.dialled}" if self.details.dialled else "calls")
        began = loop.time()
        call = IvrCall(leg, self.details, spool=self._spool)
        seconds = self._unpaid_seconds or IvrSettings().unpaid_seconds(self.details.application)
        running = asyncio.ensure_future(run_application(application, call, unpaid_seconds=seconds))
        try:
            await _together(run, self._steps, running)
            self._check_callees()
        except StoryFailed:
            self._check_callees()  # the caller's failure may only follow from that of a called party
            raise
        finally:
            await _cancel(running, *self._background)
        for item in leg.heard:
            if not item.is_background:
                story.heard.append(item.what)
            if item.audio is not None:
                story.recordings.append(item.audio)
        story.answered, story.status = leg.is_answered, leg.status
        story.is_charge_accepted = leg.is_charge_accepted
        story.ended_by = "application" if leg.ended_by_us else "caller"
        story.seconds = loop.time() - began
        return story

    def _check_callees(self) -> None:
        for task in self._background:
            if task.done():
                task.result()

    def _dial(self, request: DialRequest, plans: dict[str, list[_Dialled]]) -> ScriptedLeg:
        self._story.dialled.append(request)
        entries = plans.get(request.destination, [])
        plan = (entries.pop(0) if len(entries) > 1 else entries[0]) if entries else None
        leg = ScriptedLeg(
            f"scripted-dial-{request.destination}",
            prompt_seconds=self._prompt_seconds,
            dialling=lambda again: self._dial(again, plans),
            called=True,
        )
        run = _Run(f"{request.destination} ", leg, self._story)
        task = asyncio.ensure_future(_be_called(run, plan or _Dialled(0.0, 404, 1, None, ScriptedCallee())))
        self._background.add(task)
        return leg


async def _hear(run: _Run, item: tuple[str, Audio | None], *, anything: bool) -> None:
    what, audio = item
    skipped: list[str] = []
    while True:
        try:
            heard = await run.next_heard(what)
        except StoryFailed as failed:
            inbetween = f" (but {', '.join(skipped)})" if skipped else ""
            raise StoryFailed(f"did not hear {what}{inbetween}: {failed}") from None
        if heard.what == what and (audio is None or audio == heard.audio):
            return
        if not anything:
            raise StoryFailed(f"heard {heard.what} at {heard.at:.1f} s where {what} was expected")
        skipped.append(heard.what)


async def _be_called(run: _Run, plan: _Dialled) -> None:
    leg = run.leg
    await asyncio.sleep(0)
    if plan.status != 200:
        await asyncio.sleep(plan.after)
        run.note(f"fails with {plan.status}")
        leg.set_failed(plan.status, plan.cause)
        return
    leg.set_ringing()
    run.note("rings")
    await asyncio.sleep(plan.after)
    if leg.is_gone:
        return
    run.note("answers")
    leg.set_answered()
    await run.play_out(plan.script._steps)
    if plan.talks is not None and not leg.is_gone:
        await run.until(lambda: leg.bridged is not None, "is connected")
        await asyncio.sleep(plan.talks)
        if not leg.is_gone:
            run.note("hangs up")
            leg.leave()


async def _together(run: _Run, steps: list[Step], running: asyncio.Future[Exception | None]) -> None:
    """The script and the application side by side; the application's own error comes first."""
    acting = asyncio.ensure_future(run.play_out(steps))
    try:
        await asyncio.wait((acting, running), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            _raise_failure(running, run)
            await asyncio.wait((acting,))
        acting.result()
        if not run.leg.is_gone:
            run.note("hangs up: the script is over")
            run.leg.leave()
        done, _ = await asyncio.wait((running,), timeout=END_SECONDS)
        if not done:
            raise StoryFailed(f"the application does not end\n{run.story}")
        _raise_failure(running, run)
    finally:
        await _cancel(acting)


def _raise_failure(running: asyncio.Future[Exception | None], run: _Run) -> None:
    failure = running.result()
    if failure is not None:
        failure.add_note(f"The story so far:\n{run.story}")
        raise failure


async def _cancel(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _named(prompts: tuple[Playable | EllipsisType, ...]) -> str:
    return ", ".join(
        "..."
        if prompt is ...
        else RECORDING
        if isinstance(prompt, Audio)
        else " ".join(prompt.prompts)
        if isinstance(prompt, Spoken)
        else str(prompt)
        for prompt in prompts
    )
