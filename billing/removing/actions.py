# SPDX-License-Identifier: Apache-2.0
"""Remove a customer, tariff, product, gateway or route, where nothing stands against it: else what does is told.

What has a history stays, because records of calls, vouchers and the ledger name it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.db.models import ProtectedError

from billing.audit_log.action import Action
from billing.audit_log.actor import ActionError
from billing.calls.models import ActiveCall, Xdr
from billing.carriers.models import Gateway, GatewayRoute
from billing.customers.models import Customer
from billing.money.models import LedgerEntry
from billing.tariffs.models import Product, Tariff
from billing.vouchers.models import Voucher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db import models

    from billing.audit_log.actor import Actor

__all__ = ["KINDS", "RemovalError", "remove"]

KINDS: Final[dict[str, type[models.Model]]] = {
    "customer": Customer,
    "tariff": Tariff,
    "product": Product,
    "gateway": Gateway,
    "route": GatewayRoute,
}
ACTIONS: Final = {kind: Action(f"{kind}s.remove", kind) for kind in KINDS}
MOST_NAMED: Final = 5


class RemovalError(ActionError):
    """It is not there, or something stands against its removal; the text says what."""


def remove(actor: Actor, kind: str, name: str, *, reason: str = "") -> None:
    """Remove the thing of that name; a route is GATEWAY/PREFIX. Raises RemovalError."""
    with ACTIONS[kind].by(actor, name, reason=reason) as deed:
        thing = _found(kind, name)
        against = [*_records(thing)]
        if against:
            raise RemovalError(f"{kind} {name} stays: {', '.join(against)}")
        try:
            thing.delete()
        except ProtectedError as error:
            raise RemovalError(f"{kind} {name} stays: {', '.join(_named(error.protected_objects))}") from error
        if isinstance(thing, Customer):
            thing.balance.delete()
        deed.changed({"thing": "present"}, {})


def _found(kind: str, name: str) -> models.Model:
    """The thing, locked."""
    given: dict[str, Any] = {"name": name}
    if kind == "route":
        gateway, _, prefix = name.rpartition("/")
        given = {"gateway__name": gateway, "prefix": prefix}
    found = KINDS[kind]._default_manager.select_for_update(of=("self",)).filter(**given).first()
    if found is None:
        raise RemovalError(f'there is no {kind} "{name}"; "softswitch {kind}s" lists them')
    return found


def _records(thing: models.Model) -> Iterator[str]:
    """What names a thing without a key that the store checks."""
    match thing:
        case Gateway():
            if calls := ActiveCall.objects.filter(gateway_id=thing.pk).count():
                yield _so_many(calls, "running call")
            if records := Xdr.objects.filter(gateway_id=thing.pk).count():
                yield f"{_so_many(records, 'call record')} (enabled: false takes it out of use)"
        case Product():
            if vouchers := Voucher.objects.filter(product=thing).count():
                yield _so_many(vouchers, "voucher")
        case Customer():
            if entries := LedgerEntry.objects.filter(balance=thing.balance).count():
                yield f"{_so_many(entries, 'movement')} of its balance (state: closed takes it out of use)"


def _so_many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _named(things: set[models.Model]) -> Iterator[str]:
    """How many of each kind there are, with the names of the first."""
    kinds = sorted({type(thing) for thing in things}, key=lambda model: model.__name__)
    for model in kinds:
        names = sorted(str(thing) for thing in things if type(thing) is model)
        meta = model._meta
        noun = str(meta.verbose_name if len(names) == 1 else meta.verbose_name_plural)
        more = "" if len(names) <= MOST_NAMED else " ..."
        yield f"{len(names)} {noun}: {', '.join(names[:MOST_NAMED])}{more}"
