# SPDX-License-Identifier: Apache-2.0
"""Commands that check and steer a running installation."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import click
from rich.text import Text

from softswitch.cli.context import FAILED, json_option

if TYPE_CHECKING:
    from softswitch.cli.context import Shell

__all__ = ["check", "disconnect", "doctor", "migrate", "reload"]


@click.command()
@click.pass_obj
def check(shell: Shell) -> None:
    """Check the configuration; every mistake with its line.

    Exit status 2 when there is one.
    """
    from softswitch.config import check as check_file
    from softswitch.config import describe

    _, warnings = check_file(shell.file)
    for warning in warnings:
        shell.err.print(f"warning: {describe(shell.file, warning)}", markup=False)
    shell.done(f"{shell.file.name} is in order")


@click.command()
@click.pass_obj
def reload(shell: Shell) -> None:
    """Take a changed configuration over without dropping a call.

    A broken file is refused with its mistakes, and everything goes on as it was.
    """
    from softswitch.processes.runfiles import running_pid
    from softswitch.processes.supervise import up_file

    configuration = shell.configuration()
    pid = running_pid(up_file(configuration))
    if not pid:
        raise click.ClickException(f"softswitch does not run on {configuration.data_dir}")
    try:
        os.kill(pid, signal.SIGHUP)
    except PermissionError:
        raise click.ClickException(f"process {pid} belongs to another user: use that user or root") from None
    shell.done(f"{shell.file.name} is in order and taken over by process {pid}")


@click.command()
@click.argument("call")
@click.option("--reason", default="admin", show_default=True, help="Told to both phones, kept in the call's trace.")
@click.option("--block", is_flag=True, help="Block the account that pays, too.")
@click.pass_obj
def disconnect(shell: Shell, call: str, reason: str, block: bool) -> None:
    """End a running call, on whichever node it is.

    CALL is its id, or the beginning of it ("softswitch calls" shows them).
    """
    with shell.store() as actor:
        from billing.calls import actions, queries
        from billing.customers.actions import AccountError, move

        found = [row for row in queries.calls(limit=1_000_000) if row["call_id"].startswith(call)]
        if not found:
            raise click.ClickException(f'no running call has the id "{call}"')
        if len(found) > 1:
            raise click.ClickException(f'{len(found)} running calls have ids that begin with "{call}"')
        (row,) = found
        if block:
            try:
                move(actor, row["account"], "block", reason=reason)  # first, so that nobody dials again in between
                shell.done(f"account {row['account']} is blocked")
            except AccountError as refused:  # blocked or closed already
                shell.err.print(str(refused), markup=False)
        actions.disconnect(actor, row["call_id"], reason)
    shell.done(f"call {row['call_id']} is being ended")


@click.command()
@click.pass_obj
def migrate(shell: Shell) -> None:
    """Bring the store's tables up to this release ("up" does it itself)."""
    with shell.store(make=True) as actor, shell.err.status("Migrating ..."):
        from billing.passwords.actions import seal
        from billing.store import preparing

        with preparing.alone():
            steps = preparing.migrate()
            seal(actor, shell.keys())
    shell.done(f"the store is up to date ({steps} changes made)" if steps else "the store was up to date")


@click.command()
@json_option
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Look for trouble: ports, store, clock, DNS, certificates.

    Exit status 1 when something is wrong.
    """
    from softswitch.doctor import Verdict, examine

    shell: Shell = context.obj
    findings = list(examine(shell.configuration()))
    if as_json:
        shell.json([{"topic": one.topic, "verdict": one.verdict.value, "text": one.text} for one in findings])
    marks = {Verdict.GOOD: ("✓", "green"), Verdict.WARNING: ("!", "yellow"), Verdict.BAD: ("✗", "red")}
    for one in () if as_json else findings:
        sign, style = marks[one.verdict]
        shell.out.print(Text.assemble((f"{sign} ", style), f"{one.topic:<12} {one.text}"), overflow="fold")
    context.exit(FAILED if any(one.verdict is Verdict.BAD for one in findings) else 0)
