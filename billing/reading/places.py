# SPDX-License-Identifier: Apache-2.0
"""Where and in which language people live. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from billing.reading.reader import Reader

__all__ = ["read_language", "read_timezone"]

LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})?")


def read_timezone(fields: Reader) -> str:
    """The field `timezone`, an IANA name; empty: none is chosen."""
    name = fields.text("timezone")
    try:
        if name:
            ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not there; no name of a zone; a directory of zones
        fields.problem("timezone", f"{name!r} is not a time zone such as Europe/Prague")
    return name


def read_language(fields: Reader) -> str:
    """The field `language`; empty: the configured one."""
    language = fields.text("language")
    if language and not LANGUAGE.fullmatch(language):
        fields.problem("language", f"{language!r} is not a language such as en or cs")
    return language
