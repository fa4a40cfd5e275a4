# SPDX-License-Identifier: Apache-2.0
"""A relay on a virtual clock and two phones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.media.phones import Desk, Phone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.close()


@pytest.fixture
def new_phone() -> Iterator[Callable[..., Phone]]:
    """Makes phones and closes them at the end; the arguments are those of `Phone`."""
    phones: list[Phone] = []

    def make(host: str = "127.0.0.1", **fields: int) -> Phone:
        phones.append(Phone(host, **fields))
        return phones[-1]

    yield make
    for phone in phones:
        phone.close()


@pytest.fixture
def caller(new_phone: Callable[..., Phone]) -> Phone:
    return new_phone("127.0.0.2")


@pytest.fixture
def callee(new_phone: Callable[..., Phone]) -> Phone:
    return new_phone("127.0.0.3", ssrc=0x5678)
