# SPDX-License-Identifier: Apache-2.0
"""trace, explain and replay as an administrator uses them, on the store of a running switch."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from softswitch.explaining.ladder import summary
from switch.sip.session import Acknowledged, Ended
from tests.softswitch.support import softswitch, write_configuration
from tests.softswitch.test_explaining import packets

if TYPE_CHECKING:
    from pathlib import Path

    from tests.switch.conftest import World

pytestmark = pytest.mark.asyncio


@pytest.fixture
def file(world: World, tmp_path: Path) -> Path:
    """A configuration whose store is that of the switch under test."""
    file = write_configuration(tmp_path)
    text = file.read_text(encoding="utf-8")
    file.write_text(f"{text}store: {{dsn: '{world.switch.settings.store_dsn}'}}\n", encoding="utf-8")
    return file


@pytest_asyncio.fixture
async def call(world: World) -> str:
    """The id of a call of 101 to 201 that is over and recorded."""
    async with world.phone("101") as alice, world.phone("201") as paid:
        await paid.register()
        await alice.call("201")
        await paid.answer()
        answered = await alice.connected()
        await paid.expect(Acknowledged)
        alice.perform(answered.session.bye(alice.now()))
        await paid.expect(Ended)
        await asyncio.sleep(0.05)
    (xdr,) = await world.settled()
    await world.switch.recorder.flush()
    return str(xdr["call_id"])


async def run(file: Path, *words: str) -> str:
    """What a command prints; it must succeed."""
    done = await asyncio.to_thread(softswitch, file, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def as_json(file: Path, *words: str) -> Any:
    """What a command prints for a script."""
    return json.loads(await run(file, *words, "--json"))


async def test_a_call_is_told_with_ladder_reasons_and_money(file: Path, call: str) -> None:
    shown = await run(file, "trace", call[:8])
    assert f"Call {call}" in shown
    for part in ("Ladder", "Reasons", "Money", "INVITE + SDP", "200 OK (BYE)", "Call-ID", f"ledger call:{call}: -0.01"):
        assert part in shown
    assert "1 s charged: 0.01 USD" in shown


async def test_a_call_is_found_by_number_account_call_id_and_time(file: Path, call: str) -> None:
    told = await as_json(file, "trace", call)
    call_id = next(key for key in told["keys"] if key not in ("101", "201"))
    for words in (
        ("--number", "201"),
        ("--number", "101", "--number", "201"),
        ("--account", "101"),
        ("--sip-call-id", call_id),
        ("--since", "1h"),
    ):
        assert (await as_json(file, "trace", *words))["call_id"] == call
    for words in (("--number", "202"), ("--account", "201"), ("--since", "2100-01-01")):
        assert await as_json(file, "trace", *words) == []


async def test_json_has_every_reason_and_message(file: Path, call: str) -> None:
    told = await as_json(file, "trace", call)
    assert told["xdr"]["amount"] == "0.01000"
    assert {"caller", "account", "rate", "funds", "answer", "end"} <= {step["kind"] for step in told["reasons"]}
    assert summary(told["messages"][0]["message"].encode()) == "INVITE + SDP"


async def test_exports_for_a_carrier_and_for_a_packet_analyser(file: Path, call: str, tmp_path: Path) -> None:
    await run(file, "trace", call, "--text", str(tmp_path / "ticket.txt"), "--pcap", str(tmp_path / "call.pcap"))
    text = (tmp_path / "ticket.txt").read_text(encoding="utf-8")
    assert "sip:2xx@" in text
    assert "sip:201@" not in text
    assert "USD" not in text
    told = await as_json(file, "trace", call)
    found = packets((tmp_path / "call.pcap").read_bytes())
    assert [payload.decode() for *_, payload in found] == [one["message"] for one in told["messages"]]


async def test_what_is_not_kept_is_told_in_a_sentence(file: Path) -> None:
    refused = await asyncio.to_thread(softswitch, file, "trace", "nothing")
    assert refused.returncode == 1
    assert 'nothing is kept of a call "nothing"' in refused.stderr


async def test_explain_prints_the_tree_of_a_call_that_is_not_made(file: Path) -> None:
    shown = await run(file, "explain", "--from", "101", "--to", "420600000001")
    assert "would ring" in shown
    for part in ("caller is account 101", "sample-carrier", "by prefix 420", "the first slice would lock"):
        assert part in shown
    refused = await as_json(file, "explain", "--from", "101", "--to", "777777")
    assert (refused["would_ring"], refused["refusal"]["status"]) == (False, 404)
    assert refused["reasons"][-1]["kind"] == "refused"


async def test_replay_prints_what_other_tariffs_would_change(file: Path, call: str, tmp_path: Path) -> None:
    tariffs = tmp_path / "dear.yaml"
    document = "tariffs: [{{name: Demo tariff, currency: USD, rates: [{{prefix: '20', price: {0}, {1}}}]}}]\n"
    tariffs.write_text(document.format("0.60", "first_increment: 1"), encoding="utf-8")
    same = await as_json(file, "replay", "--tariffs", str(tariffs))
    assert same["calls"] == []
    assert [Decimal(total["difference"]) for total in same["totals"]] == [0]
    tariffs.write_text(document.format("1.20", "first_increment: 60"), encoding="utf-8")
    dearer = await as_json(file, "replay", "--since", "1h", "--tariffs", str(tariffs))
    (one,) = dearer["calls"]
    assert (one["call_id"], one["before"], one["after"], one["difference"]) == (call, "0.01000", "1.20000", "1.19000")
    shown = await run(file, "replay", "--tariffs", str(tariffs))
    assert "+1.19" in shown
    tariffs.write_text(document.format("1.20", "blocked: true"), encoding="utf-8")
    (refused,) = (await as_json(file, "replay", "--tariffs", str(tariffs)))["calls"]
    assert (refused["refused"], refused["after"]) == ("20 is blocked", "0")
