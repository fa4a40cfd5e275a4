# SPDX-License-Identifier: Apache-2.0
"""What is done to the numbers by which accounts are recognised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from billing.audit_log.action import Action
from billing.audit_log.actor import ActionError
from billing.customers.models import Alias
from billing.customers.queries import number_of

if TYPE_CHECKING:
    from billing.audit_log.actor import Actor

__all__ = ["NumberError", "forget_number"]

FORGET: Final = Action("accounts.forget_number", "account")


class NumberError(ActionError):
    """It cannot be done to this number; the text says why."""


def forget_number(actor: Actor, name: str, known: str, *, reason: str = "") -> None:
    """Take a number of the outside (`KNOWN@pstn`) from an account. Raises NoAccountError, NumberError."""
    number = number_of(name)
    alias_name = f"{known.removesuffix('@pstn').removeprefix('+')}@pstn"
    with FORGET.by(actor, number, reason=reason) as deed:
        alias = Alias.objects.filter(name=alias_name, account__number=number).first()
        if alias is None:
            raise NumberError(f"account {number} is not recognised by {known}")
        deed.changed({"known": alias_name}, {})
        alias.delete()
