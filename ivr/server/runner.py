# SPDX-License-Identifier: Apache-2.0
"""Runs an application on a call, from its first verb to the hang-up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import closing, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final

from ivr.verbs import CallerHungUp, Ivr, TooManyTries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ivr.call.call import IvrCall

__all__ = ["GOODBYE", "GRACE_SECONDS", "Application", "run_application"]

Application = Callable[[Ivr], Awaitable[None]]

GRACE_SECONDS: Final = 10.0
"""How long an application may go on after the hang-up, to end what it has begun; then it is cancelled."""
GOODBYE: Final = "goodbye"
_BROKEN: Final = 500

log = logging.getLogger(__name__)


async def run_application(
    application: Application, call: IvrCall, *, unpaid_seconds: float | None = None
) -> Exception | None:
    """Run it; the call is over afterwards. Returns what it raised, which has been logged.

    `unpaid_seconds`: after so many, without the time in which the caller talks to somebody, its verbs raise OutOfTime,
    and an answered caller hears "goodbye".

    An application that fails costs its own caller's call, and nobody else's: an answered caller hears "goodbye", one
    that is not answered gets status 500.
    """
    task = asyncio.ensure_future(application(call))
    allowance = nullcontext() if unpaid_seconds is None else closing(call.allow(unpaid_seconds))
    with _grace(task, call), allowance:
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:  # the process ends: so does the application
            task.cancel()
            await asyncio.wait((task,))
            raise
    failure = _failure(task, call)
    if not call.is_gone and call.is_leaving:
        log.info("a call has had its time", extra={"call": call.details.call_id})
        call.resume()
        await _say_goodbye(call)
        failure = None
    elif isinstance(failure, TooManyTries):
        await _say_goodbye(call)
        failure = None
    elif failure is not None:
        await _say_goodbye(call)
        await call.hangup(_BROKEN, cause=41)  # Q.850: temporary failure
    await call.hangup()
    return failure


@contextmanager
def _grace(task: asyncio.Future[None], call: IvrCall) -> Iterator[None]:
    """An application whose caller is gone has so long to end by itself."""
    timers: list[asyncio.TimerHandle] = []

    def changed() -> None:
        if call.is_leaving and not timers:
            timers.append(asyncio.get_running_loop().call_later(GRACE_SECONDS, task.cancel))

    call.watch(changed)
    changed()
    try:
        yield
    finally:
        call.watch(None)
        for timer in timers:
            timer.cancel()


def _failure(task: asyncio.Future[None], call: IvrCall) -> Exception | None:
    if task.cancelled():
        log.warning(
            "an application did not end after the hang-up and was cancelled",
            extra={"call": call.details.call_id, "application": call.details.application},
        )
        return None
    failure = task.exception()
    if failure is None or isinstance(failure, CallerHungUp):
        return None
    if not isinstance(failure, Exception):
        raise failure
    if not isinstance(failure, TooManyTries):
        log.error(
            "an application failed",
            exc_info=failure,
            extra={"call": call.details.call_id, "application": call.details.application},
        )
    return failure


async def _say_goodbye(call: IvrCall) -> None:
    if not call.answered:
        return
    try:
        await call.play(GOODBYE, interrupt="any", flush=True)
    except CallerHungUp:
        return
