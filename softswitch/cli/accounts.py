# SPDX-License-Identifier: Apache-2.0
"""Commands about one account: what it is, how long it lives, and its state."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from billing_client.rules.currencies import amount_text as amount
from softswitch.cli.context import json_option

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from softswitch.cli.context import Shell

__all__ = ["account", "activate", "block", "close", "forget", "funds_text", "note", "password", "suspend", "unblock"]


@click.command()
@click.argument("number")
@json_option
@click.pass_obj
def account(shell: Shell, number: str, as_json: bool) -> None:
    """One account: state, funds, when it expires and why, aliases.

    NUMBER is its number, one of its aliases, or batch and control number, such as Spring/17.
    """
    with shell.store():
        from billing.customers.queries import account

        row = account(number)
    if as_json:
        shell.json(row)
        return
    table = Table.grid(padding=(0, 2))
    for title, value in _lines(row):
        if value:
            table.add_row(Text(title, style="bold"), Text(value))
    shell.out.print(table)


def _lines(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "account", f"{row['number']} {row['display']}".strip()
    yield "customer", row["customer"]
    yield "kind", row["kind"]
    yield "product", row["product"] or ""
    yield "batch", f"{row['batch']}, control number {row['control_number']}" if row["batch"] else ""
    yield "state", row["status"]
    yield "refused", row["refusal"] or ""
    yield "funds", funds_text(row)
    yield "expires", _expiry_text(row)
    yield "terms", ", ".join(_terms(row))
    yield "used", _uses_text(row)
    yield (
        "aliases",
        ", ".join(
            f"{name} (registers)"
            if name in row["authenticating_aliases"]
            else f"{name} (claimed, not proven)"
            if name in row["claimed_numbers"]
            else name
            for name in row["aliases"] or ()
        ),
    )
    yield "phones", str(row["registrations"])


def funds_text(row: dict[str, Any]) -> str:
    """The balance in words: what a debit account has, what a credit account owes (or has deposited)."""
    balance, unit = row["balance"], row["currency"]
    available = f"{amount(row['available'], unit)} available"
    if row["kind"] == "debit":
        return f"{amount(balance, unit)} {unit}, {available}"
    who = f"{row['customer']} owes" if row["kind"] == "subordinate" else "owes"
    owed = f"{who} {amount(balance, unit)}" if balance >= 0 else f"has a deposit of {amount(-balance, unit)}"
    if balance < 0 and row["kind"] == "subordinate":
        owed = f"{row['customer']} {owed}"
    limit: Decimal = row["credit_limit"] or Decimal(0)
    return f"{owed} {unit}, limit {amount(limit, unit)}, {available}"


def _expiry_text(row: dict[str, Any]) -> str:
    if row["expires_on"] is None:
        return "never, as things stand" if any(_terms(row)) else ""
    return f"on {row['expires_on']}, {row['billing_timezone']}: {row['expiry_reason']}"


def _terms(row: dict[str, Any]) -> Iterator[str]:
    if row["activation_date"]:
        yield f"from {row['activation_date']}"
    if row["expiry_date"]:
        yield f"until the day before {row['expiry_date']}"
    for field, use in (("expire_after_first_use_days", "first"), ("expire_after_last_use_days", "last")):
        if row[field]:
            yield f"{row[field]} days after its {use} use"


def _uses_text(row: dict[str, Any]) -> str:
    from billing_client.rules.lifecycle import zone_of

    zone = zone_of(row["billing_timezone"])
    uses = (("first", row["first_used_at"]), ("last", row["last_used_at"]), ("recharged", row["renewed_at"]))
    return ", ".join(f"{title} {_minute(at, zone)}" for title, at in uses if at is not None)


def _minute(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"


reason_option = click.option("--reason", default="", metavar="TEXT", help="Kept in the log of what was done.")


def _move(shell: Shell, number: str, move: str, reason: str) -> None:
    with shell.store() as actor:
        from billing.customers import actions

        before, after = actions.move(actor, number, move, reason=reason)
    shell.done(f"account {number} is {after} (it was {before})")


@click.command()
@click.argument("number")
@click.argument("known")
@reason_option
@click.pass_obj
def forget(shell: Shell, number: str, known: str, reason: str) -> None:
    """Forget a number by which an account is recognised: "forget 101 42073723123".

    One that the account's document names comes back with the next apply.
    """
    with shell.store() as actor:
        from billing.numbers.actions import forget_number

        forget_number(actor, number, known, reason=reason)
    shell.done(f"account {number} is not recognised by {known} any more")


@click.command()
@click.argument("number")
@reason_option
@click.pass_obj
def block(shell: Shell, number: str, reason: str) -> None:
    """Block an account: no calls, no registrations, no mailbox.

    Calls that run go on ("softswitch disconnect --block" ends one too).
    """
    _move(shell, number, "block", reason)


@click.command()
@click.argument("number")
@reason_option
@click.pass_obj
def unblock(shell: Shell, number: str, reason: str) -> None:
    """Let a blocked or suspended account be used again."""
    _move(shell, number, "unblock", reason)


@click.command()
@click.argument("number")
@reason_option
@click.pass_obj
def suspend(shell: Shell, number: str, reason: str) -> None:
    """Suspend an active account, such as for a bill that is not paid."""
    _move(shell, number, "suspend", reason)


@click.command()
@click.argument("number")
@reason_option
@click.pass_obj
def activate(shell: Shell, number: str, reason: str) -> None:
    """Let an inactive account be used, from its activation date on."""
    _move(shell, number, "activate", reason)


@click.command()
@click.argument("number")
@click.confirmation_option("--yes", prompt="A closed account cannot be opened again by a command. Close it?")
@reason_option
@click.pass_obj
def close(shell: Shell, number: str, reason: str) -> None:
    """Close an account for good; its history stays."""
    _move(shell, number, "close", reason)


@click.command()
@click.argument("number")
@click.option("--new", is_flag=True, required=True, help="Make a new one: the old one is not kept in clear.")
@reason_option
@click.pass_obj
def password(shell: Shell, number: str, new: bool, reason: str) -> None:
    """Give an account a new SIP password, and print it, this once."""
    assert new
    with shell.store() as actor:
        from billing.customers.actions import new_password

        _, made = new_password(actor, number, reason=reason)
    shell.out.print(made, markup=False)


@click.command()
@click.argument("number")
@click.argument("text")
@click.pass_obj
def note(shell: Shell, number: str, text: str) -> None:
    """Note something about an account in the log: "note 101 'will pay on Friday'"."""
    with shell.store() as actor:
        from billing.customers import actions

        noted = actions.note(actor, number, text)
    shell.done(f"noted of account {noted}")
