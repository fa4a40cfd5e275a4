# SPDX-License-Identifier: Apache-2.0
"""A load of calls by phones that note what they lived through, for tests that break things meanwhile."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Self

from switch.sip.session import Answered, Ended, Failed, State
from switch.sip.user_agent import Invited
from tests.e2e.diary import Diary, DiaryPhone
from tests.switch.phone import sdp

if TYPE_CHECKING:
    from switch.sip.session import OutgoingInvite, Session
    from tests.e2e.tenant import Subscriber

__all__ = ["Callee", "Caller", "Callers"]

PATIENCE_SECONDS = 8.0


class Callee(DiaryPhone):
    """Answers every call at once."""

    async def work(self) -> None:
        """Answer until cancelled."""
        while True:
            event = await self.events.get()
            if isinstance(event, Invited) and not event.invite.answered:
                event.invite.owner = self
                self.perform(event.invite.progress(180, self.now()))
                self.perform(event.invite.accept(self.now(), body=sdp(self.local[1] + 1)))


class Caller(DiaryPhone):
    """Calls, talks, hangs up, and calls again; one that is `patient` leaves the end to the other side."""

    def __init__(self, subscriber: Subscriber, switch: tuple[str, int], number: str, *, patient: bool) -> None:
        super().__init__(subscriber.number, subscriber.password, switch)
        self.number = number
        self.patient = patient
        self.patience = PATIENCE_SECONDS
        self.session: Session | None = None
        """The call that it is in."""
        self.is_done = False

    async def work(self) -> None:
        """Call until `is_done`."""
        while not self.is_done:
            try:
                await self._call()
            except (TimeoutError, OSError):
                await asyncio.sleep(0.2)
            except AssertionError:  # another final response than the challenge
                await asyncio.sleep(random.uniform(0.1, 0.4))

    async def _call(self) -> None:
        while not self.events.empty():
            self.events.get_nowait()
        invite = await self.call(self.number)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                answered = await self.connected_or_failed(invite)
        except TimeoutError:
            self.perform(invite.cancel(self.now()))
            raise
        if answered is None:
            await asyncio.sleep(random.uniform(1.0, 3.0))
            return
        self.session = answered
        with suppress(TimeoutError):
            await self.expect(Ended, 3600.0 if self.patient else random.uniform(0.0, 1.5))
        if answered.state is not State.ENDED:
            self.perform(answered.bye(self.now()))
        self.session = None
        if not self.patient:  # the relay's ports rest for half a minute after each call
            await asyncio.sleep(random.uniform(1.0, 3.0))

    async def connected_or_failed(self, invite: OutgoingInvite) -> Session | None:
        """The session of our call; None: it failed. What comes late of an earlier call, given up, is none of its."""
        while True:
            event = await self.events.get()
            if isinstance(event, Answered):
                self.perform(event.session.ack(event.invite.request, self.now()))
                if event.invite is invite:
                    return event.session
                self.diary.note(self.user, f"hears late that {event.invite.request.call_id} was answered")
                self.perform(event.session.bye(self.now()))
            elif isinstance(event, Failed):
                if event.invite is invite:
                    return None
                self.diary.note(self.user, f"hears late that {event.invite.request.call_id} failed")

    @property
    def talks(self) -> str | None:
        """The Call-ID of the call that it is in now."""
        session = self.session
        return None if session is None or session.state is State.ENDED else session.dialog.call_id


class Callers:
    """Some callers, and the phones that they call."""

    def __init__(self, callers: list[Caller], callees: list[Callee]) -> None:
        self.callers = callers
        self.callees = callees
        self.diary = Diary()
        for phone in (*callers, *callees):
            phone.diary = self.diary
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        for phone in (*self.callers, *self.callees):
            await self._stack.enter_async_context(phone)
        for callee in self.callees:
            await callee.register(3600)
        self._tasks = [asyncio.create_task(callee.work()) for callee in self.callees]
        self._tasks += [asyncio.create_task(caller.work()) for caller in self.callers]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    def check(self) -> None:
        """Raise what went wrong in a phone."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def finish(self) -> None:
        """Let everybody hang up and call no more."""
        for caller in self.callers:
            caller.is_done = True
            session = caller.session
            if session is not None and session.state is not State.ENDED:
                caller.perform(session.bye(caller.now()))
                caller.events.put_nowait(Ended(session, "bye"))
        work = self._tasks[len(self.callees) :]
        await asyncio.wait(work, timeout=2 * PATIENCE_SECONDS)
        for task in work:
            assert task.done(), "a caller still waits"
            task.result()

    @property
    def talking(self) -> set[str]:
        """Call-IDs of the calls that callers are in now."""
        return {call_id for caller in self.callers if (call_id := caller.talks) is not None}

    @property
    def answered(self) -> list[str]:
        """Call-IDs of all calls whose answer reached the caller."""
        return list(self.diary.answered)
