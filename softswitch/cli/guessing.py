# SPDX-License-Identifier: Apache-2.0
"""Who guesses codes and PINs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from softswitch.cli.context import FAILED, Column, json_option

if TYPE_CHECKING:
    from softswitch.cli.context import Shell

__all__ = ["guessing"]

KINDS = ("ani", "phone", "account", "access", "prefix", "all")
COLUMNS = (
    Column("what", "Guessed"),
    Column("counted_for", "Counted for", grows=True),
    Column("failures", "Wrong", is_number=True),
    Column("late", "Late by", is_number=True),
    Column("locked_until", "Locked until"),
    Column("last_at", "Last", is_dispensable=True),
    Column("since", "Since", is_dispensable=True),
)


@click.group(invoke_without_command=True)
@click.option("--all", "everything", is_flag=True, help="One or two wrong ones too, which are mistyped as a rule.")
@json_option
@click.pass_context
def guessing(context: click.Context, everything: bool, as_json: bool) -> None:
    """Who guesses codes of vouchers and PINs.

    Wrong ones are counted for whoever tries, where that is certain (a phone of ours; ani, a number that a gateway
    vouches for), for the account by the way that they came, the access number, the beginning of the code
    (prefix) and all; the more there are the later come the answers.
    """
    if context.invoked_subcommand is not None:
        return
    shell: Shell = context.obj
    attempts = shell.configuration().security.login_attempts
    with shell.store():
        from billing.guessing.actions import guessing as found

        rows = found(lock_after=attempts.lock_after, slow_after=attempts.slow_after, everything=everything)
    shell.show(rows if as_json else [_told(row) for row in rows], COLUMNS, as_json=as_json, nothing="Nobody guesses.")


def _told(row: dict[str, Any]) -> dict[str, Any]:
    late = f"{row['delay_seconds']} s" if row["delay_seconds"] else ""
    return row | {"what": f"{row['what']}s", "counted_for": _name(row["kind"], row["name"]), "late": late}


def _name(kind: str, which: str) -> str:
    """As `unlock` takes it."""
    return f"{kind} {which}" if which else kind


@guessing.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("which", default="")
@click.pass_context
def unlock(context: click.Context, kind: str, which: str) -> None:
    """Forget what was counted for KIND WHICH, and lift its lock.

    Such as "unlock ani 42073723123" (or "ani anonymous"), "unlock account 101", "unlock prefix 8527544xxxx".
    """
    if bool(which) == (kind == "all"):
        raise click.UsageError("all have no name" if which else f"which {kind}?")
    shell: Shell = context.obj
    with shell.store() as actor:
        from billing.customers.queries import number_of
        from billing.guessing.actions import unlock as unlocked

        was_counted = unlocked(actor, kind, number_of(which) if kind == "account" else which)
    if not was_counted:
        shell.failed(f"{_name(kind, which)}: nothing was counted")
        context.exit(FAILED)
    shell.done(f"{_name(kind, which)}: wrong codes and PINs are forgotten")
