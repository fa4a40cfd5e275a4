# SPDX-License-Identifier: Apache-2.0
"""Values as people write them: the text of a document, of a cell or of a command line becomes a value or nothing. Pure.

Every reader of amounts and dates asks here, so that none of them takes what another one refuses: NaN, `1_000`, digits
of other scripts, the 31st of February, more digits than a column holds.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

__all__ = ["MONEY_DECIMALS", "amount", "day", "flag", "instant", "whole_number"]

MONEY_DECIMALS: Final = 5
_WHOLE_DIGITS: Final = 15
"""With the decimals what a column of money holds."""
_AMOUNT: Final = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?")
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")
_FLAGS: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]([0-9]{1,2})(:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)(?: ?(Z|[+-][0-9]{2}:?[0-9]{2}))?)?"
)


def amount(written: str) -> Decimal | None:
    """A decimal of at most 15 digits before and 5 after the point, with a sign or without; None: it is none.

    Zeros that say nothing count for nothing: `0005.100000` is 5.1.
    """
    match = _AMOUNT.fullmatch(written.strip())
    if match is None:
        return None
    sign, whole, decimals = match[1], match[2].lstrip("0"), (match[3] or "").rstrip("0")
    if not (match[2] or match[3]) or len(whole) > _WHOLE_DIGITS or len(decimals) > MONEY_DECIMALS:
        return None
    return Decimal(f"{sign}{whole or 0}.{decimals}" if decimals else f"{sign}{whole or 0}")


def whole_number(written: str) -> int | None:
    """A whole number of at most 18 digits; None: it is none."""
    return int(written.strip()) if _WHOLE.fullmatch(written.strip()) else None


def flag(written: str) -> bool | None:
    """True or false, in any case; None: it is neither."""
    return _FLAGS.get(written.lower())


def day(written: str) -> date | None:
    """`2030-01-31`; of an instant its day as written. None: it is neither."""
    if _DAY.fullmatch(written):
        try:
            return date.fromisoformat(written)
        except ValueError:
            return None
    found = _moment(written)
    return None if found is None else found.date()


def instant(written: str) -> datetime | None:
    """A day or an instant (ISO 8601, a space will do for the T); without an offset it is UTC. None: it is neither."""
    found = _moment(written)
    if found is None:
        return None
    try:
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError:  # the first or last day that there is, and an offset
        return None


def _moment(written: str) -> datetime | None:
    match = _INSTANT.fullmatch(written)
    if match is None or match[2] == "24":  # which newer Pythons take for the next day
        return None
    time = f"T{match[2]:0>2}{match[3]}{match[4] or ''}" if match[2] else ""
    try:
        return datetime.fromisoformat(match[1] + time)
    except ValueError:
        return None
