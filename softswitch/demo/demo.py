# SPDX-License-Identifier: Apache-2.0
"""Bringing the store up to date at a start, and the demo tenant of the first one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.store.preparing import StoreVersionError, alone, is_migrated, migrate, setup
from billing_client.secrets.keyring import KeyFile, KeyRingError
from softswitch.processes.store import StoreError
from softswitch.vouchers import keys_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing.audit_log.actor import Actor
    from billing.demo import DemoSummary
    from softswitch.config import Configuration

__all__ = ["demo_tenant", "prepare_store"]

DEMO_CUSTOMER = "Demo company"


def prepare_store(
    actor: Actor, configuration: Configuration, dsn: str, tell: Callable[[str], None]
) -> DemoSummary | None:
    """Migrates, loads the demo tenant into a store that holds no account yet, and tells about it."""
    keys = KeyFile(keys_file(configuration))
    setup(dsn, keys)
    with alone(waiting=lambda: tell("Waiting for another node that prepares the store ...")):
        return _prepare(actor, configuration, keys, tell)


def _prepare(
    actor: Actor, configuration: Configuration, keys: KeyFile, tell: Callable[[str], None]
) -> DemoSummary | None:
    from billing.passwords.actions import seal

    try:
        if not is_migrated():
            tell("Bringing the store's tables up to date ...")
            migrate()
        seal(actor, keys)
    except (KeyRingError, StoreVersionError) as error:
        raise StoreError(str(error)) from error
    if not configuration.demo.enabled:
        return None
    from billing.customers.queries import accounts

    if not accounts(limit=1):
        tell("Loading the demo tenant ...")
        return _load(actor, configuration, with_vouchers=True)
    return demo_tenant(actor, configuration)


def demo_tenant(actor: Actor, configuration: Configuration, *, with_vouchers: bool = False) -> DemoSummary | None:
    """The demo tenant where the store holds it; its gateways follow the configured ports of the sample carrier."""
    from billing.customers.queries import accounts

    if not accounts(DEMO_CUSTOMER, limit=1):
        return None
    return _load(actor, configuration, with_vouchers=with_vouchers)


def _load(actor: Actor, configuration: Configuration, *, with_vouchers: bool) -> DemoSummary:
    from billing.demo import load_demo

    keys = KeyFile(keys_file(configuration)) if with_vouchers else None
    return load_demo(actor, _carriers(configuration), keys, configuration.vouchers.id_digits, registers=True)


def _carriers(configuration: Configuration) -> list[tuple[str, int]]:
    return [(endpoint.host, endpoint.port) for endpoint in configuration.demo.carriers]
