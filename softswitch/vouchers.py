# SPDX-License-Identifier: Apache-2.0
"""The door to vouchers as config.yaml wants it: key file, limits, and the adapters of stores outside."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, cast

from billing_client.secrets.keyring import KeyFile
from billing_client.types import StoreError
from billing_client.vouchers.http import HttpVoucherStore
from billing_client.vouchers.redeeming import StoreVouchers
from billing_client.vouchers.words import VoucherSettings
from softswitch.adapters import AdapterError, factory

if TYPE_CHECKING:
    from pathlib import Path

    from billing_client.vouchers.words import VoucherStore
    from ivr.settings import IvrSettings
    from softswitch.config.model import Configuration, VoucherStoreSettings

__all__ = [
    "GROUP",
    "AdapterError",
    "http_store",
    "keys_file",
    "open_store_adapter",
    "open_vouchers",
    "reconcile_forever",
    "voucher_settings",
]

GROUP: Final = "softswitch.voucher_stores"
"""Entry points of adapters: callables that take `VoucherStoreSettings` and return a `VoucherStore`."""
RECONCILE_SECONDS: Final = 30.0

log = logging.getLogger(__name__)


def keys_file(configuration: Configuration) -> Path:
    """Where the keys of vouchers' passwords are."""
    return configuration.vouchers.keys_file or configuration.data_dir / "voucher.keys"


def voucher_settings(configuration: Configuration) -> VoucherSettings:
    """What a process is told that redeems vouchers."""
    vouchers = configuration.vouchers
    return VoucherSettings(
        keys_file=keys_file(configuration),
        id_digits=vouchers.id_digits,
        allow_plain=vouchers.allow_plain or not vouchers.encrypt,
        open_stores=lambda: [open_store_adapter(store) for store in vouchers.external],
    )


def open_store_adapter(settings: VoucherStoreSettings) -> VoucherStore:
    """The adapter of a store outside. Raises AdapterError."""
    make = http_store if settings.adapter == "http" else factory(settings.name, settings.adapter, GROUP)
    return cast("VoucherStore", make(settings))


def http_store(settings: VoucherStoreSettings) -> VoucherStore:
    """The generic adapter: JSON over HTTP."""
    if settings.url is None:
        raise AdapterError(f"{settings.name}: it needs a url")
    return HttpVoucherStore(settings.name, settings.url, token=settings.token, timeout_seconds=settings.timeout_seconds)


async def open_vouchers(settings: IvrSettings) -> StoreVouchers:
    """The door for a process; raises StoreUnavailable, AdapterError."""
    vouchers = settings.vouchers
    return await StoreVouchers.connect(
        settings.store_dsn,
        KeyFile(vouchers.keys_file),
        node=settings.node,
        id_digits=vouchers.id_digits,
        allow_plain=vouchers.allow_plain,
        lock_after=settings.logins.lock_after,
        lock_seconds=settings.logins.lock_seconds,
        stores=vouchers.open_stores(),
    )


async def reconcile_forever(vouchers: StoreVouchers, every_seconds: float = RECONCILE_SECONDS) -> None:
    """Finish what was cut short, now and from time to time."""
    while True:
        try:
            if ended := await vouchers.reconcile():
                log.info("redemptions of external vouchers were finished", extra={"count": ended})
        except StoreError as error:
            log.warning("redemptions wait for the store", extra={"reason": str(error)})
        await asyncio.sleep(every_seconds)
