# SPDX-License-Identifier: Apache-2.0
"""Column types used throughout."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models.functions import Now

from billing.settings import passwords
from billing_client.secrets.keyring import KeyRingError

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    TextField = models.CharField[str, str]
else:
    TextField = models.CharField

__all__ = ["Identifier", "Network", "SealedPassword", "created_at", "currency", "money"]


class Identifier(TextField):
    """A name or key that is only compared for equality or as bytes.

    Collation "C" spares locale rules at every comparison; and since its type is not spelt `varchar`, Django does not
    add the second index with which it serves LIKE under other collations.
    """

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        """The column's type."""
        return f'character varying({self.max_length}) COLLATE "C"'


class Network(TextField):
    """A network of addresses, text in Python: `192.0.2.0/28`."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        """The column's type."""
        return "cidr"

    def from_db_value(self, value: object, *_: object) -> str | None:
        """The driver makes objects of networks."""
        return None if value is None else str(value)


class SealedPassword(TextField):
    """A password that is sealed in the store and clear in Python.

    What cannot be opened stays as it is, and is written as it is: only who needs the clear text opens it again, and is
    told why that fails. `billing.settings.configure` was given the keys.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": 1024, **options})

    def deconstruct(self) -> Any:
        """To migrations it is text."""
        name, _, arguments, options = super().deconstruct()
        return name, "django.db.models.CharField", arguments, options

    def from_db_value(self, value: str | None, *_: object) -> str | None:
        """Opened."""
        if value is None:
            return None
        try:
            opened: str = passwords().open(value)
        except KeyRingError:
            return value
        return opened

    def get_prep_value(self, value: Any) -> Any:
        """Sealed. Raises KeyRingError."""
        prepared = super().get_prep_value(value)
        return prepared if prepared is None else passwords().seal(prepared)


def money(*, null: bool = False, default: Decimal | int | None = None) -> models.DecimalField[Any, Any]:
    """An amount or a price per minute: numeric(20, 5)."""
    given: dict[str, Any] = {} if default is None else {"default": Decimal(default), "db_default": Decimal(default)}
    return models.DecimalField(max_digits=20, decimal_places=5, null=null, blank=null, **given)


def currency() -> models.CharField[Any, Any]:
    """An ISO 4217 code."""
    return models.CharField(max_length=3)


def created_at() -> models.DateTimeField[Any, Any]:
    """The instant of insertion, by the store's clock."""
    return models.DateTimeField(db_default=Now(), editable=False)
