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
from softswitch.settings import reserved_names

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from billing.document.change import Change
    from softswitch.cli.context import Shell

__all__ = ["apply", "audit", "topup"]

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
    with shell.operations() as operations:
        from billing.money.actions import LedgerError

        try:
            receipt = operations.topup(account, sum_, key or f"cli-{uuid.uuid4()}", note)
        except LedgerError as refused:
            raise click.ClickException(str(refused)) from refused
    if as_json:
        shell.json(asdict(receipt))
        return
    said = f"{amount(sum_, receipt.currency)} added" if receipt.applied else "nothing added: this key was used before"
    shell.done(f"{account}: {said}; available now {amount(receipt.available, receipt.currency)} {receipt.currency}")


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
    document, reserved = read_yaml(file), reserved_names(shell.configuration())
    with shell.operations() as operations:
        from billing.document.apply import ApplyError

        try:
            with shell.err.status(f"Comparing {file.name} with the store ..."):
                changes = operations.apply(document, reserved=reserved, dry_run=True, base=file.parent)
            _show_changes(shell, changes, as_json=as_json)
            if not changes or dry_run:
                return
            if not yes and not click.confirm(f"Make {_count(len(changes), 'change')}?", err=True):
                raise click.Abort
            with shell.err.status("Making the changes ..."):
                operations.apply(document, reserved=reserved, base=file.parent)
        except ApplyError as error:
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
    with shell.operations() as operations:
        rows = operations.audit()
    shell.show(
        rows, AUDIT, as_json=as_json, nothing="The books are right: ledger, balances, locks and call records agree."
    )
    context.exit(FAILED if rows else 0)
