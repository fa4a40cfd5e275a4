# SPDX-License-Identifier: Apache-2.0
"""A changed configuration is read beside the loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from softswitch.config import Configuration, ConfigurationInvalidError, load
from softswitch.config.reading import Reloading, read_beside

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio

MENUS = 5000


def large(tmp_path: Path, *, broken: str = "") -> Path:
    """A configuration that takes more than a second to read."""
    lines = ["domains: [sip.example.com]", "data_dir: ./var", "ivr:", "  menus:"]
    for number in range(MENUS):
        lines += [f"    m{number}:", "      greeting: voicemail-welcome", '      keys: {"1": {dial: "101"}}']
    file = tmp_path / "config.yaml"
    file.write_text("\n".join([*lines, broken]) + "\n", encoding="utf-8")
    return file


async def test_the_loop_turns_while_a_large_configuration_is_read(tmp_path: Path) -> None:
    """Case I3: OPTIONS are answered and sound goes on; what is read is what `load` reads."""
    file = large(tmp_path)
    loop = asyncio.get_running_loop()
    began = loop.time()
    expected = load(file)
    alone_seconds = loop.time() - began
    reading = asyncio.create_task(read_beside(file))
    gaps = []
    while not reading.done():
        before = loop.time()
        await asyncio.sleep(0.01)
        gaps.append(loop.time() - before)
    assert await reading == expected
    assert max(gaps) < alone_seconds / 2, "what is left is what others take of a busy machine"
    assert sorted(gaps)[len(gaps) * 9 // 10] < 0.1


async def test_mistakes_are_told_with_their_lines(tmp_path: Path) -> None:
    """Case I3: as `load` tells them."""
    file = large(tmp_path, broken="sip: {ring_seconds: soon}")
    with pytest.raises(ConfigurationInvalidError) as here:
        load(file)
    with pytest.raises(ConfigurationInvalidError) as beside:
        await read_beside(file)
    assert str(beside.value) == str(here.value)


async def test_asked_while_it_reads_it_reads_once_more_and_not_at_the_same_time(tmp_path: Path) -> None:
    """Case I3, a neighbour: three reloads in a row cost two readings, the last of which has the last text."""
    file = tmp_path / "config.yaml"
    file.write_text("domains: [first.example.com]\ndata_dir: ./var\n", encoding="utf-8")
    read: list[Configuration] = []
    reloading = Reloading(lambda: file, read.append, lambda error: pytest.fail(str(error)))
    reloading.ask()
    await asyncio.sleep(0)
    file.write_text("domains: [second.example.com]\ndata_dir: ./var\n", encoding="utf-8")
    reloading.ask()
    reloading.ask()
    async with asyncio.timeout(60):
        while len(read) < 2:  # noqa: ASYNC110 (two processes' doing)
            await asyncio.sleep(0.01)
    assert read[-1].domains == ("second.example.com",)
    await reloading.close()
    assert len(read) == 2
