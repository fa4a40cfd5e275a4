# SPDX-License-Identifier: Apache-2.0
"""Which transitions of which table a test goes through, declared and verified."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from switch.sip.transaction.machine import Machine

if TYPE_CHECKING:
    from switch.sip.transaction.states import Input, State

__all__ = ["DECLARED", "covers"]

DECLARED: dict[str, set[tuple[State, Input]]] = {}
"""By the name of the machine."""

Test = TypeVar("Test", bound=Callable[..., None])


def covers(machine: type[Machine], *pairs: tuple[State, Input]) -> Callable[[Test], Test]:
    """The test goes through these transitions of the table; it fails if it does not."""
    assert set(pairs) <= set(machine.TABLE), set(pairs) - set(machine.TABLE)
    DECLARED.setdefault(machine.__name__, set()).update(pairs)

    def decorate(test: Test) -> Test:
        @wraps(test)
        def run(*args: Any, **kwargs: Any) -> None:
            seen: set[tuple[State, Input]] = set()
            original = Machine._run

            def spy(self: Machine, what: Input, now: float, message: Any = None) -> Any:
                if type(self) is machine:
                    seen.add((self.state, what))
                return original(self, what, now, message)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Machine, "_run", spy)
                test(*args, **kwargs)
            assert set(pairs) <= seen, f"not gone through: {set(pairs) - seen}"

        return run  # type: ignore[return-value]  # same signature by wraps

    return decorate
