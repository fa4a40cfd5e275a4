# SPDX-License-Identifier: Apache-2.0
"""Export, as it was at one moment; noted, with secrets or without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import connection, transaction

from billing.audit_log.action import Action
from billing.audit_log.actor import ActionError
from billing.customers.models import Customer
from billing.exporting import things

if TYPE_CHECKING:
    from collections.abc import Iterator

    from billing.audit_log.actor import Actor
    from billing.exporting.things import Thing

__all__ = ["ExportError", "export"]

EXPORT: Final = Action("document.export", "document")


class ExportError(ActionError):
    """It cannot be exported; the text says why."""


def export(
    actor: Actor, *, customer: str | None = None, secrets: bool = False
) -> Iterator[tuple[str, Iterator[Thing]]]:
    """The lists of a document, each with its things, to be read one after the other; `customer`: what is his alone.

    `secrets`: with passwords and PINs of cards. It is noted before anything is told. Raises ExportError.
    """
    if customer is not None and not Customer.objects.filter(name=customer).exists():
        raise ExportError(f'there is no customer "{customer}"')
    with EXPORT.by(actor, customer or "everything") as deed:
        deed.tell(secrets=secrets)
    return _lists(customer, secrets=secrets)


def _lists(customer: str | None, *, secrets: bool) -> Iterator[tuple[str, Iterator[Thing]]]:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield "customers", things.customers(customer)
        yield "tariffs", things.tariffs(customer)
        yield "products", things.products(customer)
        yield "accounts", things.accounts(customer, secrets=secrets)
        if customer is None:
            yield "gateways", things.gateways(secrets=secrets)
