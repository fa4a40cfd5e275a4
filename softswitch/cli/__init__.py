# SPDX-License-Identifier: Apache-2.0
"""The command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

import click

from softswitch.cli import accounts, batches, export, guessing, money, operate, prompts, remove, run
from softswitch.cli import voicemail as mailboxes
from softswitch.cli import vouchers as paper
from softswitch.cli.context import FAILED, STORE_UNREACHABLE, WRONG, Shell
from softswitch.cli.look import audit_log, carriers, catalogue, explain, look, number, replay, route
from softswitch.config import ConfigurationInvalidError
from softswitch.processes.child import ChildFailedError
from softswitch.processes.runfiles import AlreadyRunningError
from softswitch.processes.store import StoreError
from softswitch.processes.supervise import PortsTakenError

__all__ = ["main", "softswitch"]

SECTIONS: dict[str, list[click.Command]] = {
    "Run": [run.up, run.switch, run.media, run.ivr, run.carrier, run.store, paper.sample_voucher_store],
    "Look": [
        batches.accounts,
        accounts.account,
        look.registrations,
        look.calls,
        look.xdrs,
        look.ledger,
        look.demo,
        carriers.carriers,
    ],
    "What there is": [
        catalogue.customers,
        catalogue.customer,
        catalogue.tariffs,
        catalogue.tariff,
        catalogue.rates,
        catalogue.products,
        catalogue.product,
        catalogue.gateways,
        catalogue.gateway,
        catalogue.routes,
        catalogue.vendors,
        catalogue.vendor,
        catalogue.find,
    ],
    "Explain": [explain.trace, explain.explain, route.route, number.number, replay.replay],
    "Act": [
        money.topup,
        money.withdraw,
        operate.disconnect,
        money.apply,
        export.export,
        remove.remove,
        mailboxes.voicemail,
        paper.vouchers,
        prompts.prompts,
        operate.reload,
    ],
    "Accounts": [
        accounts.activate,
        accounts.block,
        accounts.unblock,
        accounts.forget,
        accounts.suspend,
        accounts.close,
        batches.batches,
        accounts.password,
        accounts.note,
        audit_log.auditlog,
    ],
    "Check": [operate.check, operate.doctor, money.audit, guessing.guessing, operate.migrate],
}
SYSTEM_FILE = Path("/etc/softswitch/config.yaml")


class SectionedGroup(click.Group):
    """A group whose help shows the commands by what they are for."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(command.name or "", command.get_short_help_str(66)) for command in commands])


@click.group(cls=SectionedGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--config",
    "-c",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="SOFTSWITCH_CONFIG",
    help="The configuration file.  [default: ./config.yaml, else /etc/softswitch/config.yaml]",
)
@click.version_option(package_name="softswitch", message="%(prog)s %(version)s")
@click.pass_context
def softswitch(context: click.Context, file: Path | None) -> None:
    """A telephone switch: phones register, calls are connected, and no call outlives its funds.

    Start everything with "softswitch up". Every command says more with --help.
    """
    here = Path("config.yaml")
    found = file or (here if here.exists() or not SYSTEM_FILE.exists() else SYSTEM_FILE)
    context.obj = Shell(found.absolute())


for _commands in SECTIONS.values():
    for _command in _commands:
        softswitch.add_command(_command)


def main() -> NoReturn:
    """Runs a command; what it cannot do is told in a sentence, with an exit status of its own kind."""
    sys.exit(_run())


def _run() -> int:
    shell = Shell(Path())
    try:
        return softswitch(standalone_mode=False) or 0
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.Abort:
        shell.err.print("Stopped.")
        return FAILED
    except click.UsageError as error:
        error.show()
        return WRONG
    except click.ClickException as error:
        shell.failed(error.format_message())
        return FAILED
    except ConfigurationInvalidError as error:
        shell.err.print(str(error), markup=False)
        return WRONG
    except StoreError as error:
        shell.failed(str(error))
        return STORE_UNREACHABLE
    except (AlreadyRunningError, ChildFailedError, PortsTakenError) as error:
        shell.failed(str(error))
        return FAILED
    except PermissionError as error:
        shell.failed(f"{error.filename}: {error.strerror}")
        return FAILED
    except KeyboardInterrupt:
        return FAILED
