# SPDX-License-Identifier: Apache-2.0
"""Commands that change or audit what accounts own."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from billing.reading import values
from billing_client.rules.currencies import amount_text as amount
from softswitch.cli.context import FAILED, Column, json_option
from softswitch.cli.documents import read_yaml, refused
from softswitch.cli.look.carrier_audit import CARRIER_AUDIT, ZoneName, carrier_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from billing.document.change import Change
    from billing.money.actions import Receipt
    from softswitch.cli.context import Shell

__all__ = ["apply", "audit", "topup", "withdraw"]

MOST_SHOWN = 200
AUDIT = (
    Column("finding", "Finding", grows=True),
    Column("subject", "Of", grows=True),
    Column("expected", "Expected", is_number=True),
    Column("found", "Found", is_number=True),
)


class Amount(click.ParamType[Decimal]):
    """A decimal amount, a positive one unless `any_sign`."""

    name = "amount"

    def __init__(self, *, any_sign: bool = False) -> None:
        """As the class says."""
        self._any_sign = any_sign

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        found = values.amount(str(value))
        if found is None:
            self.fail(f'"{value}" is no amount such as 10 or 7.50, of at most five decimals', param, ctx)
        if found <= 0 and not self._any_sign:
            self.fail(f"{value} is not more than zero", param, ctx)
        return found


@click.command()
@click.argument("account")
@click.argument("sum_", metavar="AMOUNT", type=Amount())
@click.option("--key", help="Idempotency key: the same key twice credits once.  [default: a new one]")
@click.option("--note", default="", help="Kept in the ledger.")
@json_option
@click.pass_obj
def topup(shell: Shell, account: str, sum_: Decimal, key: str | None, note: str, as_json: bool) -> None:
    """Add AMOUNT to the funds of ACCOUNT."""
    with shell.store() as actor:
        from billing.customers.queries import number_of
        from billing.money import actions

        receipt = actions.topup(actor, number_of(account), sum_, key or f"cli-{uuid.uuid4()}", note)
    _show_receipt(shell, account, sum_, receipt, "added", as_json=as_json)


@click.command()
@click.argument("account")
@click.argument("sum_", metavar="AMOUNT", type=Amount())
@click.option("--key", help="Idempotency key: the same key twice takes once.  [default: a new one]")
@click.option("--note", default="", help="Kept in the ledger.")
@json_option
@click.pass_obj
def withdraw(shell: Shell, account: str, sum_: Decimal, key: str | None, note: str, as_json: bool) -> None:
    """Take AMOUNT from what ACCOUNT has available; what calls hold stays."""
    with shell.store() as actor:
        from billing.customers.queries import number_of
        from billing.money import actions

        receipt = actions.withdraw(actor, number_of(account), sum_, key or f"cli-{uuid.uuid4()}", note)
    _show_receipt(shell, account, sum_, receipt, "taken", as_json=as_json)


def _show_receipt(shell: Shell, account: str, moved: Decimal, receipt: Receipt, done: str, *, as_json: bool) -> None:
    if as_json:
        shell.json(asdict(receipt))
        return
    unit = receipt.currency
    said = f"{amount(moved, unit)} {done}" if receipt.applied else f"nothing {done}: this key was used before"
    shell.done(f"{account}: {said}; available now {amount(receipt.available, unit)} {unit}")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Show the difference, change nothing.")
@json_option
@click.pass_obj
def apply(shell: Shell, file: Path, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Bring customers, accounts and tariffs to what a YAML FILE says.

    Shows the difference first and asks. Applying the same file again changes nothing.
    """
    from softswitch.settings import reserved_names

    document, reserved = read_yaml(file), reserved_names(shell.configuration())
    with shell.store() as actor:
        from billing.document import apply as documents

        try:
            with shell.err.status(f"Comparing {file.name} with the store ..."):
                changes = documents.apply(actor, document, reserved=reserved, dry_run=True, base=file.parent)
            _show_changes(shell, changes, as_json=as_json)
            if not changes or dry_run:
                return
            if not yes and not click.confirm(f"Make {_count(len(changes), 'change')}?", err=True):
                raise click.Abort
            with shell.err.status("Making the changes ..."):
                documents.apply(actor, document, name=file.name, reserved=reserved, base=file.parent)
        except documents.ApplyError as error:
            raise refused(file, document, error.problems) from error
    if not as_json:
        shell.done(f"{_count(len(changes), 'change')} made")


def _show_changes(shell: Shell, changes: Sequence[Change], *, as_json: bool) -> None:
    if as_json:
        shell.json([asdict(change) for change in changes])
        return
    if not changes:
        shell.out.print("Nothing to change.", style="dim")
    for change in changes[:MOST_SHOWN]:
        style = "yellow" if change.field else "red" if change.after is None else "green"
        shell.out.print(str(change), markup=False, style=style)
    if len(changes) > MOST_SHOWN:
        shell.out.print(f"... and {len(changes) - MOST_SHOWN} more (all of them: --json)", style="dim")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


@click.command()
@click.option(
    "--carrier",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Compare a carrier's call records (CSV) with ours of its gateway instead.",
)
@click.option("--gateway", help="Whose records these are.  [default: the only gateway]")
@click.option(
    "--tolerance",
    default=2.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Seconds that durations may differ.",
)
@click.option(
    "--within",
    default=60.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Seconds that beginnings may differ.",
)
@click.option(
    "--timezone", "zone", default="UTC", show_default=True, type=ZoneName(), help="Of times that name no zone."
)
@json_option
@click.pass_context
def audit(
    context: click.Context,
    carrier: Path | None,
    gateway: str | None,
    tolerance: float,
    within: float,
    zone: ZoneInfo,
    as_json: bool,
) -> None:
    """Compare ledger, balances, locks and call records; or a carrier's records with ours.

    Exit status 1 when they differ.
    """
    shell: Shell = context.obj
    if carrier is not None:
        differences = carrier_rows(shell, carrier, gateway=gateway, tolerance=tolerance, within=within, zone=zone)
        shell.show(differences, CARRIER_AUDIT, as_json=as_json, nothing="The carrier's records and ours agree.")
        context.exit(FAILED if differences else 0)
    with shell.store():
        from billing.money.queries import audit as found

        rows = found()
    shell.show(
        rows, AUDIT, as_json=as_json, nothing="The books are right: ledger, balances, locks and call records agree."
    )
    context.exit(FAILED if rows else 0)
