# SPDX-License-Identifier: Apache-2.0
"""What the command line asks of the store: plain synchronous functions, after `setup`.

The models load with Django, which `setup` starts; that is why the functions import inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from billing.settings import configure
from billing.store.preparing import StoreVersionError, alone, bring_up_to_date, pending
from billing_client.secrets.keyring import KeyRingError
from billing_client.secrets.passwords import Passwords

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal
    from pathlib import Path

    from billing.calls.live import Announcements
    from billing.carriers.records import CarrierRecord
    from billing.customers.names import Reserved
    from billing.demo import DemoSummary
    from billing.document.change import Change
    from billing.money.actions import Receipt
    from billing.store.query import Row
    from billing_client.secrets.keyring import KeyFile

__all__ = [
    "StoreVersionError",
    "account",
    "accounts",
    "alone",
    "apply",
    "audit",
    "audit_carrier",
    "block",
    "calls",
    "forget_number",
    "is_migrated",
    "ledger",
    "load_demo",
    "migrate",
    "move",
    "registrations",
    "request_disconnect",
    "seal_passwords",
    "setup",
    "topup",
    "trace",
    "traces",
    "watch_calls",
    "withdraw",
    "xdrs",
]


def setup(dsn: str, keys: KeyFile | None = None) -> None:
    """Start Django on this store. `keys` seal and open passwords; None: those that are written are not sealed."""
    configure(dsn, sealing=Passwords(keys))


def migrate(keys: KeyFile | None = None) -> int:
    """Bring the schema up to date and seal the passwords that are in clear; how many steps the schema took.

    Two at once wait for each other. Raises StoreVersionError, and KeyRingError when the file of keys is missing or
    cannot be used.
    """
    with alone():
        steps = bring_up_to_date()
        if keys is not None:
            seal_passwords(keys)
    return steps


def seal_passwords(keys: KeyFile) -> int:
    """Seal the passwords that are in clear; how many. Raises KeyRingError."""
    from billing.store.sealing import seal_clear
    from billing.vouchers.actions import key_file_for_sealing
    from billing.vouchers.generation import VoucherError

    try:
        key_file_for_sealing(keys)
    except VoucherError as error:
        raise KeyRingError(str(error)) from error
    return seal_clear(Passwords(keys))


def is_migrated() -> bool:
    """True if the schema is up to date. Raises StoreVersionError."""
    return not pending()


def load_demo(
    carriers: Sequence[tuple[str, int]] = (("127.0.0.1", 5070), ("127.0.0.1", 5071)),
    keys: KeyFile | None = None,
    id_digits: int = 11,
) -> DemoSummary:
    """Load the demo tenant unless it is there; see `billing.demo`."""
    from billing import demo

    return demo.load_demo(carriers, keys, id_digits)


def apply(
    document: Mapping[str, Any], *, reserved: Reserved | None = None, dry_run: bool = False, base: Path | None = None
) -> list[Change]:
    """Bring the store to what a document says; see `billing.document.apply`, whose ApplyError it raises.

    `reserved`: names that the configuration gives to something else than accounts.
    """
    from billing.customers.names import FREE
    from billing.document.apply import apply

    return apply(document, reserved=reserved or FREE, dry_run=dry_run, base=base)


def accounts(filter: str = "", *, limit: int = 1000) -> list[Row]:  # noqa: A002 (reads best at the call)
    """Accounts whose number begins with `filter`, or whose customer's name holds it."""
    from billing.customers import queries

    return queries.accounts(filter, limit=limit)


def account(name: str) -> Row | None:
    """The account that a number, an alias, or a batch with a control number leads to; None: there is none."""
    from billing.customers import queries
    from billing.customers.batches import number_of

    return queries.account(number_of(name))


def registrations(filter: str = "", *, limit: int = 1000) -> list[Row]:  # noqa: A002
    """Live bindings whose AOR begins with `filter`."""
    from billing.registrations import queries

    return queries.registrations(filter, limit=limit)


def calls(filter: str = "", *, limit: int = 1000) -> list[Row]:  # noqa: A002
    """Live calls on all nodes: of accounts whose number begins with `filter`, or the one with that id."""
    from billing.calls import queries

    return queries.calls(filter, limit=limit)


