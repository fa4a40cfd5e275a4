# SPDX-License-Identifier: Apache-2.0
"""Bringing the store up to date at a start, and the demo tenant of the first one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing import operations
from billing_client.secrets.keyring import KeyFile, KeyRingError
from softswitch.processes.store import StoreError
from softswitch.vouchers import keys_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing.demo import DemoSummary
    from softswitch.config import Configuration

__all__ = ["demo_tenant", "prepare_store"]

DEMO_CUSTOMER = "Demo company"


def prepare_store(configuration: Configuration, dsn: str, tell: Callable[[str], None]) -> DemoSummary | None:
    """Migrates, loads the demo tenant into a store that holds no account yet, and tells about it."""
    keys = KeyFile(keys_file(configuration))
    operations.setup(dsn, keys)
    with operations.alone(waiting=lambda: tell("Waiting for another node that prepares the store ...")):
        return _prepare(configuration, keys, tell)


def _prepare(configuration: Configuration, keys: KeyFile, tell: Callable[[str], None]) -> DemoSummary | None:
    try:
        if not operations.is_migrated():
            tell("Bringing the store's tables up to date ...")
            operations.migrate()
        operations.seal_passwords(keys)
    except (KeyRingError, operations.StoreVersionError) as error:
        raise StoreError(str(error)) from error
    if not configuration.demo.enabled:
        return None
    if not operations.accounts(limit=1):
        tell("Loading the demo tenant ...")
        return _load(configuration, with_vouchers=True)
    return demo_tenant(configuration)


def demo_tenant(configuration: Configuration, *, with_vouchers: bool = False) -> DemoSummary | None:
    """The demo tenant where the store holds it; its gateways follow the configured ports of the sample carrier."""
    if not operations.accounts(DEMO_CUSTOMER, limit=1):
        return None
    return _load(configuration, with_vouchers=with_vouchers)


def _load(configuration: Configuration, *, with_vouchers: bool) -> DemoSummary:
    keys = KeyFile(keys_file(configuration)) if with_vouchers else None
    return operations.load_demo(_carriers(configuration), keys, configuration.vouchers.id_digits)


def _carriers(configuration: Configuration) -> list[tuple[str, int]]:
    return [(endpoint.host, endpoint.port) for endpoint in configuration.demo.carriers]
