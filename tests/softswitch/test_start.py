# SPDX-License-Identifier: Apache-2.0
"""What a command does not need it does not load: commands that ask nothing of Django start without it."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("django", "psycopg", "asyncpg", "uvloop", "switch.app", "switch.calls", "ivr.server", "email.mime")
LOADED = "import sys; import softswitch.cli; print(*(name for name in sys.argv[1:] if name in sys.modules))"


@pytest.mark.parametrize("name", HEAVY)
def test_the_command_line_is_there_before_anything_heavy_is(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", LOADED, name], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
