# SPDX-License-Identifier: Apache-2.0
"""The command that rates recorded calls by other tariffs."""

from __future__ import annotations

import heapq
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from billing_client.rules.currencies import amount_text as amount
from softswitch.cli.context import Column, json_option
from softswitch.cli.documents import read_yaml, refused
from softswitch.cli.times import Instant

if TYPE_CHECKING:
    from datetime import datetime

    from billing.replay.rerating import Rerated, Total
    from softswitch.cli.context import Shell

__all__ = ["replay"]

CALLS = (
    Column("started_at", "Started"),
    Column("account", "Account"),
    Column("dialled", "To"),
    Column("before_seconds", "Charged", is_number=True),
    Column("before", "Amount", is_number=True),
    Column("after_seconds", "Would be", is_number=True),
    Column("after", "Amount", is_number=True),
    Column("difference", "Difference", is_number=True),
    Column("prefix", "By"),
    Column("refused", "Refused"),
    Column("call_id", "Call", is_dispensable=True),
)
TOTALS = (
    Column("tariff", "Tariff"),
    Column("calls", "Calls", is_number=True),
    Column("changed", "Changed", is_number=True),
    Column("refused", "Refused", is_number=True),
    Column("before", "Charged", is_number=True),
    Column("after", "Would be", is_number=True),
    Column("difference", "Difference", is_number=True),
    Column("currency", ""),
)


@click.command()
@click.option("--since", metavar="TIME", type=Instant(), default="1d", show_default=True, help="1h, 7d, 2026-11-22.")
@click.option("--until", metavar="TIME", type=Instant(), help="Calls that began before then.  [default: now]")
@click.option(
    "--tariffs",
    "file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='Tariffs in the form of "softswitch apply".',
)
@click.option("--most", default=20, show_default=True, type=click.IntRange(0, 1_000_000), help="Calls to show.")
@json_option
@click.pass_obj
def replay(shell: Shell, since: datetime, until: datetime | None, file: Path, most: int, as_json: bool) -> None:
    """Rate recorded calls by other tariffs: what would have changed.

    FILE holds tariffs and, if products are to change their tariff, products. Nothing is written. The calls with the
    largest differences are shown, and the sum of all.
    """
    document = read_yaml(file)
    with shell.store():
        from billing.document.apply import ApplyError
        from billing.replay.replay import Tariffs
        from billing.replay.replay import replay as rate_again
        from billing.replay.rerating import Total

        try:
            tariffs = Tariffs(document, file.parent)
        except ApplyError as error:
            raise refused(file, document, error.problems) from error
        totals: dict[tuple[str, str], Total] = {}
        changed: list[Rerated] = []
        others = 0
        for call in rate_again(tariffs, since, until):
            if call is None:
                others += 1
                continue
            totals.setdefault((call.tariff, call.currency), Total(call.tariff, call.currency)).add(call)
            if call.difference or call.refused:
                changed.append(call)
    if as_json:
        calls, sums = [_plain(call) for call in changed], [_plain(total) for total in totals.values()]
        shell.json({"calls": calls, "totals": sums, "not_concerned": others})
        return
    rows = [_readable(call) for call in heapq.nlargest(most, changed, key=lambda call: abs(call.difference))]
    shell.show(rows, CALLS, as_json=False, nothing="No call would have cost anything else.")
    if len(changed) > len(rows):
        shell.out.print(f"... and {len(changed) - len(rows)} more (all of them: --json)", style="dim")
    shell.out.print()
    sums = [_readable(total) for total in totals.values()]
    shell.show(sums, TOTALS, as_json=False, nothing="These tariffs concern no recorded call.")
    if others:
        shell.out.print(f"{others} calls of other tariffs are not concerned", style="dim")


def _plain(found: Rerated | Total) -> dict[str, Any]:
    return {**asdict(found), "difference": found.difference}


def _readable(found: Rerated | Total) -> dict[str, Any]:
    difference = found.difference
    return {**asdict(found), "difference": ("+" if difference > 0 else "") + amount(difference, found.currency)}
