# SPDX-License-Identifier: Apache-2.0
"""What a killed switch leaves behind for its next life: the calls that stood, and how to hang them up."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from billing_client.calls import CallFinish, CallStart
from billing_client.rules.books import Rate
from switch.money.journal import Codec
from switch.money.survivors import StandingCalls
from switch.sip.dialog import Dialog
from switch.sip.message.flow import Flow
from switch.sip.session import Ended
from tests.store.calls import CallDesk

if TYPE_CHECKING:
    from pathlib import Path

    from switch.settings import SwitchSettings
    from tests.switch.conftest import World

CODEC = Codec(CallFinish, CallStart, Rate)
NOON = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
REASON = ("Reason", 'Q.850;cause=41;text="Switch was restarted"')


class Leg:
    """All that is written down of a session."""

    def __init__(self, number: int) -> None:
        self.dialog = Dialog(
            call_id=f"dialog{number}",
            local="<sip:102@example.com>;tag=us",
            local_tag="us",
            remote="<sip:101@example.com>;tag=them",
            remote_tag="them",
            local_cseq=number,
            remote_cseq=None,
            remote_target="sip:101@127.0.0.1:5099",
            route_set=["<sip:127.0.0.1:5098;lr>"],
            flow=Flow("udp", ("127.0.0.1", 5060), ("127.0.0.1", 5098)),
            natted=True,
        )


def answered(standing: StandingCalls, call_id: str, legs: int = 2) -> None:
    standing.answered(call_id, [Leg(number) for number in range(legs)], REASON, answered_at=NOON)  # type: ignore[misc]


def test_calls_that_stood_are_found_with_the_bye_of_each_leg(tmp_path: Path) -> None:
    file = tmp_path / "journal" / "calls"
    standing = StandingCalls(file, CODEC)
    for name in ("one", "two", "three"):
        answered(standing, name)
    standing.over("two")
    standing.over("never heard of")
    standing.close()
    found = StandingCalls(file, CODEC).left
    assert list(found) == ["one", "three"]
    request, flow = found["three"].farewells[1]
    assert (request.method, request.uri_text, request.cseq) == ("BYE", "sip:101@127.0.0.1:5099", 10_001)
    assert (request.call_id, request.from_tag, request.to_tag) == ("dialog1", "us", "them")
    assert request.get("Route") == "<sip:127.0.0.1:5098;lr>"
    assert request.get("Reason") == REASON[1]
    assert flow == Flow("udp", ("127.0.0.1", 5060), ("127.0.0.1", 5098))


def test_what_the_store_may_not_know_of_them_is_found_too(tmp_path: Path) -> None:
    """Case H3, a neighbour: when they were answered, and how to record one that began while the store was away."""
    standing = StandingCalls(tmp_path / "calls", CODEC)
    answered(standing, "known")
    start = CallDesk(None).start_of((1, 1), 0, 0, call_id="unknown")  # type: ignore[arg-type]  # no store is asked
    will = CallDesk.finish_of("unknown", 0, start=start)
    standing.answered("unknown", [Leg(1)], REASON, answered_at=NOON, will=will)  # type: ignore[list-item]
    standing.close()
    found = StandingCalls(tmp_path / "calls", CODEC)
    assert found.answers == {"known": NOON, "unknown": NOON}
    assert found.wills == [will]


def test_a_line_that_is_not_understood_stops_no_start(tmp_path: Path) -> None:
    file = tmp_path / "calls"
    file.write_bytes(b'["one",[["sip:101@127.0.0.1",[],"udp",["127.0.0.1",1],["127.0.0.1",2]]]]\n{}\n["two",[1],2,3]\n')
    assert StandingCalls(file, CODEC).left == {}


def test_they_are_found_until_they_are_hung_up_and_not_after_that(tmp_path: Path) -> None:
    standing = StandingCalls(tmp_path / "calls", CODEC)
    answered(standing, "one")
    standing.close()
    second = StandingCalls(tmp_path / "calls", CODEC)
    answered(second, "two")
    second.close()
    third = StandingCalls(tmp_path / "calls", CODEC)
    assert list(third.left) == ["one", "two"]
    answered(third, "three")
    third.forget_left()
    assert not third.left
    third.close()
    assert list(StandingCalls(tmp_path / "calls", CODEC).left) == ["three"]


def test_a_line_that_a_kill_cut_short_hides_no_other(tmp_path: Path) -> None:
    file = tmp_path / "calls"
    standing = StandingCalls(file, CODEC)
    answered(standing, "one")
    answered(standing, "two")
    standing.close()
    file.write_bytes(file.read_bytes()[:-9])
    second = StandingCalls(file, CODEC)
    assert list(second.left) == ["one"]
    answered(second, "three")
    second.close()
    assert list(StandingCalls(file, CODEC).left) == ["one", "three"]


def test_the_file_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("switch.money.survivors._COMPACT_OCTETS", 2000)
    file = tmp_path / "calls"
    standing = StandingCalls(file, CODEC)
    answered(standing, "stays")
    for number in range(100):
        answered(standing, f"call{number}")
        standing.over(f"call{number}")
    assert file.stat().st_size < 5000
    standing.close()
    assert list(StandingCalls(file, CODEC).left) == ["stays"]


def test_without_a_directory_nothing_is_kept() -> None:
    standing = StandingCalls(None, CODEC)
    answered(standing, "one")
    standing.over("one")
    standing.forget_left()
    standing.close()


class TestOnTheWire:
    """A call that stands, hung up as the next life would."""

    @pytest.fixture
    def settings(self, settings: SwitchSettings, tmp_path: Path) -> SwitchSettings:
        return replace(settings, journal_dir=tmp_path)

    @pytest.mark.asyncio
    async def test_both_phones_take_the_bye(self, world: World, tmp_path: Path) -> None:
        async with world.phone("101") as alice, world.phone("102") as bob:
            await bob.register()
            await alice.call("102")
            await bob.answer()
            await alice.connected()
            (call,) = world.switch.control.calls.values()
            shutil.copy(tmp_path / "calls-test", tmp_path / "copy")
            copy = StandingCalls(tmp_path / "copy", CODEC)
            assert list(copy.left) == [call.call_id]
            world.switch.shared.standing = copy
            await world.switch.control.hang_up_left()
            for phone in (alice, bob):
                ended = await phone.expect(Ended)
                assert ended.request is not None
                assert ended.request.get("Reason") == REASON[1]
            assert not copy.left
            copy.close()
            world.switch.shared.standing = world.switch.standing
            call.hang_up("admin", 16, "")
        assert StandingCalls(tmp_path / "calls-test", CODEC).left == {}
