# SPDX-License-Identifier: Apache-2.0
"""The command that shows how the carriers are, as the running switch has it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from softswitch.cli.context import Column, json_option

if TYPE_CHECKING:
    from softswitch.cli.context import Shell

__all__ = ["carriers"]

LINES = (
    Column("gateway", "Gateway"),
    Column("vendor", "Vendor", is_dispensable=True),
    Column("user", "As"),
    Column("registered", "Registered"),
    Column("seconds", "Seconds", is_number=True),
    Column("at", "At"),
    Column("said", "It says", grows=True),
)
RESTING = (
    Column("gateway", "Gateway"),
    Column("address", "Rests"),
    Column("seconds", "Seconds", is_number=True),
    Column("why", "As", grows=True),
)


@click.command()
@json_option
@click.pass_obj
def carriers(shell: Shell, as_json: bool) -> None:
    """Where we are registered, and which carriers rest.

    As the switch of this machine has it. Seconds: how much longer we are registered, or until it is asked again.
    """
    from softswitch.settings import questions_socket
    from switch.explain.questions import ask_carriers

    found = asyncio.run(ask_carriers(questions_socket(shell.configuration())))
    if found is None:
        raise click.ClickException("no switch runs here that could tell")
    if as_json:
        shell.json(found)
        return
    shell.show(found["lines"], LINES, as_json=False, nothing="No carrier wants us to register.")
    shell.show(found["resting"], RESTING, as_json=False, nothing="No carrier rests.")
