# SPDX-License-Identifier: Apache-2.0
"""What is done to one account: its state, its password, a note."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from billing.audit_log.action import Action
from billing.audit_log.actor import ActionError
from billing.customers.generation import passwords
from billing.customers.models import Account
from billing.customers.queries import number_of
from billing_client.rules.lifecycle import MOVES, next_state

if TYPE_CHECKING:
    from billing.audit_log.actor import Actor

__all__ = ["AccountError", "move", "new_password", "note"]

ACTIONS: Final = {move: Action(f"accounts.{move}", "account") for move in MOVES}
PASSWORD: Final = Action("accounts.password", "account")
NOTE: Final = Action("accounts.note", "account")
LONGEST_NOTE: Final = 2000
DONE: Final = {
    "activate": "activated", "block": "blocked", "unblock": "unblocked", "suspend": "suspended", "close": "closed",
}  # fmt: skip


class AccountError(ActionError):
    """It cannot be done to this account; the text says why."""


def move(actor: Actor, name: str, move: str, *, reason: str = "") -> tuple[str, str]:
    """Do with an account what `billing_client.rules.lifecycle.MOVES` names: its state before, and now.

    `name` is whatever leads to an account. Raises NoAccountError, AccountError where that cannot be done in its state.
    """
    number = number_of(name)
    with ACTIONS[move].by(actor, number, reason=reason) as deed:
        account = _locked(number)
        before, after = account.state, next_state(account.state, move)
        if after is None:
            raise AccountError(f"account {number} is {before}: it cannot be {DONE[move]}")
        account.state = after
        account.save(update_fields=["state"])
        deed.changed({"state": before}, {"state": after})
    return before, after


def new_password(actor: Actor, name: str, *, reason: str = "") -> tuple[str, str]:
    """Give an account a new SIP password: its number, and the password, which is shown this once. As `move` raises."""
    number = number_of(name)
    with PASSWORD.by(actor, number, reason=reason) as deed:
        account = _locked(number)
        if account.state == "closed":
            raise AccountError(f"account {number} is closed: it needs no password")
        old, account.password = account.password, passwords(1)[0]
        account.save(update_fields=["password"])
        deed.changed({"password": old}, {"password": account.password})
    return number, account.password


def note(actor: Actor, name: str, text: str) -> str:
    """Note something about an account in the log, such as what was agreed with its owner: the account's number.

    Raises NoAccountError, AccountError where there is no text, or one of more than 2,000 characters.
    """
    number = number_of(name)
    if not 0 < len(text.strip()) <= LONGEST_NOTE:
        raise AccountError(f"a note has 1 to {LONGEST_NOTE} characters")
    with NOTE.by(actor, number, reason=text.strip()):
        pass
    return number


def _locked(number: str) -> Account:
    return Account.objects.select_for_update(no_key=True, of=("self",)).get(number=number)
