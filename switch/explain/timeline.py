# SPDX-License-Identifier: Apache-2.0
"""How a call to an account would go on if nobody answered: the course of live calls, told with its seconds."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

from switch.registrar.entries import would_ring
from switch.routing.answering import Course, Deposit, ForwardTo, Happened, RingPhones
from switch.routing.caller import Forwarding
from switch.routing.forward import keeps_messages, public_number, shown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from billing_client.bindings import BindingRow
    from billing_client.parties import Party
    from billing_client.rules.incoming import Forward
    from switch.routing.answering import Surroundings
    from switch.routing.caller import Caller
    from switch.trace.trace import Trace

__all__ = ["Timeline"]

MOST_FORWARDS_TOLD: Final = 40
"""Lists that lead to lists could be told without end."""


class Timeline:
    """The timeline of one call to an account."""

    def __init__(
        self,
        surroundings: Surroundings,
        callee: Party,
        bindings: tuple[BindingRow, ...],
        caller: Caller,
        account: Party | None,
        dialled: str,
        trace: Trace,
    ) -> None:
        """`account`: of ours, that calls."""
        self._dialled = dialled
        self._callee = callee
        self._bindings = bindings
        self._caller = caller
        self._account = account
        self._trace = trace
        self._seconds = 0.0
        self._serves_voicemail = surroundings.serves_voicemail
        # Of a random order one example is shown, the same each time.
        self._course = Course(callee.answering, surroundings, Random(0), trace)

    async def tell(self, explain: Callable[[Forwarding, str], Awaitable[None]]) -> bool:
        """Step by step; false: nobody rings. `explain` tells of a forwarded call and where it leads."""
        step, found = self._course.next(), False
        while step is not None:
            last = Happened.NO_ANSWER
            if isinstance(step, RingPhones):
                rings = self._phones(step)
                last = Happened.NO_ANSWER if rings else Happened.UNREGISTERED
                found = found or rings
            elif isinstance(step, Deposit):
                found = True
                self._note_mailbox()
            else:
                found = True
                await self._forward(step, explain)
            step = self._course.next(last)
        return found

    def _note_mailbox(self) -> None:
        self._trace.add(
            "answering",
            "after {seconds:.0f} s: the mailbox of {account} answers",
            seconds=self._seconds,
            account=self._callee.number,
        )

    def _phones(self, step: RingPhones) -> bool:
        trunk = self._callee.trunk
        if trunk is not None and trunk.to:
            for place in trunk.to:
                number = trunk.number(self._dialled)
                self._trace.add("ring", "{number} at the trunk's address {place}", number=number, place=str(place))
            self._seconds += step.seconds
            return True
        targets = would_ring(self._bindings)
        for target in targets:
            remote = target.flow.remote
            self._trace.add(
                "ring",
                "{uri} at {transport}:{host}:{port}, q {q}",
                uri=target.uri,
                transport=target.flow.transport,
                host=remote[0],
                port=remote[1],
                q=target.q,
            )
        if targets:
            self._seconds += step.seconds
        return bool(targets)

    async def _forward(self, step: ForwardTo, explain: Callable[[Forwarding, str], Awaitable[None]]) -> None:
        for forward in step.forwards:
            forwarding = self._note_forward(forward)
            if len(self._trace.steps) < MOST_FORWARDS_TOLD:
                await explain(forwarding, _destination(forward))
        self._seconds += max(forward.seconds for forward in step.forwards)

    def _note_forward(self, forward: Forward) -> Forwarding:
        number, display = shown(forward, self._caller, self._callee)
        self._trace.add(
            "forward",
            "after {seconds:.0f} s: {name} to {to} rings {ring_seconds} s and sees {number}{confirm}",
            seconds=self._seconds,
            name=forward.name,
            to=forward.to,
            ring_seconds=forward.seconds,
            number=number,
            confirm="; who answers has to press a key" if forward.confirm else "",
        )
        keeps = keeps_messages(self._callee.answering, self._caller, serves_voicemail=self._serves_voicemail)
        return Forwarding(
            self._callee.number,
            forward.name,
            forward.max_calls,
            number,
            display,
            keeps_messages=keeps or forward.confirm,
            public=public_number(forward, self._caller, self._account),
            hides=self._caller.is_hidden and forward.caller_id != "forwarder",
        )


def _destination(forward: Forward) -> str:
    """The number, or `user@host`, that a forward leads to."""
    if not forward.to.startswith(("sip:", "sips:")):
        return forward.to
    return forward.to.partition(":")[2].partition(";")[0]
