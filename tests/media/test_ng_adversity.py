# SPDX-License-Identifier: Apache-2.0
"""Whatever an ng command contains, it gets an answer, and what fails leaves no port and no call behind.

Case G2: `m=audio 40000<TAB>RTP/AVP 0` made the relay throw; nobody answered, and four ports leaked for an hour.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media.relay.bencode import decode, encode
from media.rtp.ports import NoPortsError
from tests.media.phones import Desk, Phone, audio, port_in

if TYPE_CHECKING:
    from media.rtp.ports import PortPair

PLAIN = (
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=rtcp:40001\r\n"
)
BROKEN = [
    PLAIN.replace("40000 RTP", "40000\tRTP"),
    PLAIN.replace("m=audio 40000", "m=audio\t40000"),
    PLAIN.replace("audio 40000", "audio\xa040000"),
    PLAIN.replace("40000 RTP/AVP 0", "40000\x0bRTP/AVP\x0c0"),
    PLAIN.replace("IN IP4 192.0.2.1\r\nt", "IN\tIP4\t192.0.2.1\r\nt"),
    PLAIN.replace("s=-", "s=-\rm=audio 1 RTP/AVP 0"),
    PLAIN.replace("s=-", "s=\0"),
    PLAIN.replace("RTP/AVP 0", "RTP/AVP " + "9" * 4400),
    PLAIN.replace("40000", "4" * 4400),
    PLAIN.replace("40001", "4" * 4400),
    PLAIN.replace("40000", "40000/" + "9" * 4400),
    PLAIN.replace("40000", "-1"),
    PLAIN.replace("40000", "٤٠٠٠٠"),
    PLAIN.replace("m=audio 40000 RTP/AVP 0 101", "m=audio 40000"),
    PLAIN.replace("m=audio 40000 RTP/AVP 0 101", "m="),
    PLAIN.replace("192.0.2.1\r\nt", "192.0.2.1/127\r\nt"),
    PLAIN.replace("192.0.2.1\r\nt", "nowhere.example.com\r\nt"),
    PLAIN + "m=audio 1 RTP/AVP 0\r\n" * 100,
    PLAIN + "a=x\r\n" * 5000,
    PLAIN + "m=audio 40002\tRTP/AVP 0\r\n",
    PLAIN + "m=audio 40002 RTP/AVP 0\r\nc=IN IP6 ::1%eth0\r\n",
    "\r\n",
    PLAIN.encode("utf-16").decode("latin-1"),
]


@pytest.fixture
def counted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> set[PortPair]:
    """The pairs of ports that are taken and not given back."""
    taken: set[PortPair] = set()
    take, release = desk.pool.take, desk.pool.release

    def counting_take(family: int, now: float) -> PortPair:
        pair = take(family, now)
        taken.add(pair)
        return pair

    def counting_release(pair: PortPair, now: float) -> None:
        taken.discard(pair)
        release(pair, now)

    monkeypatch.setattr(desk.pool, "take", counting_take)
    monkeypatch.setattr(desk.pool, "release", counting_release)
    return taken


def held(desk: Desk) -> int:
    """How many pairs of ports the calls of the relay have."""
    return sum(2 for call in desk.relay.calls.values() for _ in call.active_streams)


@pytest.mark.parametrize("sdp", BROKEN)
def test_a_broken_offer_is_refused_and_nothing_is_left(desk: Desk, counted: set[PortPair], sdp: str) -> None:
    """Case G2."""
    reply = desk.ask("offer", call_id="call", from_tag="a", sdp=sdp)
    assert reply["result"] == "error"
    assert desk.relay.calls == {}
    assert not counted


@pytest.mark.parametrize("sdp", BROKEN)
def test_a_broken_description_in_a_call_is_refused_and_the_call_goes_on(
    desk: Desk, caller: Phone, callee: Phone, counted: set[PortPair], sdp: str
) -> None:
    """Cases G2, C2."""
    desk.connect(caller, callee)
    assert desk.ask("offer", call_id="call", from_tag="a", to_tag="z", sdp=sdp)["result"] == "error"
    assert desk.ask("answer", call_id="call", from_tag="a", to_tag="y", sdp=sdp)["result"] == "error"
    assert desk.relay.calls["call"].tags == (["a"], ["b"])
    assert len(counted) == 2
    caller.send(3)
    desk.flow()
    assert len(callee.heard()) == 3


@pytest.mark.parametrize("place", ["sdp.rewrite", "StreamSide.signal", "Call.tell_streams"])
def test_a_fault_of_our_own_is_answered_and_undone(
    desk: Desk, caller: Phone, callee: Phone, counted: set[PortPair], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    desk.connect(caller, callee)

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(f"media.relay.calls.{place}", fail)
        for call_id in ("new", "call"):
            keys: dict[str, Any] = {"call_id": call_id, "from_tag": "a"}
            both = audio(caller) + "m=video 5004 RTP/AVP 34\r\n"
            assert desk.ask("offer", sdp=both, **keys)["error-reason"] == "Internal error"
    assert list(desk.relay.calls) == ["call"]
    assert len(counted) == held(desk) == 2
    assert desk.relay.calls["call"].streams[1:] == []
    callee.relay_port = port_in(desk.signal("offer", audio(caller), to_tag="b"))
    caller.send(3)
    desk.flow()
    assert len(callee.heard()) == 3


def test_no_more_ports_are_taken_than_there_are_sections_where_the_pool_is_empty(
    desk: Desk, counted: set[PortPair], monkeypatch: pytest.MonkeyPatch
) -> None:
    take = desk.pool.take

    def scarce(family: int, now: float) -> PortPair:
        if len(counted) >= 3:
            raise NoPortsError("no ports")
        return take(family, now)

    monkeypatch.setattr(desk.pool, "take", scarce)
    video = "m=video 5004 RTP/AVP 34\r\n"
    assert (
        desk.ask("offer", call_id="call", from_tag="a", sdp=PLAIN + video)["error-reason"]
        == "Ran out of ports: no ports"
    )
    assert desk.relay.calls == {}
    assert not counted
    assert desk.ask("offer", call_id="call", from_tag="a", sdp=PLAIN)["result"] == "ok"


VALUES = st.recursive(
    st.integers(-(2**70), 2**70)
    | st.text(max_size=20)
    | st.sampled_from(["all", "a", "b", "call", "watched", "origin", "IP4", "192.0.2.1", PLAIN, *BROKEN]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc-", max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        "ping",
        "offer",
        "answer",
        "delete",
        "query",
        "list",
        "statistics",
        "play media",
        "stop media",
        "block media",
        "unblock media",
        "block DTMF",
        "unblock DTMF",
        "start recording",
        "nonsense",
        "",
    ]
)
KEYS = st.sampled_from(
    [
        "call-id",
        "from-tag",
        "to-tag",
        "sdp",
        "received-from",
        "flags",
        "replace",
        "ICE",
        "media address",
        "limit",
        "blob",
        "repeat-times",
        "all",
    ]
)
COMMANDS = st.builds(
    lambda name, keys: {"command": name} | keys, NAMES, st.dictionaries(KEYS, VALUES, max_size=8)
) | st.builds(
    lambda name, sdp, tag: {"command": name, "call-id": "call", "from-tag": "a", "to-tag": tag, "sdp": sdp},
    st.sampled_from(["offer", "answer"]),
    st.sampled_from([PLAIN, *BROKEN]),
    st.sampled_from(["", "b", "c"]),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(COMMANDS, max_size=12))
def test_any_commands_are_answered_and_no_port_leaks(
    desk: Desk, counted: set[PortPair], commands: list[Mapping[str, Any]]
) -> None:
    """Case G2, fuzzed: an answer to each, and not one port more than the calls that are left have."""
    for command in commands:
        reply = desk.ask(str(command["command"]), **{key: value for key, value in command.items() if key != "command"})
        assert reply["result"] in ("ok", "pong", "error")
        assert len(counted) == held(desk)
    desk.relay.close()
    assert not counted
    desk.advance(1)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, len(PLAIN) - 1), damage=st.text(max_size=4), removed=st.integers(0, 30))
def test_a_damaged_description_is_answered(desk: Desk, at: int, damage: str, removed: int) -> None:
    sdp = PLAIN[:at] + damage + PLAIN[at + removed :]
    assert desk.ask("offer", call_id="call", from_tag="a", sdp=sdp)["result"] in ("ok", "error")
    desk.relay.close()


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_octets_behind_a_cookie_are_answered(desk: Desk, octets: bytes) -> None:
    desk.now += 100
    answer = desk.server.handle(b"cookie " + octets)
    assert answer is not None
    reply = decode(answer.removeprefix(b"cookie "))
    assert isinstance(reply, Mapping)
    assert reply["result"] in ("ok", "pong", "error")


def test_text_that_is_no_unicode_is_answered(desk: Desk) -> None:
    for key in (b"call-id", b"from-tag", b"sdp", b"command"):
        command = {b"command": b"offer", b"call-id": b"call", b"from-tag": b"a", b"sdp": PLAIN.encode()} | {
            key: b"\xff\xfe"
        }
        body = b"d" + b"".join(b"%d:%s%d:%s" % (len(k), k, len(v), v) for k, v in sorted(command.items())) + b"e"
        answer = desk.server.handle(b"%s " % key + body)
        assert answer is not None
        assert b"6:result" in answer


def test_encoding_stays_what_it_was() -> None:
    assert encode({"result": "ok"}) == b"d6:result2:oke"
