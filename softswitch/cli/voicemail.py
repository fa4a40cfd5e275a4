# SPDX-License-Identifier: Apache-2.0
"""Commands around mailboxes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from softswitch.cli.context import Column, json_option

if TYPE_CHECKING:
    from softswitch.cli.context import Shell

__all__ = ["voicemail"]

MESSAGES = (
    Column("message", "Message"),
    Column("folder", "Folder"),
    Column("received_at", "Received"),
    Column("caller", "From"),
    Column("caller_name", "Name", grows=True, is_dispensable=True),
    Column("seconds", "Seconds", is_number=True),
    Column("urgent", "Urgent"),
    Column("deleted_at", "Deleted"),
    Column("format", "Format", is_dispensable=True),
    Column("octets", "Octets", is_number=True, is_dispensable=True),
    Column("email_due_at", "E-mail due", is_dispensable=True),
)
KINDS = ("unavailable", "busy", "temporary", "name")
SHOWN_ID = 13
"""Characters of a message's id in a table: enough to tell messages apart, and taken by every command."""


@click.group()
def voicemail() -> None:
    """Messages, greetings and PINs of mailboxes.

    Settings of a mailbox are made by "softswitch apply" and shown by "softswitch accounts --json".
    """


@voicemail.command("list")
@click.argument("account")
@click.option("--deleted", is_flag=True, help="Those too that are deleted and not yet purged.")
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1, 1_000_000), help="How many at most.")
@json_option
@click.pass_obj
def list_(shell: Shell, account: str, deleted: bool, limit: int, as_json: bool) -> None:
    """Messages of ACCOUNT, in the order of listening."""
    with shell.store():
        from billing.customers.queries import number_of
        from billing.voicemail.queries import messages

        rows = messages(number_of(account), deleted=deleted, limit=limit)
    if not as_json:
        rows = [row | {"message": row["message"][:SHOWN_ID], "urgent": row["urgent"] or None} for row in rows]
    shell.show(rows, MESSAGES, as_json=as_json, nothing="No messages.")


@voicemail.command()
@click.argument("message")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@click.pass_obj
def export(shell: Shell, message: str, file: Path) -> None:
    """Write the sound of MESSAGE into FILE ("-": standard output).

    MESSAGE is its id, or the beginning of it. The sound is written as it is stored, which is WAV.
    """
    with shell.store():
        from billing.voicemail.queries import sound

        found, form, data = sound(message)
    if str(file) == "-":
        sys.stdout.buffer.write(data)
        return
    file.write_bytes(data)
    shell.done(f"message {found}: {len(data)} octets of {form} written to {file}")


@voicemail.command()
@click.argument("message")
@click.pass_obj
def delete(shell: Shell, message: str) -> None:
    """Delete MESSAGE, as its owner would.

    MESSAGE is its id, or the beginning of it.
    """
    with shell.store() as actor:
        from billing.voicemail import actions

        row = actions.delete(actor, message)
    shell.done(f"message {row['message']} of {row['account']}, from {row['caller']}, is deleted")


@voicemail.command("reset-pin")
@click.argument("account")
@click.pass_obj
def reset_pin(shell: Shell, account: str) -> None:
    """Give the mailbox of ACCOUNT a new PIN and lift its lock.

    The PIN is printed once; nobody can find it out again.
    """
    with shell.store() as actor:
        from billing.customers.queries import number_of
        from billing.voicemail import actions

        pin = actions.reset_pin(actor, number_of(account))
    shell.out.print(pin, markup=False)


@voicemail.command()
@click.argument("account")
@click.pass_obj
def unlock(shell: Shell, account: str) -> None:
    """Forget the wrong PINs of ACCOUNT's mailbox.

    A number from which too many were typed is unlocked by it in the place of ACCOUNT.
    """
    with shell.store() as actor:
        from billing.customers.queries import number_of
        from billing.voicemail import actions

        # A calling number may be nobody's here, and has no stroke.
        was_counted = actions.unlock(actor, number_of(account) if "/" in account else account)
    shell.done(f"{account}: {'wrong PINs are forgotten' if was_counted else 'there were no wrong PINs'}")


@voicemail.command()
@click.argument("account")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--remove", is_flag=True, help="Remove it; callers hear the number read out.")
@click.pass_obj
def greeting(shell: Shell, account: str, kind: str, file: Path | None, remove: bool) -> None:
    """Set a greeting of ACCOUNT from a sound FILE of any format.

    KIND is unavailable, busy, temporary (in the place of both) or name.
    """
    if (file is None) != remove:
        raise click.UsageError("name either a FILE or --remove")
    if file is None:
        _set_greeting(shell, account, kind, None, 0.0)
        shell.done(f"{account} has no greeting of the kind {kind} any more")
        return
    from softswitch.sounds import SoundError, stored_wav

    try:
        data, seconds = stored_wav(file.read_bytes())
    except SoundError as error:
        raise click.ClickException(f"{file.name}: {error}") from error
    _set_greeting(shell, account, kind, data, seconds)
    shell.done(f"{account}: greeting of the kind {kind}, {seconds:.1f} seconds")


def _set_greeting(shell: Shell, account: str, kind: str, data: bytes | None, seconds: float) -> None:
    with shell.store() as actor:
        from billing.customers.queries import number_of
        from billing.voicemail import actions

        actions.set_greeting(actor, number_of(account), kind, data, seconds)
