# SPDX-License-Identifier: Apache-2.0
"""An adapter of a voucher store, as somebody else would write one."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from softswitch.config.model import VoucherStoreSettings

__all__ = ["small"]


class SmallStore:
    """Knows one voucher."""

    def __init__(self, settings: VoucherStoreSettings) -> None:
        self.name = settings.name
        self._code = settings.options["code"]

    async def check(self, code: str) -> Decimal | None:
        return Decimal(5) if code == self._code else None

    async def deplete(self, code: str, key: str) -> bool:
        return code == self._code and bool(key)

    async def close(self) -> None:
        return None


def small(settings: VoucherStoreSettings) -> SmallStore:
    """The factory that the configuration names."""
    return SmallStore(settings)
