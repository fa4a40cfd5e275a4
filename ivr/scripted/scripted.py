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
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

from ivr.call.call import IvrCall
from ivr.scripted.scripted_leg import RECORDING, RINGING, ScriptedLeg
from ivr.scripted.steps import Script
from ivr.scripted.story import Run, Story, StoryFailed
from ivr.scripted.virtual_time import run_virtually
from ivr.server.runner import run_application
from ivr.settings import IvrSettings
from ivr.verbs import CallDetails

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ivr.call.call import RecordingSpool
    from ivr.scripted.story import Step
    from ivr.server.runner import Application
    from ivr.verbs import DialRequest

__all__ = ["RECORDING", "RINGING", "ScriptedCallee", "ScriptedCaller", "Story", "StoryFailed"]

END_SECONDS: Final = 3600.0
"""How long an application may go on after the script's end."""


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

        async def step(run: Run) -> None:
            def connected() -> bool:
                return run.leg.bridged is not None and run.leg.bridged.call_id == f"scripted-dial-{number}"

            await run.until(connected, f"talks to {number}")
            run.note(f"talks to {number}")

        return self._add(f"talks to {number}", step)

    def is_answered(self) -> Self:
        """The call has been answered, so that it is charged."""

        async def step(run: Run) -> None:
            await run.until(lambda: run.leg.is_answered, "is answered")

        return self._add("is answered", step)

    def is_not_answered(self) -> Self:
        """The call has not been answered so far."""

        async def step(run: Run) -> None:
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
        run = Run("", leg, story)
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
        run = Run(f"{request.destination} ", leg, self._story)
        task = asyncio.ensure_future(_be_called(run, plan or _Dialled(0.0, 404, 1, None, ScriptedCallee())))
        self._background.add(task)
        return leg


async def _be_called(run: Run, plan: _Dialled) -> None:
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


async def _together(run: Run, steps: list[Step], running: asyncio.Future[Exception | None]) -> None:
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


def _raise_failure(running: asyncio.Future[Exception | None], run: Run) -> None:
    failure = running.result()
    if failure is not None:
        failure.add_note(f"The story so far:\n{run.story}")
        raise failure


async def _cancel(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
