# SPDX-License-Identifier: Apache-2.0
"""The transports are tested on both event loops, whose sockets differ."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import uvloop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pytest


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run each test once on asyncio's own loop and once on uvloop."""
    _ = config, item
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
