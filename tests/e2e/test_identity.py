# SPDX-License-Identifier: Apache-2.0
"""Who calls, as SIPp playing a carrier or a telephone system sees it line by line."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import pytest

from softswitch.phone import CallFailedError, Phone, PhoneSettings
from tests.e2e.script import Script, audio
from tests.e2e.sipp import Sipp
from tests.e2e.system import DOMAIN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Phones
    from tests.e2e.system import System

pytestmark = pytest.mark.phones

CARRIER: Final = 31
PBX: Final = 32
OUTSIDE: Final = "88466000001"
TRUNK: Final = "88455501"
RANGE: Final = "884555000100-884555000199"
DDI: Final = "884555000142"
STYLE: Final = {"number_format": "e164", "domain": "gateway", "asserted": "tel", "remote_party": True}


def apply(system: System, **document: Any) -> None:
    file = system.file.with_name("identity.yaml")
    file.write_text(json.dumps(document), encoding="utf-8")
    system.run("apply", str(file), "--yes")


def with_carrier(system: System, **style: Any) -> None:
    """A carrier that the tests play."""
    host = f"{system.network}.{CARRIER}"
    gateway = {"name": "styled", "host": host, "port": system.gateway_port, "routes": ["88466"], "caller_id": style}
    apply(system, gateways=[gateway])


def busy() -> Script:
    """Is called once, and is busy."""
    return Script.callee().answer(486).receive("ACK")


def lines(sipp: Sipp) -> list[str]:
    """What its INVITE says of who calls and who is called."""
    wanted = r"^(?:INVITE|From:|To:|P-Asserted-Identity:|Remote-Party-ID:|Privacy:|Diversion:|History-Info:).*"
    found = re.findall(wanted, sipp.messages.partition("ACK sip:")[0].replace("\r", ""), re.MULTILINE)
    first = found.index(next(line for line in found if line.startswith("INVITE")))
    told: list[str] = []
    for line in found[first:]:
        if line.startswith("INVITE") and told:
            break
        told.append(re.sub(r";tag=.*", "", line))
    return sorted(set(told))


def test_a_carrier_sees_the_public_number_in_the_headers_that_it_wants(
    system: System, phones: Phones, tmp_path: Path
) -> None:
    with_carrier(system, **STYLE)
    account = system.subscriber()
    alice, host = phones.registered(account), f"{system.network}.{CARRIER}"
    name = f"Number {account.number}"
    for dialled, sender, private in (
        (OUTSIDE, f"{name} <sip:+{account.did}@{host}>", "off"),
        (f"*67{OUTSIDE}", "Anonymous <sip:anonymous@anonymous.invalid>", "full"),
    ):
        with Sipp(busy(), tmp_path / private, host=host, port=system.gateway_port) as carrier:
            with pytest.raises(CallFailedError) as failed:
                alice.call(dialled).wait_answered()
            assert failed.value.code == 486
            carrier.wait()
            who = f"{name} " if private == "off" else ""
            told = [
                f"From: {sender}",
                f"INVITE sip:{OUTSIDE}@{host}:{system.gateway_port} SIP/2.0",
                f"P-Asserted-Identity: <tel:+{account.did}>",
                *(["Privacy: id"] if private == "full" else []),
                f"Remote-Party-ID: {who}<sip:+{account.did}@{host}>;party=calling;screen=yes;privacy={private}",
            ]
            assert [line for line in lines(carrier) if not line.startswith("To:")] == told
            assert f"sip:{account.number}@" not in carrier.messages


def test_a_telephone_system_is_called_by_its_numbers_and_shows_them(
    system: System, phones: Phones, tmp_path: Path
) -> None:
    with_carrier(system, **dict.fromkeys(STYLE))
    host, port = f"{system.network}.{PBX}", system.gateway_port
    trunk = {"ranges": [RANGE], "addresses": [f"{host}/32"], "to": [{"host": host, "port": port}],
             "number_format": "last", "digits": 3}  # fmt: skip
    account = {"number": TRUNK, "customer": "End to end", "product": "End-to-end product", "kind": "debit",
               "opening_balance": "10.00", "max_calls_out": 2, "trunk": trunk}  # fmt: skip
    apply(system, accounts=[account])
    ringing = Script.callee().answer(200, audio(0)).receive("ACK").receive("BYE").respond(200)
    with Sipp(ringing, tmp_path / "pbx", host=host, port=port) as pbx:
        call = phones.gateway(1, name="442079460000").call(f"sip:+{DDI}@{system.proxy}")
        call.wait_answered()
        call.hang_up()
        pbx.wait()
        told = lines(pbx)
        assert f"INVITE sip:142@{host}:{port} SIP/2.0" in told
        assert any("<sip:442079460000@" in line for line in told if line.startswith("From:"))
    for shown, seen in (("142", DDI), ("442079460000", "884555000100")):
        directory = tmp_path / shown
        with Sipp(busy(), directory, host=f"{system.network}.{CARRIER}", port=system.gateway_port) as carrier:
            with pytest.raises(CallFailedError) as failed:
                _system(system, phones, tmp_path, shown).call(f"sip:{OUTSIDE}@{system.proxy}").wait_answered()
            assert failed.value.code == 486
            carrier.wait()
            assert [line for line in lines(carrier) if line[:2] in ("Fr", "P-")] == [
                f"From: <sip:{seen}@{DOMAIN}>",
                f"P-Asserted-Identity: <sip:{seen}@{DOMAIN}>",
            ]
    assert {(record["direction"], record["amount"]) for record in system.xdrs(TRUNK, 3)} == {
        ("incoming", "0.00000"), ("outgoing", "0.00000"),
    }  # fmt: skip


def _system(system: System, phones: Phones, tmp_path: Path, shown: str) -> Phone:
    """A telephone system that calls by its address, and shows that."""
    phone = Phone(
        PhoneSettings(number=shown, proxy=system.proxy, host=f"{system.network}.{PBX}"), tmp_path / f"as-{shown}"
    )
    phones.all.append(phone)
    return phone
