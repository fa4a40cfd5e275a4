# SPDX-License-Identifier: Apache-2.0
"""Which number somebody dials: the rules of number plans and extensions, tried by the live code."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from softswitch.cli.context import Column, json_option

if TYPE_CHECKING:
    from billing_client.parties import Parties
    from softswitch.cli.context import Shell
    from softswitch.config import Configuration

__all__ = ["number"]

COLUMNS = (
    Column("dialled", "Dialled"),
    Column("number", "Number"),
    Column("reached", "Reaches"),
    Column("shown", "Shown as"),
    Column("why", "Why"),
)


@click.command()
@click.option("--from", "caller", metavar="X", required=True, help="Account, or an alias of it, that dials.")
@click.argument("dialled", nargs=-1, required=True)
@json_option
@click.pass_obj
def number(shell: Shell, caller: str, dialled: tuple[str, ...], as_json: bool) -> None:
    """Tell which number an account dials: by its number plan, and within its company.

    Each of DIALLED is read as a live call reads it. Nothing rings.
    """
    from billing_client.types import StoreError as Refused
    from softswitch.processes.store import StoreError, open_store

    configuration = shell.configuration()
    with open_store(configuration) as dsn:
        try:
            rows = asyncio.run(_look_up(configuration, dsn, caller, dialled))
        except Refused as error:
            raise StoreError(str(error)) from error
    if not rows:
        raise click.ClickException(f"nobody is called {caller}")
    shell.show(rows, COLUMNS, as_json=as_json, nothing="nothing was dialled")


async def _look_up(
    configuration: Configuration, dsn: str, caller: str, dialled: tuple[str, ...]
) -> list[dict[str, Any]]:
    """A row for each; none: nobody calls."""
    from billing_client.inquiry import Inquiry
    from softswitch.settings import explain_conditions
    from switch.access.dialling import ByPlan
    from switch.explain.explain import uri_of
    from switch.routing.plan import called

    conditions = explain_conditions(configuration)
    inquiry = await Inquiry.connect(dsn)
    try:
        ask = ByPlan(inquiry.parties, lambda: conditions.numbers, lambda: conditions.emergency, lambda _name: None)
        rows = []
        for text in dialled:
            asked = called(uri_of(text), (*conditions.domains, ""), None, conditions.known_emergency)
            found = await ask(caller=caller, ani=None, dialled=asked.meant)
            if found.caller is None:
                return []
            refusal = "" if asked.refusal is None else asked.refusal.text
            plan = found.caller.plan.within(conditions.numbers)
            rows.append(_row(text, found, refusal, plan.shown))
        return rows
    finally:
        await inquiry.close()


def _row(text: str, found: Parties, refusal: str, shown: Any) -> dict[str, Any]:
    number = found.dialled
    spelled = number.text if number is not None else ""
    why = refusal or found.apart or (number.why if number is not None else "")
    if number is not None and number.refusal:
        why = f"no whole number: {number.why}"
    return {
        "dialled": text,
        "number": spelled,
        "reached": "the outside" if found.callee is None else f"{found.callee.number} of {found.callee.customer_name}",
        "shown": shown(spelled),
        "why": why,
    }
