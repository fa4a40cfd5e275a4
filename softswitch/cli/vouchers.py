# SPDX-License-Identifier: Apache-2.0
"""Commands around vouchers."""

from __future__ import annotations

import asyncio
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from softswitch.cli.context import FAILED, Column, json_option
from softswitch.cli.money import Amount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from decimal import Decimal
    from types import ModuleType

    from softswitch.cli.context import Shell

__all__ = ["numbers_option", "progress", "sample_voucher_store", "vouchers"]

BATCHES = (
    Column("batch", "Batch", grows=True),
    Column("customer", "Customer", grows=True),
    Column("vouchers", "Vouchers", is_number=True),
    Column("usable", "Usable", is_number=True),
    Column("used", "Used", is_number=True),
    Column("inactive", "Inactive", is_number=True),
    Column("blocked", "Blocked", is_number=True),
    Column("expired", "Expired", is_number=True),
    Column("outstanding", "Outstanding", is_number=True),
    Column("currency", "Currency"),
)
VOUCHERS = (
    Column("control_number", "No.", is_number=True),
    Column("id", "Id"),
    Column("pin", "PIN"),
    Column("amount", "Amount", is_number=True),
    Column("currency", "Currency"),
    Column("state", "State"),
    Column("expires", "Expires"),
    Column("used_at", "Used"),
    Column("used_by", "By"),
    Column("sub_realm", "Sub-realm", is_dispensable=True),
    Column("product", "Product", is_dispensable=True),
)
PENDING = (
    Column("key", "Key", grows=True),
    Column("account", "Account"),
    Column("store", "Store"),
    Column("amount", "Amount", is_number=True),
    Column("currency", "Currency"),
    Column("created_at", "Since"),
    Column("attempts", "Attempts", is_number=True),
    Column("due_at", "Again"),
)


class ControlNumbers(click.ParamType[tuple[int, int]]):
    """Control numbers from one to another."""

    name = "first-last"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        match = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", str(value).strip())
        if match is None:
            self.fail(f'"{value}" is no range such as 1-500', param, ctx)
        first, last = int(match[1]), int(match[2] or match[1])
        if not 1 <= first <= last:
            self.fail(f"{value} ends before it begins", param, ctx)
        return first, last


numbers_option = click.option("--numbers", type=ControlNumbers(), help="Control numbers only, such as 1-500.")


@click.group()
def vouchers() -> None:
    """Vouchers: generate, export, look, block, rotate keys.

    Whoever exports vouchers or looks at their PINs is noted in the store, with the count.
    """


