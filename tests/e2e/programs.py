# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests need besides Python: where a program is missing a test is skipped, in CI it fails."""

from __future__ import annotations

import os
import shutil
from typing import Final

import pytest

from softswitch.phone import phone_missing

__all__ = ["in_ci", "need_phone", "need_program"]

PACKAGES: Final = {"sipp": "sip-tester", "baresip": "baresip", "rtpengine": "rtpengine-daemon"}


def in_ci() -> bool:
    """Whether nothing may be skipped."""
    return bool(os.environ.get("SOFTSWITCH_CI")) or os.environ.get("CI", "").lower() in ("1", "true")


def need_program(name: str) -> str:
    """The path of a program; skips the test where it is missing, in CI fails it."""
    found = shutil.which(name)
    if found is None:
        _missing(f"{name} is not installed: apt-get install {PACKAGES[name]}")
    assert found is not None
    return found


def need_phone() -> None:
    """Skips the test where there is no pjsua2, in CI fails it."""
    missing = phone_missing()
    if missing:
        _missing(missing)


def _missing(why: str) -> None:
    if in_ci():
        pytest.fail(f"{why} (nothing may be skipped in CI)")
    pytest.skip(why)
