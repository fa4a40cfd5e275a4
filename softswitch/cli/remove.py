# SPDX-License-Identifier: Apache-2.0
"""The command that takes things away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from softswitch.cli.context import Shell

__all__ = ["remove"]


@click.command()
@click.argument("kind", type=click.Choice(["customer", "tariff", "product", "gateway", "route"]))
@click.argument("name")
@click.option("--reason", default="", help="Kept in the log.")
@click.confirmation_option("--yes", prompt="Remove it?")
@click.pass_obj
def remove(shell: Shell, kind: str, name: str, reason: str) -> None:
    """Remove what nothing stands against: "remove product Home".

    A route is GATEWAY/PREFIX. What stands against it is told; accounts are closed, not removed.
    """
    with shell.store() as actor:
        from billing.removing import actions

        actions.remove(actor, kind, name, reason=reason)
    shell.done(f"{kind} {name} is removed")
