# SPDX-License-Identifier: Apache-2.0
"""The command that shows by which carriers a call would go, by the code that live calls run."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from billing_client.rules.currencies import amount_text as amount
from softswitch.cli.context import Column, json_option
from softswitch.cli.look.explain import asked
from softswitch.cli.times import Instant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from softswitch.cli.context import Shell

__all__ = ["route"]

ROUTES = (
    Column("order", "", is_number=True),
    Column("gateway", "Gateway"),
    Column("vendor", "Vendor", is_dispensable=True),
    Column("number", "As"),
    Column("prefix", "Prefix", is_dispensable=True),
    Column("price", "Price", is_number=True),
    Column("cost", "Cost", is_number=True),
    Column("margin", "Margin", is_number=True),
)
WHY = ("route", "refused")
"""Kinds of reasons that are about carriers."""


@click.command()
@click.argument("number")
@click.option("--from", "caller", metavar="X", required=True, help="Account or alias that calls.")
@click.option("--at", metavar="TIME", type=Instant(), help="When the rates count.  [default: now]")
@json_option
@click.pass_obj
def route(shell: Shell, number: str, caller: str, at: datetime | None, as_json: bool) -> None:
    """By which carriers a call to NUMBER would go, in order, and why.

    Price, cost and margin are those of one minute. Nothing rings and nothing is locked.
    """
    from switch.explain.explain import Question

    answer = asked(shell, Question(caller=caller, dialled=number, at=at or datetime.now(UTC), source=None))
    reasons = [step["text"] for step in answer["reasons"] if step["kind"] in WHY]
    if as_json:
        shell.json({"routes": answer["routes"], "currency": answer["currency"], "reasons": reasons})
        return
    rows = [_shown(row, answer["currency"] or "") for row in answer["routes"]]
    shell.show(rows, ROUTES, as_json=False, nothing="By no carrier.")
    for reason in reasons:
        shell.out.print(reason, markup=False, soft_wrap=True)


def _shown(row: Mapping[str, Any], currency: str) -> dict[str, Any]:
    def money(name: str) -> str:
        return "" if row[name] is None else amount(Decimal(row[name]), currency)

    return {**row, "price": money("price"), "cost": money("cost"), "margin": money("margin")}
