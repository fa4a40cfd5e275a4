# SPDX-License-Identifier: Apache-2.0
"""What an administrator does and sees, as tests call it: actions by one actor, queries, the store's preparation."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from billing.audit_log.actor import ADMINISTRATOR, Actor, Via
from billing.store.preparing import is_migrated, migrate, setup

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ACTOR", "BackOffice", "opened"]

ACTOR = Actor("tester", ADMINISTRATOR, Via.COMMAND_LINE, "test machine")


class BackOffice:
    """Of the store that `setup` was called for; the models load with Django, so the functions are found late."""

    is_migrated = staticmethod(is_migrated)
    migrate = staticmethod(migrate)

    def __getattr__(self, name: str) -> Any:
        from billing import demo
        from billing.calls import actions as on_calls
        from billing.calls import queries as calls
        from billing.customers import actions as on_accounts
        from billing.customers import queries as customers
        from billing.document import apply as document
        from billing.money import actions as on_money
        from billing.money import queries as money
        from billing.numbers import actions as on_numbers
        from billing.registrations import queries as registrations

        for actions in (demo, document, on_accounts, on_calls, on_money, on_numbers):
            if name in actions.__all__:
                return partial(getattr(actions, name), ACTOR)
        for queries in (calls, customers, money, registrations):
            if name in queries.__all__:
                return getattr(queries, name)
        raise AttributeError(name)


def opened(dsn: str) -> Iterator[Any]:
    """The back office of a store, for the time of a test."""
    setup(dsn)
    yield BackOffice()
    from django.db import connections

    connections["default"].close()
