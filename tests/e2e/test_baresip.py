# SPDX-License-Identifier: Apache-2.0
"""Two real phones of different make: baresip and pjsua2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.baresip import Baresip
from tests.e2e.system import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from softswitch.phone import Call
    from tests.e2e.conftest import Phones
    from tests.e2e.system import System

pytestmark = pytest.mark.phones
BARESIP_HERTZ, PJSUA_HERTZ = 440, 880


@pytest.fixture(params=["udp", "tcp"])
def baresip(request: pytest.FixtureRequest, system: System, tmp_path: Path) -> Iterator[Baresip]:
    """A registered baresip."""
    directory = tmp_path / "baresip"
    account = system.subscriber()
    with Baresip(account, system.proxy, DOMAIN, directory, hertz=BARESIP_HERTZ, transport=request.param) as phone:
        phone.wait_registered()
        yield phone


def assert_tones_arrive(baresip: Baresip, call: Call) -> None:
    """Each hears the other."""
    call.play(PJSUA_HERTZ)
    assert call.hears(BARESIP_HERTZ)
    assert baresip.hears(PJSUA_HERTZ)


def test_pjsua_calls_baresip_they_talk_hold_and_change_codec(baresip: Baresip, phones: Phones) -> None:
    alice = phones.registered(codecs=("PCMU", "PCMA", "G722"))
    call = alice.call(baresip.number)
    baresip.answer()
    call.wait_answered()
    assert_tones_arrive(baresip, call)

    baresip.hold()
    call.wait_media("held there")
    assert call.hears_nothing()
    baresip.resume()
    call.wait_media("active")
    assert_tones_arrive(baresip, call)

    call.hold()
    call.wait_media("held here")
    assert call.hears_nothing()
    call.resume()
    call.wait_media("active")
    assert_tones_arrive(baresip, call)

    for codec in ("PCMA", "G722"):
        call.change_codecs([codec])
        call.wait_media("active", codec)
        assert baresip.codecs[-1] == codec
        assert_tones_arrive(baresip, call)

    baresip.hang_up()
    assert call.wait_ended() == 200


def test_baresip_calls_pjsua_and_pjsua_hangs_up(baresip: Baresip, phones: Phones) -> None:
    bob = phones.registered()
    baresip.dial(bob.settings.number, DOMAIN)
    incoming = bob.incoming()
    assert incoming.caller_number == baresip.number
    incoming.answer()
    baresip.wait_answered()
    incoming.wait_answered()
    assert_tones_arrive(baresip, incoming)
    incoming.hang_up()
    baresip.wait_event("CALL_CLOSED")
