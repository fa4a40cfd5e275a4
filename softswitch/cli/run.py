# SPDX-License-Identifier: Apache-2.0
"""Commands that run processes."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import click

from billing_client.types import StoreError
from softswitch.processes.child import ChildFailedError
from softswitch.processes.process import Program, Start, notify_systemd, run_program

if TYPE_CHECKING:
    from collections.abc import Callable

    from softswitch.cli.context import Shell

__all__ = ["carrier", "ivr", "media", "store", "switch", "up"]


@click.command()
@click.pass_obj
def up(shell: Shell) -> None:
    """Start everything: store, switch and media.

    The first start makes the store and, with "demo: {enabled: true}", loads a demo tenant. What you need for a first
    call is printed. Ctrl-C or SIGTERM ends everything in order, SIGHUP (softswitch reload) takes a changed
    configuration over.
    """
    from softswitch.cli.welcome import Welcome
    from softswitch.processes import logs
    from softswitch.processes.store import store_dsn
    from softswitch.processes.supervise import Supervisor

    configuration = shell.configuration()
    logs.set_up("up", configuration.log)
    welcome = Welcome(configuration, shell.out)

    def prepare() -> None:
        from softswitch.demo.demo import prepare_store
        from softswitch.processes.actor import process

        welcome.summary = prepare_store(process("softswitch up"), configuration, store_dsn(configuration), welcome.tell)

    asyncio.run(Supervisor(configuration, welcome.tell).run(prepare=prepare, welcome=welcome.show))
    shell.out.print("Ended.", style="dim")


def _program(run: Callable[[Shell, Start], None], name: str, purpose: str) -> click.Command:
    """A command that runs one process, alone under systemd or as a child of `up`."""

    @click.pass_obj
    def command(shell: Shell, parent: int | None, ready_fd: int | None) -> None:
        try:
            run(shell, Start(shell.file, parent, ready_fd))
        except (OSError, StoreError) as error:  # the message says which address or store: a trace would bury it
            raise ChildFailedError(f"{name}: {error}") from error

    parameters: list[click.Parameter] = [
        click.Option(["--parent"], type=int, hidden=True),
        click.Option(["--ready-fd"], type=int, hidden=True),
    ]
    return click.Command(name, callback=command, params=parameters, help=purpose)


def _run_switch(_shell: Shell, start: Start) -> None:
    from softswitch.settings import switch_settings
    from switch import app

    async def run(settings: Any, ready: Callable[[], None], stop: asyncio.Event, reloads: asyncio.Queue[Any]) -> None:
        await app.run(settings, ready=ready, stop=stop, reloads=reloads)

    run_program(Program("switch", switch_settings, run), start)


def _run_media(_shell: Shell, start: Start) -> None:
    from media import app
    from softswitch.settings import media_settings

    async def run(settings: Any, ready: Callable[[], None], stop: asyncio.Event, reloads: asyncio.Queue[Any]) -> None:
        await app.run(settings, ready=ready, stop=stop, reloads=reloads)

    run_program(Program("media", media_settings, run), start)


def _run_ivr(_shell: Shell, start: Start) -> None:
    from ivr import app
    from softswitch.applications import compose
    from softswitch.settings import ivr_settings

    async def run(settings: Any, ready: Callable[[], None], stop: asyncio.Event, reloads: asyncio.Queue[Any]) -> None:
        await app.run(settings, compose, ready=ready, stop=stop, reloads=reloads)

    run_program(Program("ivr", ivr_settings, run), start)


def _run_carrier(_shell: Shell, start: Start) -> None:
    from softswitch import carrier as app
    from softswitch.settings import carrier_settings

    async def run(settings: Any, ready: Callable[[], None], stop: asyncio.Event, _reloads: asyncio.Queue[Any]) -> None:
        await app.run(settings, ready=ready, stop=stop)

    run_program(Program("carrier", carrier_settings, run), start)


switch = _program(_run_switch, "switch", "Run the switch alone: SIP, registrar, calls, credit control.")
media = _program(_run_media, "media", "Run the media process alone: the RTP relay.")
ivr = _program(_run_ivr, "ivr", "Run the media server alone: voicemail, menus and all that callers talk to.")
carrier = _program(_run_carrier, "carrier", "Run the sample carrier alone; the number dialled tells it what to do.")


@click.command()
@click.pass_obj
def store(shell: Shell) -> None:
    """Run the embedded PostgreSQL alone, until Ctrl-C or SIGTERM.

    "softswitch up" does this by itself; this is for running each process under systemd.
    """
    import signal

    from softswitch.processes.store import EmbeddedStore

    configuration = shell.configuration()
    if configuration.store.dsn:
        raise click.UsageError("store.dsn names a server of its own: there is no embedded store to run")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    embedded = EmbeddedStore(configuration.data_dir)
    with embedded.running():
        shell.done(f"the store runs: {embedded.dsn}")
        notify_systemd()
        ended.wait()
