# SPDX-License-Identifier: Apache-2.0
"""What carriers and unusual phones do, played by SIPp on both sides of the switch.

The caller is an account with its password, the callee a gateway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.script import Script, audio, fax
from tests.e2e.sipp import Sipp
from tests.relays import through_both

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.system import System

pytestmark = [pytest.mark.phones, through_both]
PCMU, PCMA = 0, 8


class Pair:
    """Runs a caller's script against callees' scripts."""

    def __init__(self, system: System, directory: Path) -> None:
        self.system = system
        self._directory = directory

    def play(self, caller: Script, callee: Script, *spares: Script, dials: str = "881000001", gateway: int = 1) -> str:
        """Plays the call to its end; `spares` are the gateways after the first. Returns what the callee was sent."""
        gateways = []
        try:
            for number, script in enumerate((callee, *spares), start=gateway):
                host = f"{self.system.network}.{number}"
                directory = self._directory / f"gateway {number}"
                gateways.append(Sipp(script, directory, host=host, port=self.system.gateway_port))
            account = self.system.subscriber()
            with Sipp(
                caller, self._directory / "caller", proxy=self.system.proxy, subscriber=account, dials=dials
            ) as calling:
                calling.wait()
                for one in gateways:
                    one.wait()
        finally:
            for one in gateways:
                one.__exit__(None, None, None)
        return gateways[-1].messages


@pytest.fixture
def pair(system: System, tmp_path: Path) -> Pair:
    """A caller and a gateway."""
    return Pair(system, tmp_path)


def test_a_reliable_provisional_response_is_acknowledged_end_to_end(pair: Pair) -> None:
    pair.play(
        Script.caller(audio(PCMU), headers=["Supported: 100rel"])
        .receive(183, contains="m=audio", keep={"rseq": "RSeq:"})
        .prack()
        .receive(200)
        .ack()
        .bye(),
        Script.callee(contains="100rel")
        .answer(183, audio(PCMU), headers=["Require: 100rel", "RSeq: 77"])
        .receive("PRACK", contains="RAck: 77 1 INVITE")
        .respond(200)
        .answer(200)
        .receive("ACK")
        .hung_up(),
    )


def test_a_caller_without_100rel_gets_plain_early_media_from_a_reliable_gateway(pair: Pair) -> None:
    pair.play(
        Script.caller(audio(PCMU)).receive(183, contains="m=audio").receive(200, contains="m=audio").ack().bye(),
        Script.callee().answer(183, audio(PCMU)).answer(200, audio(PCMU)).receive("ACK").hung_up(),
    )


def test_a_delayed_offer_is_answered_in_the_ack(pair: Pair) -> None:
    pair.play(
        Script.caller().receive(180).receive(200, contains="m=audio").ack(audio(PCMU)).bye(),
        Script.callee().answer(180).answer(200, audio(PCMU, PCMA)).receive("ACK", contains="m=audio").hung_up(),
    )


def test_update_changes_the_session_in_both_directions(pair: Pair) -> None:
    pair.play(
        Script.caller(audio(PCMU))
        .receive(200)
        .ack()
        .request("UPDATE", audio(PCMA, version=2))
        .receive(200, contains="RTP/AVP 8")
        .receive("UPDATE", contains="RTP/AVP 0")
        .respond(200, audio(PCMU, version=3))
        .bye(),
        Script.callee()
        .answer(200, audio(PCMU), headers=["Allow: INVITE, ACK, BYE, CANCEL, UPDATE, INFO"])
        .receive("ACK")
        .receive("UPDATE", contains="RTP/AVP 8")
        .respond(200, audio(PCMA, version=2))
        .request("UPDATE", audio(PCMU, version=3))
        .receive(200, contains="RTP/AVP 0")
        .hung_up(),
    )


def test_a_re_invite_without_offer_crosses(pair: Pair) -> None:
    pair.play(
        Script.caller(audio(PCMU))
        .receive(200)
        .ack()
        .request("INVITE")
        .receive(100, optional=True)
        .receive(200, contains="m=audio")
        .ack(audio(PCMU, version=2))
        .bye(),
        Script.callee()
        .answer(200, audio(PCMU))
        .receive("ACK")
        .receive("INVITE")
        .respond(200, audio(PCMU, version=2))
        .receive("ACK", contains="m=audio")
        .hung_up(),
    )


def test_a_refused_re_invite_leaves_the_call_as_it_was(pair: Pair) -> None:
    pair.play(
        Script.caller(audio(PCMU))
        .receive(200)
        .ack()
        .request("INVITE", audio(PCMA, version=2))
        .receive(100, optional=True)
        .receive(488)
        .ack_refusal()
        .request("INFO", "hello", kind="text/plain")
        .receive(200)
        .bye(),
        Script.callee()
        .answer(200, audio(PCMU))
        .receive("ACK")
        .receive("INVITE", contains="RTP/AVP 8")
        .respond(488)
        .receive("ACK")
        .receive("INFO")
        .respond(200)
        .hung_up(),
    )


def test_info_carries_its_body_across(pair: Pair) -> None:
    digits = "Signal=5\nDuration=160\n"
    pair.play(
        Script.caller(audio(PCMU))
        .receive(200)
        .ack()
        .request("INFO", digits, kind="application/dtmf-relay")
        .receive(200)
        .bye(),
        Script.callee()
        .answer(200, audio(PCMU))
        .receive("ACK")
        .receive("INFO", contains="application/dtmf-relay")
        .respond(200)
        .hung_up(),
    )


def test_a_fax_is_renegotiated_to_t38_by_the_called_side_and_back_to_audio(pair: Pair) -> None:
    pair.play(
        Script.caller(audio(PCMU))
        .receive(200)
        .ack()
        .receive("INVITE", contains="m=image [0-9]+ udptl t38")
        .respond(200, fax())
        .receive("ACK")
        .receive("INVITE", contains="m=audio")
        .respond(200, audio(PCMU, version=3))
        .receive("ACK")
        .bye(),
        Script.callee()
        .answer(200, audio(PCMU))
        .receive("ACK")
        .request("INVITE", fax())
        .receive(100, optional=True)
        .receive(200, contains="m=image [0-9]+ udptl t38")
        .ack()
        .request("INVITE", audio(PCMU, version=3))
        .receive(100, optional=True)
        .receive(200, contains="m=audio")
        .ack()
        .hung_up(),
    )


def test_a_gateway_that_forks_is_heard_from_both_branches_and_one_wins(pair: Pair) -> None:
    pair.play(
        Script.caller(audio(PCMU))
        .receive(183, contains="m=audio")
        .receive(183, contains="m=audio")
        .receive(200, contains="m=audio")
        .ack()
        .bye(),
        Script.callee()
        .answer(183, audio(PCMU), tag="a")
        .answer(183, audio(PCMU, port=40020), tag="1")
        .answer(200, audio(PCMU, port=40020), tag="1")
        .receive("ACK")
        .hung_up(),
    )


def test_a_gateway_that_redirects_is_passed_over_and_its_contact_is_not_followed(pair: Pair) -> None:
    heard = pair.play(
        Script.caller(audio(PCMU)).receive(200).ack().bye(),
        Script.callee().answer(302, contact="sip:premium@192.0.2.66").receive("ACK"),
        Script.callee().answer(200, audio(PCMU)).receive("ACK").hung_up(),
    )
    assert "premium" not in heard


def test_a_gateway_that_asks_for_a_password_gets_it(pair: Pair) -> None:
    challenge = 'Proxy-Authenticate: Digest realm="carrier", nonce="abc", algorithm=MD5, qop="auth"'
    pair.play(
        Script.caller(audio(PCMU)).receive(200).ack().bye(),
        Script.callee()
        .answer(407, headers=[challenge])
        .receive("ACK")
        .receive_again(contains='username="softswitch".*realm="carrier"')
        .answer(200, audio(PCMU))
        .receive("ACK")
        .hung_up(),
        dials="883000001",
        gateway=3,
    )


def test_a_gateway_that_wants_longer_session_timers_gets_them(pair: Pair) -> None:
    pair.play(
        Script.caller(audio(PCMU)).receive(200).ack().bye(),
        Script.callee()
        .answer(422, headers=["Min-SE: 3600"])
        .receive("ACK")
        .receive_again(contains="Session-Expires: *3600")
        .answer(200, audio(PCMU), headers=["Session-Expires: 3600;refresher=uac", "Require: timer"])
        .receive("ACK")
        .hung_up(),
    )


def test_a_caller_whose_session_timer_is_too_short_is_told_the_least(system: System, tmp_path: Path) -> None:
    short = ["Supported: timer", "Session-Expires: 30", "Min-SE: 30"]
    script = Script.caller(audio(PCMU), headers=short, is_challenged=False).refused(422, contains="Min-SE: *90")
    account = system.subscriber()
    with Sipp(
        script, tmp_path / "caller", proxy=system.proxy, subscriber=account, dials=system.subscriber().number
    ) as calling:
        calling.wait()