@contextmanager
def progress(shell: Shell, what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error."""
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        console=shell.err, transient=True, disable=not shell.err.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _numbers(found: ModuleType, numbers: tuple[int, int] | None) -> Any:
    return found.Numbers(*numbers) if numbers else found.Numbers()


@vouchers.command()
@click.option("--customer", required=True, help="Whose they are.")
@click.option("--batch", required=True, help="A new name, or one to go on with.")
@click.option("--count", required=True, type=click.IntRange(1, 10_000_000), help="How many the batch shall have.")
@click.option("--amount", "sum_", required=True, type=Amount(), help="What each is worth.")
@click.option("--currency", help="[default: the customer's]")
@click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), help="First day on which they are worth nothing.")
@click.option("--product", help="Kept with them; an account of another product may be recharged all the same.")
@click.option("--sub-realm", default="", help="Only accounts of the same sub-realm can use them.")
@click.option("--inactive", is_flag=True, help='They can be used once "vouchers activate" was called.')
@click.option("--add", is_flag=True, help="So many more, in a batch that has some already.")
@click.pass_obj
def generate(
    shell: Shell, customer: str, batch: str, count: int, sum_: Decimal, currency: str | None,
    expires: datetime | None, product: str | None, sub_realm: str, inactive: bool, add: bool,
) -> None:  # fmt: skip
    """Generate vouchers.

    Interrupted, it goes on where it stopped when the same is asked again; no control number is given twice.
    """
    settings = shell.configuration().vouchers
    with shell.store() as actor:
        from billing.vouchers.actions import key_file_for_sealing
        from billing.vouchers.generation import Generation
        from billing.vouchers.generation import generate as generated

        asked = Generation(
            customer=customer, batch=batch, count=count, amount=sum_, currency=currency and currency.upper(),
            expires=expires.date() if expires else None, product=product, sub_realm=sub_realm, active=not inactive,
            id_digits=settings.id_digits, password_length=settings.password_length, add=add,
        )  # fmt: skip
        ring = key_file_for_sealing(shell.keys()) if settings.encrypt else None
        with progress(shell, f"Generating {batch}") as tell:
            first, last = generated(actor, asked, ring, tell)
    if last < first:
        shell.out.print(f"Nothing to do: {batch} has {first - 1} vouchers already.", style="dim")
    else:
        shell.done(f"{batch}: {last - first + 1} vouchers generated, control numbers {first} to {last}")


@vouchers.command()
@click.argument("batch")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@numbers_option
@click.pass_obj
def export(shell: Shell, batch: str, file: Path, numbers: tuple[int, int] | None) -> None:
    """Write BATCH with its PINs into FILE, for the printer.

    CSV, or a workbook of text cells (FILE.xlsx), which shows long numbers whole in a spreadsheet: id, pin, amount,
    currency, expires, control_number. Only you may read the file; that you made it is noted.
    """
    with shell.store() as actor, progress(shell, f"Exporting {batch}") as tell:
        from billing.vouchers import actions as found

        try:
            written = found.export(actor, batch, file, _numbers(found, numbers), shell.keys(), tell)
        except FileExistsError:
            raise click.ClickException(f"{file} is there already") from None
        except OSError as error:
            raise click.ClickException(f"{file}: {error.strerror}") from error
    shell.done(f"{batch}: {written} vouchers written to {file}")


@vouchers.command("list")
@click.argument("batch", default="")
@json_option
@click.pass_obj
def list_(shell: Shell, batch: str, as_json: bool) -> None:
    """Batches, and how many vouchers of each are used, usable and so on."""
    with shell.store():
        from billing.vouchers.actions import batches

        rows = batches(batch)
    shell.show(rows, BATCHES, as_json=as_json, nothing="No vouchers.")


@vouchers.command()
@click.argument("batch")
@numbers_option
@click.option("--pins", is_flag=True, help="With their PINs; that you saw them is noted.")
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1, 1_000_000), help="How many at most.")
@json_option
@click.pass_obj
def show(shell: Shell, batch: str, numbers: tuple[int, int] | None, pins: bool, limit: int, as_json: bool) -> None:
    """Vouchers of BATCH, with masked PINs."""
    with shell.store() as actor:
        from billing.vouchers import actions as found

        chosen = _numbers(found, numbers)
        if pins:
            rows = found.show(actor, batch, chosen, shell.keys(), limit=limit)
        else:
            rows = found.vouchers(batch, chosen, limit=limit)
    shell.show(rows, VOUCHERS, as_json=as_json, nothing="No vouchers.")


def _move(name: str, said: str, purpose: str) -> None:
    """A command that changes the state of vouchers."""

    @vouchers.command(name, help=purpose)
    @click.argument("batch")
    @numbers_option
    @click.pass_obj
    def _(shell: Shell, batch: str, numbers: tuple[int, int] | None) -> None:
        with shell.store() as actor:
            from billing.vouchers import actions as found

            changed = found.set_state(actor, batch, _numbers(found, numbers), name)
        shell.done(f"{batch}: {changed} voucher{'' if changed == 1 else 's'} {said}")


_move("block", "blocked", "Block vouchers of BATCH that are not used.")
_move("unblock", "unblocked", "Make blocked vouchers of BATCH usable again.")
_move("activate", "activated", "Make inactive vouchers of BATCH usable.")


@vouchers.command("rotate-key")
@click.option("--drop-old", is_flag=True, help="Take old keys out of the file; copies of the store need them.")
@click.pass_obj
def rotate_key(shell: Shell, drop_old: bool) -> None:
    """Seal all passwords by a new key.

    Vouchers can be redeemed meanwhile. Interrupted, it goes on when called again. Copy the key file to all nodes.
    """
    with shell.store() as actor, progress(shell, "Sealing anew") as tell:
        from billing.vouchers.actions import rotate

        done = rotate(actor, shell.keys(), tell, drop_old=drop_old)
    shell.done(f"{done.resealed} vouchers are sealed by key {done.key_id}{' (resumed)' if done.was_resumed else ''}")


@vouchers.command()
@json_option
@click.pass_obj
def pending(shell: Shell, as_json: bool) -> None:
    """Vouchers of external stores that are depleted or not: the store has not said.

    They are asked about again by themselves; "vouchers reconcile" does so now.
    """
    with shell.store():
        from billing.vouchers.actions import pending

        rows = pending()
    shell.show(rows, PENDING, as_json=as_json, nothing="Nothing is pending.")


@vouchers.command()
@click.pass_context
def reconcile(context: click.Context) -> None:
    """Finish redemptions of external vouchers that are due.

    The media server does so by itself. Exit status 1 while some are pending.
    """
    shell: Shell = context.obj
    with shell.store():
        from billing.vouchers.actions import pending
        from softswitch.settings import ivr_settings
        from softswitch.vouchers import open_vouchers

        async def once() -> int:
            door = await open_vouchers(ivr_settings(shell.configuration()))
            try:
                return await door.reconcile()
            finally:
                await door.close()

        ended = asyncio.run(once())
        left = len(pending())
    shell.done(f"{ended} finished, {left} pending")
    context.exit(FAILED if left else 0)


@click.command("sample-voucher-store")
@click.option("--port", default=8090, show_default=True, help="Where it listens, on 127.0.0.1.")
@click.option("--voucher", "codes", multiple=True, metavar="CODE=AMOUNT", help="What it holds; may be repeated.")
@click.option("--fault", "faults", multiple=True, metavar="PATH:KIND", help="Such as deplete:lost; one a request.")
@click.option("--token", default="", help="The bearer token that it wants.")
@click.pass_obj
def sample_voucher_store(shell: Shell, port: int, codes: tuple[str, ...], faults: tuple[str, ...], token: str) -> None:
    """Run a sample store of external vouchers, for tests.

    Faults are error, lost, slow, silent and garbage, of the requests check and deplete, and are used up in their order.
    """
    from softswitch.demo.sample_vouchers import SampleVoucherStore

    held = dict(_held(code) for code in codes or ("99900001=5.00", "99900002=10.00"))
    for fault in faults:
        if not re.fullmatch(r"(check|deplete):(error|lost|slow|silent|garbage)", fault):
            raise click.UsageError(f'"{fault}" is no fault such as deplete:lost')

    async def run() -> None:
        store = SampleVoucherStore(held, list(faults), token)
        await store.start(port=port)
        shell.done(f"the sample store of vouchers runs: {store.url}")
        try:
            await asyncio.Event().wait()
        finally:
            await store.stop()

    asyncio.run(run())


def _held(written: str) -> tuple[str, Decimal]:
    code, _, value = written.partition("=")
    if not code.isalnum():
        raise click.UsageError(f'"{written}" is no voucher such as 99900001=5.00')
    return code, Amount().convert(value, None, None)
