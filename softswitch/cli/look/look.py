# SPDX-License-Identifier: Apache-2.0
"""Commands that show what is there."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from softswitch.cli.context import Column, json_option
from softswitch.cli.tables import csv_option, write_csv
from softswitch.cli.times import Instant

if TYPE_CHECKING:
    from softswitch.cli.context import Shell

__all__ = ["accounts", "calls", "demo", "ledger", "registrations", "xdrs"]

ACCOUNTS = (
    Column("number", "Account"),
    Column("display", "Name", grows=True),
    Column("customer", "Customer", grows=True, is_dispensable=True),
    Column("kind", "Kind", is_dispensable=True),
    Column("available", "Available", is_number=True),
    Column("currency", ""),
    Column("status", "State"),
    Column("expires_on", "Expires"),
    Column("refusal", "Refused", grows=True, is_dispensable=True),
    Column("registrations", "Phones", is_number=True),
    Column("locked", "Locked", is_number=True),
    Column("balance", "Balance", is_number=True, is_dispensable=True),
    Column("credit_limit", "Limit", is_number=True, is_dispensable=True),
)
REGISTRATIONS = (
    Column("aor", "Account"),
    Column("contact", "Contact", grows=True),
    Column("expires_seconds", "Expires", is_number=True),
    Column("user_agent", "Phone", grows=True),
    Column("received", "Seen at", is_dispensable=True),
    Column("node", "Node", is_dispensable=True),
)
CALLS = (
    Column("call_id", "Call"),
    Column("caller", "From"),
    Column("dialled", "To"),
    Column("state", "State"),
    Column("seconds", "Seconds", is_number=True),
    Column("locked", "Locked", is_number=True),
    Column("currency", ""),
    Column("account", "Pays", is_dispensable=True),
    Column("destination", "Destination", grows=True, is_dispensable=True),
    Column("gateway", "Gateway", is_dispensable=True),
    Column("node", "Node", is_dispensable=True),
)
LEDGER = (
    Column("at", "At"),
    Column("kind", "What"),
    Column("amount", "Amount", is_number=True),
    Column("balance", "Balance", is_number=True),
    Column("currency", ""),
    Column("note", "Note", grows=True, is_dispensable=True),
    Column("key", "Key", is_dispensable=True),
)
XDRS = (
    Column("started_at", "Started"),
    Column("caller", "From"),
    Column("dialled", "To"),
    Column("billed_seconds", "Billed", is_number=True),
    Column("amount", "Amount", is_number=True),
    Column("currency", ""),
    Column("ended_by", "Ended by"),
    Column("account", "Pays", is_dispensable=True),
    Column("destination", "Destination", grows=True, is_dispensable=True),
    Column("gateway", "Gateway", is_dispensable=True),
    Column("cause", "Q.850", is_number=True, is_dispensable=True),
    Column("call_id", "Call", is_dispensable=True),
)


@click.command()
@click.argument("text", required=False)
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1, 1_000_000), help="How many at most.")
@json_option
@click.pass_obj
def accounts(shell: Shell, text: str | None, limit: int, as_json: bool) -> None:
    """Accounts and their balances.

    TEXT keeps those whose number begins with it or whose customer's name contains it.
    """
    with shell.store():
        from billing.customers import queries

        rows = queries.accounts(text or "", limit=limit)
    shell.show(rows, ACCOUNTS, as_json=as_json, nothing="No accounts.")


@click.command()
@json_option
@click.pass_obj
def registrations(shell: Shell, as_json: bool) -> None:
    """Phones that are registered now."""
    with shell.store():
        from billing.registrations import queries

        rows = queries.registrations()
    shell.show(rows, REGISTRATIONS, as_json=as_json, nothing="No phone is registered.")


@click.command()
@click.option("--watch", is_flag=True, help="Show all nodes live, with funds, time left and media.")
@click.option("--seconds", type=click.FloatRange(min=0.1), help="Watch for so long.  [default: until Ctrl-C]")
@json_option
@click.pass_obj
def calls(shell: Shell, watch: bool, seconds: float | None, as_json: bool) -> None:
    """Calls that run now, with the funds they hold.

    With --watch --json every change is a line of JSON.
    """
    if watch or seconds is not None:
        from softswitch.cli.look.watch import watch_calls

        watch_calls(shell, seconds, as_json=as_json)
        return
    with shell.store():
        from billing.calls import queries

        rows = queries.calls()
    shell.show(rows, CALLS, as_json=as_json, nothing="No calls.")


@click.command()
@click.argument("account", required=False)
@click.option("--since", type=Instant(), help="From then on: 1h, 7d, 2026-11-22, 2026-11-22 23:10.")
@click.option("--until", type=Instant(), help="Before then.")
@click.option("--number", help="The caller's number or the dialled one begins with it.")
@click.option("--customer", help="Whose accounts pay.")
@click.option("--gateway", help="By which they came or went.")
@click.option("--cause", type=click.IntRange(0, 127), help="Of Q.850: 16 ended, 17 busy, 19 no answer ...")
@click.option("--last", default=20, show_default=True, type=click.IntRange(1, 10_000_000), help="How many at most.")
@csv_option
@json_option
@click.pass_obj
def xdrs(shell: Shell, /, account: str | None, last: int, as_csv: bool, as_json: bool, **filters: Any) -> None:
    """Call records, newest first.

    ACCOUNT keeps those of one account: its number, an alias, or batch and control number, such as Spring/17.
    """
    with shell.store():
        from billing.calls import queries
        from billing.customers.queries import number_of

        rows = queries.xdrs(account=number_of(account) if account else None, limit=last, **filters)
    if as_csv:
        write_csv(shell, rows, XDRS)
        return
    narrowed = account is not None or any(value is not None for value in filters.values())
    shell.show(rows, XDRS, as_json=as_json, nothing="No such call records." if narrowed else "No call records.")


@click.command()
@click.argument("account")
@click.option("--last", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="How many.")
@json_option
@click.pass_obj
def ledger(shell: Shell, account: str, last: int, as_json: bool) -> None:
    """Movements of an account's balance, newest first, with the balance after each.

    ACCOUNT is its number, an alias, or batch and control number, such as Spring/17. Accounts that share their
    customer's credit show the customer's movements.
    """
    with shell.store():
        from billing.customers.queries import number_of
        from billing.money import queries

        rows = queries.ledger(number_of(account), limit=last)
    shell.show(rows, LEDGER, as_json=as_json, nothing="No movements.")


@click.command()
@json_option
@click.pass_obj
def demo(shell: Shell, as_json: bool) -> None:
    """The demo tenant: numbers, passwords and what to dial."""
    from softswitch.cli.welcome import Welcome
    from softswitch.demo.demo import demo_tenant

    configuration = shell.configuration()
    with shell.store() as actor:
        summary = demo_tenant(actor, configuration, with_vouchers=True)
    if summary is None:
        raise click.ClickException(
            'this store holds no demo tenant: "demo: {enabled: true}" loads it into an empty one'
        )
    if as_json:
        shell.json([asdict(account) for account in summary.accounts])
        return
    Welcome(configuration, shell.out, summary).show_tenant(with_passwords=True)
