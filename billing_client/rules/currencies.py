# SPDX-License-Identifier: Apache-2.0
"""How many decimals the amounts of a currency have (ISO 4217), and amounts as people read them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from decimal import Decimal

__all__ = ["amount_text", "decimals"]

_USUAL: Final = 2
_OTHERS: Final = {
    currency: count
    for count, currencies in (
        (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
        (3, "BHD IQD JOD KWD LYD OMR TND"),
        (4, "CLF UYW"),
    )
    for currency in currencies.split()
}


def decimals(currency: str | None) -> int:
    """Decimals of the minor unit; two of a currency that is not known."""
    return _OTHERS.get(currency or "", _USUAL)


def amount_text(amount: Decimal, currency: str | None = None) -> str:
    """With the decimals of the currency at least, and more where they say something: `1.50`, `0.00125`, `500` yen."""
    whole, _, after = f"{amount:f}".partition(".")
    after = after.rstrip("0").ljust(decimals(currency), "0")
    return f"{whole}.{after}" if after else whole
