# SPDX-License-Identifier: Apache-2.0
"""Keys that are pressed in a call arrive on the other side.

As telephone events they are tried with our relay only: the timestamps of PJSUA's events run ahead of the clock,
rtpengine 10.5 waits for them, and PJSUA passes over what comes behind later sound (docs/testing.md). `tests/switch`
sends events through both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.conversation import connect
from tests.relays import through_both

if TYPE_CHECKING:
    from tests.e2e.conftest import Phones

pytestmark = pytest.mark.phones


def check_keys_both_ways(phones: Phones, way: str) -> None:
    call, incoming = connect(phones)
    call.send_digits("159#", way=way)
    incoming.wait_digits("159#")
    incoming.send_digits("*0", way=way)
    call.wait_digits("*0")
    assert {found for _, found in call.digits + incoming.digits} == {way}


def test_keys_as_telephone_events_arrive_both_ways(phones: Phones) -> None:
    check_keys_both_ways(phones, "rfc4733")


@through_both
def test_keys_in_info_arrive_both_ways(phones: Phones) -> None:
    check_keys_both_ways(phones, "info")
