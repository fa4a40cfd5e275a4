# SPDX-License-Identifier: Apache-2.0
"""Adapters of a voucher store and of a gateway of short messages, as somebody else would write them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from softswitch.config.model import SmsSettings, VoucherStoreSettings

__all__ = ["notes", "small"]


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


class Notes:
    """A gateway of short messages that only notes them."""

    def __init__(self, settings: SmsSettings) -> None:
        self.sender = settings.options["sender"]
        self.sent: list[tuple[str, str]] = []

    async def send(self, number: str, text: str, key: str) -> None:
        if key:
            self.sent.append((number, text))

    async def close(self) -> None:
        return None


def notes(settings: SmsSettings) -> Notes:
    """The factory that the configuration names."""
    return Notes(settings)
