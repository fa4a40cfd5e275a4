# SPDX-License-Identifier: Apache-2.0
"""Commands about many accounts: batches, generation, export, update."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from billing_client.rules.numbering import digits_of
from softswitch.cli.context import Column, json_option
from softswitch.cli.look import look
from softswitch.cli.money import Amount
from softswitch.cli.vouchers import numbers_option, progress

if TYPE_CHECKING:
    from datetime import datetime

    from softswitch.cli.context import Shell

__all__ = ["accounts", "batches"]

BATCHES = (
    Column("batch", "Batch", grows=True),
    Column("customer", "Customer", grows=True),
    Column("accounts", "Accounts", is_number=True),
    Column("active", "Active", is_number=True),
    Column("inactive", "Inactive", is_number=True),
    Column("blocked", "Blocked", is_number=True),
    Column("last", "Last no.", is_number=True),
    Column("created_at", "Made", is_dispensable=True),
)
DAY = click.DateTime(["%Y-%m-%d"])


class Accounts(click.Group):
    """A group that lists accounts where what follows names none of its commands."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("--help", "-h")):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=Accounts)
def accounts() -> None:
    """List accounts; generate, export or update many.

    "softswitch accounts FILTER" lists those whose number begins with FILTER, or whose customer's name holds it.
    """


accounts.add_command(look.accounts, "list")


@accounts.command()
@click.option("--customer", required=True, help="Whose they are.")
@click.option("--batch", required=True, help="A new name, or one to go on with.")
@click.option("--count", required=True, type=click.IntRange(1, 1_000_000), help="How many the batch shall have.")
@click.option("--kind", default="debit", show_default=True, type=click.Choice(["debit", "credit", "subordinate"]))
@click.option("--product")
@click.option("--opening-balance", type=Amount(), help="Funds of a debit account, debt of a credit account.")
@click.option("--credit-limit", type=Amount(), help="Of each credit account.")
@click.option("--number-digits", default=12, show_default=True, type=click.IntRange(6, 32), help="Of random numbers.")
@click.option("--prefix", help="What every number begins with.  [default: 0 of random ones]")
@click.option("--first-number", type=click.IntRange(0, 10**18), help="Numbers in a row from this one, not random ones.")
@click.option("--pin-digits", default=0, type=click.IntRange(0, 32), help="A PIN of so many digits for each.")
@click.option(
    "--password-digits",
    type=click.IntRange(8, 32),
    help="Passwords of so many digits, for callers (service_password).  [default: 12 letters and digits]",
)
@click.option("--inactive", is_flag=True, help="They can be used once they are activated.")
@click.option("--activation", type=DAY, help="First day on which they can be used.")
@click.option("--expires", type=DAY, help="First day on which they cannot.")
@click.option("--expires-after-first-use", type=click.IntRange(1, 36_500), metavar="DAYS")
@click.option("--expires-after-last-use", type=click.IntRange(1, 36_500), metavar="DAYS")
@click.pass_obj
def generate(
    shell: Shell, /, inactive: bool, activation: datetime | None, expires: datetime | None,
    expires_after_first_use: int | None, expires_after_last_use: int | None, **asked: Any,
) -> None:  # fmt: skip
    """Generate accounts into a batch.

    Interrupted, it goes on where it stopped when the same is asked again. Numbers are random and end with a check
    digit, or follow from --first-number. Passwords are random; "accounts export" writes them.
    """
    if asked["prefix"] and not digits_of(asked["prefix"]):
        raise click.UsageError("--prefix is digits only")
    if 0 < asked["pin_digits"] < 6:
        raise click.UsageError("--pin-digits is 6 or more")
    columns = {
        "state": "inactive" if inactive else "active",
        "activation_date": activation and activation.date(),
        "expiry_date": expires and expires.date(),
        "expire_after_first_use_days": expires_after_first_use,
        "expire_after_last_use_days": expires_after_last_use,
    }
    asked["password_digits"] = asked["password_digits"] or 0
    from softswitch.settings import reserved_names

    batch, reserved = asked["batch"], reserved_names(shell.configuration())
    with shell.store() as actor:
        from billing.customers.generation import AccountGeneration
        from billing.customers.generation import generate as generated

        with progress(shell, f"Generating {batch}") as tell:
            first, last = generated(actor, AccountGeneration(columns=columns, reserved=reserved, **asked), tell)
    if last < first:
        shell.out.print(f"Nothing to do: {batch} has {first - 1} accounts already.", style="dim")
    else:
        shell.done(f"{batch}: {last - first + 1} accounts generated, control numbers {first} to {last}")


