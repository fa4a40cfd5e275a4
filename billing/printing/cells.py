# SPDX-License-Identifier: Apache-2.0
"""Values in a CSV file that somebody will open in a spreadsheet."""

from __future__ import annotations

from typing import Final

__all__ = ["harmless"]

_BEGIN_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_QUOTE: Final = "'"


def harmless(value: object) -> object:
    """The value; a text that a spreadsheet would take for a formula stands behind an apostrophe (OWASP, CSV injection).

    So does a text that begins with an apostrophe before such a sign, so that what was written can be read back.
    """
    if not isinstance(value, str) or not value.lstrip(f" {_QUOTE}").startswith(_BEGIN_FORMULA):
        return value
    return f"{_QUOTE}{value}"