def ledger(account: str, *, limit: int = 100) -> list[Row]:
    """Movements of the balance that an account spends from, the newest first, each with the balance after it."""
    from billing.money import queries

    return queries.ledger(account, limit=limit)


def xdrs(
    *, account: str | None = None, since: datetime | None = None, until: datetime | None = None, limit: int = 100
) -> list[Row]:
    """Records of ended calls, the newest first."""
    from billing.calls import queries

    return queries.xdrs(account=account, since=since, until=until, limit=limit)


def audit() -> list[Row]:
    """Everything in which ledger, balances, locks and records disagree; empty: the books are right."""
    from billing.money import queries

    return queries.audit()


def audit_carrier(
    records: Sequence[CarrierRecord], *, gateway: str | None, tolerance: Decimal, window: float
) -> list[Row]:
    """A carrier's call records beside ours of its gateway; see `billing.carriers.audit`."""
    from billing.carriers.audit import audit_carrier

    return audit_carrier(records, gateway=gateway, tolerance=tolerance, window=window)


def traces(
    *,
    call: str | None = None,
    keys: list[str] | None = None,
    account: str | None = None,
    since: datetime | None = None,
    limit: int = 20,
) -> list[Row]:
    """Records that explain calls; see `billing.traces.queries`."""
    from billing.traces import queries as traces

    return traces.traces(call=call, keys=keys, account=account, since=since, limit=limit)


def trace(call: str) -> Row | None:
    """One of them with its body, the call's xDR and its entries in the ledger."""
    from billing.traces import queries as traces

    return traces.trace(call)


def topup(number: str, amount: Decimal, key: str, note: str = "") -> Receipt:
    """Add to the funds of an account, once for each `key`; raises billing.money.actions.LedgerError."""
    from billing.customers.batches import number_of
    from billing.money import actions as ledger

    return ledger.topup(number_of(number), amount, key, note)


def withdraw(number: str, amount: Decimal, key: str, note: str = "") -> Receipt:
    """Take from what an account has available, once for each `key`; raises billing.money.actions.LedgerError."""
    from billing.customers.batches import number_of
    from billing.money import actions as ledger

    return ledger.withdraw(number_of(number), amount, key, note)


def watch_calls(every_seconds: float = 1.0) -> Iterator[Announcements]:
    """What runs on all nodes, with funds and media, again and again; see `billing.calls.live`."""
    from billing.calls import live

    return live.watch_calls(every_seconds)


def block(number: str) -> bool:
    """Block an account, whatever its state; False if there is none."""
    from billing.customers.models import Account

    return bool(Account.objects.filter(number=number).update(state="blocked"))


def move(number: str, move: str) -> tuple[str, str | None]:
    """Do with an account what `billing_client.rules.lifecycle.MOVES` names: its state before, and now.

    `number` may be an alias, or a batch with a control number. The second is None if that cannot be done in this state,
    and the first empty if there is no such account.
    """
    from django.db import transaction

    from billing.customers.batches import number_of
    from billing.customers.models import Account
    from billing_client.rules.lifecycle import next_state

    number = number_of(number)
    with transaction.atomic():
        account = Account.objects.select_for_update(no_key=True, of=("self",)).filter(aliases__name=number).first()
        if account is None:
            return "", None
        before, after = account.state, next_state(account.state, move)
        if after is not None:
            account.state = after
            account.save(update_fields=["state"])
    return before, after


def forget_number(number: str, known: str) -> bool:
    """Take a number of the outside (`KNOWN@pstn`) from an account; whether it had it. It is noted."""
    from django.db import transaction

    from billing.audit_log.log import log_action
    from billing.customers.batches import number_of
    from billing.customers.models import Alias

    name = f"{known.removesuffix('@pstn').removeprefix('+')}@pstn"
    with transaction.atomic():
        alias = Alias.objects.filter(name=name, account__aliases__name=number_of(number)).first()
        if alias is None:
            return False
        log_action("accounts.forget_number", number, known=name)
        alias.delete()
    return True


def request_disconnect(call_id: str, reason: str) -> bool:
    """Ask the node that holds a call to end it; False if no such call is live."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_notify('softswitch', concat_ws(':', 'disconnect', node, call_id, %s::text))"
            " FROM billing_activecall WHERE call_id = %s",
            [reason, call_id],
        )
        return cursor.fetchone() is not None
