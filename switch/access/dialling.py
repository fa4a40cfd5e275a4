# SPDX-License-Identifier: Apache-2.0
"""What is dialled, by the number plan of who dials it: asked for in one round trip where he is remembered.

The plan of an account is known once the store has said who calls, the number that is to be looked up once the plan is
known. So the plan that is remembered is tried, and what the store says of it counts: where that differs the number is
looked up again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from billing_client.rules.dialling import Dialled, is_internal
from billing_client.rules.numbering import is_global

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from billing_client.parties import Parties, Party
    from billing_client.rules.dialling import NumberPlan
    from billing_client.rules.numbering import Number

__all__ = ["ByPlan", "LookUp", "apart"]


class LookUp(Protocol):
    """Looks both ends of a call up, by numbers in their one form."""

    async def __call__(self, *, caller: str | None, ani: str | None, dialled: str, inside: str) -> Parties:
        """Who calls by that name or from that number, and who is called; `inside`: what may be an extension of the
        caller's customer. Raises StoreError."""


class ByPlan:
    """Implements `switch.access.caller.Ask`."""

    def __init__(
        self,
        look_up: LookUp,
        plan: Callable[[], NumberPlan],
        emergency: Callable[[], Container[str]],
        remembered: Callable[[str], Party | None],
    ) -> None:
        """`plan`: of the node; `remembered`: an account that has called lately, by the name that it called by."""
        self._look_up = look_up
        self._plan = plan
        self._emergency = emergency
        self._remembered = remembered

    async def __call__(self, *, caller: str | None, ani: str | None, dialled: Number) -> Parties:
        """Who calls, and whom; raises StoreError."""
        if caller is None:
            # A carrier's number is one of the world already; a form of its own is said of its gateway.
            number = Dialled(dialled.text, dialled.text)
            found = await self._look_up(caller=None, ani=ani, dialled=number.text, inside="")
            return _settled(found, number)
        remembered = self._remembered(caller)
        guessed = self._dialled(remembered, dialled)
        found = await self._look_up(caller=caller, ani=None, dialled=guessed.text, inside=guessed.internal)
        number = self._dialled(found.caller, dialled)
        if number.text != guessed.text:
            found = await self._look_up(caller=caller, ani=None, dialled=number.text, inside=number.internal)
        return _settled(found, number)

    def _dialled(self, account: Party | None, dialled: Number) -> Dialled:
        node = self._plan()
        plan = node if account is None else account.plan.within(node)
        return plan.normal(dialled, self._emergency())


def _settled(found: Parties, number: Dialled) -> Parties:
    """Both ends, and what was dialled."""
    if found.is_inside and found.callee is not None:
        why = "an extension within the company" if found.callee.extension == number.typed else ""
        return replace(found, dialled=Dialled(number.typed, number.typed, why))
    why = apart(found, number)
    if why:
        return replace(found, dialled=number, callee=None, bindings=(), apart=why)
    return replace(found, dialled=number)


def apart(found: Parties, number: Dialled) -> str:
    """Why an account is not reached by what was dialled: inside a company extensions count, outside its public numbers
    alone. Empty: it is, or there is none."""
    caller, callee = found.caller, found.callee
    if callee is None or (caller is not None and caller.customer_id == callee.customer_id):
        return ""
    if caller is not None and caller.extension and is_internal(number.text):
        return f"{number.text} is nobody in the company of {caller.number}, which dials by extensions"
    is_own_name = number.text == callee.number and not is_global(number.text)
    if callee.extension and (is_own_name or is_internal(number.text)):
        return f"{number.text} counts within another company alone: outside it has its public numbers"
    return ""