@accounts.command()
@click.argument("batch")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@numbers_option
@click.pass_obj
def export(shell: Shell, batch: str, file: Path, numbers: tuple[int, int] | None) -> None:
    """Write accounts of BATCH with passwords and PINs into FILE, for the printer.

    CSV, or a workbook of text cells (FILE.xlsx), which shows long numbers whole in a spreadsheet. Only you may read
    the file; that you made it is noted.
    """
    with shell.store() as actor, progress(shell, f"Exporting {batch}") as tell:
        from billing.customers.batches import MOST
        from billing.customers.batches import export as exported

        first, last = numbers or (1, MOST)
        try:
            written = exported(actor, batch, file, tell, first=first, last=last)
        except FileExistsError:
            raise click.ClickException(f"{file} is there already") from None
        except OSError as error:
            raise click.ClickException(f"{file}: {error.strerror}") from error
    shell.done(f"{batch}: {written} accounts written to {file}")


@accounts.command()
@click.option("--customer")
@click.option("--batch")
@numbers_option
@click.option("--registered/--unregistered", default=None, help="Whether a phone is registered now.")
@click.option("--state", type=click.Choice(["active", "inactive", "blocked", "suspended"]))
@click.option("--product")
@click.option("--kind", type=click.Choice(["debit", "credit", "subordinate"]))
@click.option("--balance-below", type=Amount(any_sign=True), help="Funds of debit accounts, debt of credit accounts.")
@click.option("--balance-from", type=Amount(any_sign=True), help="So much or more.")
@click.option("--created-before", type=DAY, help="UTC.")
@click.option("--created-after", type=DAY, help="At or after the beginning of the day, UTC.")
@click.option("--expires-before", type=DAY, help="By their expiry date.")
@click.option("--expires-after", type=DAY, help="On that day or later.")
@click.option("--unused-since", type=DAY, help="Not used on that day or later, UTC.")
@click.option("--set", "settings", multiple=True, required=True, metavar="NAME=VALUE", help="May be repeated.")
@click.option("--all", "everybody", is_flag=True, help="Every customer's accounts, where no filter is given.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def update(shell: Shell, /, settings: tuple[str, ...], everybody: bool, yes: bool, **chosen: Any) -> None:
    """Change all accounts that the filters choose.

    Settings: state, product, activation_date, expiry_date, expire_after_first_use_days, expire_after_last_use_days,
    max_calls, max_calls_in, max_calls_out, max_call_price, timezone, language, transfers, sub_realm, and balance=+5 or
    balance=-5, which adds or takes. NAME=none takes a setting away. All accounts are changed or none; closed ones never
    are.
    """
    from datetime import UTC

    if not everybody and all(value is None for value in chosen.values()):
        raise click.UsageError("without a filter this is every customer's accounts: say --all if you mean that")
    written = dict(setting.partition("=")[::2] for setting in settings)
    for name in ("created_before", "created_after", "unused_since"):
        chosen[name] = chosen[name] and chosen[name].replace(tzinfo=UTC)
    for name in ("expires_before", "expires_after"):
        chosen[name] = chosen[name] and chosen[name].date()
    with shell.store() as actor:
        from billing.customers import batch_update

        filters, changes = batch_update.Filters(**chosen), batch_update.read_changes(written)
        found = batch_update.count(filters)
        shell.err.print(f"Accounts: {found} ({filters})", markup=False)
        for name, value in batch_update.described(changes).items():
            shell.err.print(f"  {name} -> {value or 'none'}", markup=False)
        if not found:
            shell.out.print("Nothing to do.", style="dim")
            return
        if not yes and not click.confirm(f"Update {found} account{'' if found == 1 else 's'}?", err=True):
            raise click.Abort
        with shell.err.status("Updating ..."):
            changed = batch_update.update(actor, filters, changes, found)
    shell.done(f"{changed} account{'' if changed == 1 else 's'} updated")


@click.group()
def batches() -> None:
    """Batches of accounts: list them, put accounts into one."""


@batches.command("list")
@json_option
@click.pass_obj
def list_(shell: Shell, as_json: bool) -> None:
    """Batches, and how many accounts are in them."""
    with shell.store():
        from billing.customers.batches import batches as found

        rows = found()
    shell.show(rows, BATCHES, as_json=as_json, nothing="No batches of accounts.")


@batches.command()
@click.argument("batch")
@click.argument("numbers", nargs=-1, required=True)
@click.pass_obj
def assign(shell: Shell, batch: str, numbers: tuple[str, ...]) -> None:
    """Put accounts NUMBERS, which are in no batch yet, into BATCH."""
    with shell.store() as actor:
        from billing.customers.batches import assign as assigned
        from billing.customers.queries import number_of

        placed = assigned(actor, batch, [number_of(number) for number in numbers])
    shell.done(", ".join(f"{number} is {batch} {control}" for number, control in placed))
