# SPDX-License-Identifier: Apache-2.0
"""Two real phones of different make: baresip and pjsua2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.baresip import Baresip
from tests.e2e.system import DOMAIN
from tests.relays import through_both

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from softswitch.phone import Call
    from tests.e2e.conftest import Phones
    from tests.e2e.system import System

pytestmark = [pytest.mark.phones, through_both]
BARESIP_HERTZ, PJSUA_HERTZ = 440, 880


@pytest.fixture(params=["udp", "tcp"])
def baresip(request: pytest.FixtureRequest, system: System, tmp_path: Path) -> Iterator[Baresip]:
    """A registered baresip."""
    directory = tmp_path / "baresip"
    account = system.subscriber()
    with Baresip(account, system.proxy, DOMAIN, directory, transport=request.param) as phone:
        phone.wait_registered()
        yield phone


def assert_both_hear(baresip: Baresip, call: Call) -> None:
    """pjsua hears baresip's tone, and its own through baresip's loudspeaker and microphone."""
    call.play(PJSUA_HERTZ)
    baresip.play(BARESIP_HERTZ)
    assert call.hears(BARESIP_HERTZ)
    assert_echo(baresip, call)


def assert_echo(baresip: Baresip, call: Call) -> None:
    """Both directions at once."""
    baresip.echo()
    assert call.hears(PJSUA_HERTZ)


def test_pjsua_calls_baresip_they_talk_hold_and_change_codec(baresip: Baresip, phones: Phones) -> None:
    alice = phones.registered(codecs=("PCMU", "PCMA", "G722"))
    call = alice.call(baresip.number)
    baresip.answer()
    call.wait_answered()
    assert_both_hear(baresip, call)

    baresip.hold()
    call.wait_media("held there")
    assert call.hears_nothing()
    baresip.resume()
    call.wait_media("active")
    assert_both_hear(baresip, call)

    call.hold()
    call.wait_media("held here")
    assert call.hears_nothing()
    call.resume()
    call.wait_media("active")
    assert_both_hear(baresip, call)

    call.change_codecs(["PCMA"])
    call.wait_media("active", "PCMA")
    assert_both_hear(baresip, call)
    call.change_codecs(["G722"])
    call.wait_media("active", "G722")
    assert_echo(baresip, call)  # its sine is an octave too high after a change to 16 kHz

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
    assert_both_hear(baresip, incoming)
    incoming.hang_up()
    baresip.wait_event("CALL_CLOSED")
