# SPDX-License-Identifier: Apache-2.0
"""Challenges of carriers and what we answer: RFC 3261 section 22, RFC 7616, RFC 8760. Case J4 and its neighbours."""

from __future__ import annotations

import hashlib
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from switch.sip.digest import parse_credentials
from switch.sip.login import MOST_ROUNDS, Login
from tests.sip.agents import ANSWER, OFFER, Solo
from tests.sip.harness import make_request, received_request, received_response

if TYPE_CHECKING:
    from switch.sip.message.message import HeaderLines, Request, Response

PROXY = "Proxy-Authenticate"
CONTACT = ("Contact", "<sip:bob@192.0.2.2>")


def login() -> Login:
    tokens = count(1)
    return Login("us", "secret", lambda: f"c{next(tokens)}")


def challenged(request: Request, *lines: tuple[str, str], status: int = 407) -> Response:
    sent = request.copy()
    if sent.get("Via") is None:
        sent.push("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-x")
    return received_response(sent, status, headers=list(lines))


def ask(nonce: str, *, realm: str = "carrier", more: str = ', qop="auth"', stale: str = "") -> str:
    return f'Digest realm="{realm}", nonce="{nonce}"{more}' + (f", stale={stale}" if stale else "")


def carrying(lines: HeaderLines | None) -> Request:
    assert lines is not None
    return make_request(headers=lines)


def test_a_stale_nonce_is_answered_once_more_with_the_new_one() -> None:
    """Case J4."""
    ours = login()
    first = make_request()
    again = carrying(ours.answers(first, challenged(first, (PROXY, ask("one"))), 0))
    lines = ours.answers(again, challenged(again, (PROXY, ask("two", stale="TRUE"))), 1)
    assert lines is not None
    ((name, line),) = lines
    assert name == "Proxy-Authorization"
    assert (parse_credentials(line).nonce, parse_credentials(line).nc) == ("two", 1)


@pytest.mark.parametrize(("nonce", "stale"), [("two", ""), ("two", "false"), ("one", "true"), ("one", "")], ids=str)
def test_what_was_refused_is_not_tried_again(nonce: str, stale: str) -> None:
    ours = login()
    first = make_request()
    again = carrying(ours.answers(first, challenged(first, (PROXY, ask("one"))), 0))
    assert ours.answers(again, challenged(again, (PROXY, ask(nonce, stale=stale))), 1) is None


def test_a_peer_whose_nonces_are_always_stale_is_left_after_a_few_rounds() -> None:
    ours, request = login(), make_request()
    for rounds in range(MOST_ROUNDS):
        request = carrying(ours.answers(request, challenged(request, (PROXY, ask(f"n{rounds}", stale="true"))), rounds))
    last = challenged(request, (PROXY, ask("last", stale="true")))
    assert ours.answers(request, last, MOST_ROUNDS) is None


def test_the_server_behind_the_proxy_challenges_too_and_both_are_answered() -> None:
    ours, first = login(), make_request()
    again = carrying(ours.answers(first, challenged(first, (PROXY, ask("p", realm="proxy"))), 0))
    lines = ours.answers(again, challenged(again, ("WWW-Authenticate", ask("s", realm="server")), status=401), 1)
    assert lines is not None
    found = {name: parse_credentials(line) for name, line in lines}
    assert found["Authorization"].realm == "server"
    # the proxy sees its nonce a second time, and would take the count of the first for a replay
    assert (found["Proxy-Authorization"].realm, found["Proxy-Authorization"].nc) == ("proxy", 2)


def test_a_new_realm_is_a_new_question_and_the_old_answer_stays() -> None:
    ours, first = login(), make_request()
    again = carrying(ours.answers(first, challenged(first, (PROXY, ask("a", realm="one"))), 0))
    lines = ours.answers(again, challenged(again, (PROXY, ask("b", realm="two"))), 1)
    assert lines is not None
    assert [parse_credentials(line).realm for _, line in lines] == ["one", "two"]


def test_several_challenges_at_once_are_all_answered() -> None:
    """A forking proxy gathers them (RFC 3261 section 22.3)."""
    ours, request = login(), make_request()
    response = challenged(
        request,
        ("WWW-Authenticate", ask("s", realm="server")),
        (PROXY, ask("p", realm="proxy")),
        (PROXY, "Bearer realm=elsewhere"),
        status=401,
    )
    lines = ours.answers(request, response, 0)
    assert lines is not None
    assert [name for name, _ in lines] == ["Authorization", "Proxy-Authorization"]


def test_of_one_realm_the_first_algorithm_that_we_know_is_taken() -> None:
    ours, request = login(), make_request()
    lines = ours.answers(
        request,
        challenged(
            request,
            (PROXY, ask("n", more=', algorithm=SHA3-512, qop="auth"')),
            (PROXY, ask("n", more=', algorithm=SHA-512-256, qop="auth-int,auth", opaque="o p"')),
            (PROXY, ask("n", more=', algorithm=MD5, qop="auth"')),
        ),
        0,
    )
    assert lines is not None
    ((_, line),) = lines
    assert parse_credentials(line).algorithm == "SHA-512-256"
    assert 'opaque="o p"' in line


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("more", "digest", "session", "qop"),
    [
        ("", md5, False, False),
        (", algorithm=MD5", md5, False, False),
        (', algorithm=MD5-sess, qop="auth"', md5, True, True),
        (", algorithm=SHA-256, qop=auth", sha256, False, True),
        (', algorithm=SHA-256-sess, qop="auth,auth-int"', sha256, True, True),
    ],
)
def test_each_algorithm_by_hand(more: str, digest: Any, session: bool, qop: bool) -> None:
    ours, request = login(), make_request()
    lines = ours.answers(request, challenged(request, (PROXY, ask("n", more=more))), 0)
    assert lines is not None
    ((_, line),) = lines
    ha1 = digest("us:carrier:secret")
    if session:
        ha1 = digest(f"{ha1}:n:c1")
    ha2 = digest(f"INVITE:{request.uri_text}")
    expected = digest(f"{ha1}:n:00000001:c1:auth:{ha2}") if qop else digest(f"{ha1}:n:{ha2}")
    assert parse_credentials(line).response == expected


@pytest.mark.parametrize(
    "line", ['Basic realm="carrier"', 'Digest realm="carrier"', ask("n", more=', qop="auth-int"'), "Digest", ""]
)
def test_what_nobody_can_answer_is_not_answered(line: str) -> None:
    ours, request = login(), make_request()
    assert ours.answers(request, challenged(request, (PROXY, line)), 0) is None


def test_a_nonce_that_serves_again_counts_on() -> None:
    ours, invite = login(), make_request()
    ours.answers(invite, challenged(invite, (PROXY, ask("n"))), 0)
    bye = make_request("BYE")
    lines = ours.answers(bye, challenged(bye, (PROXY, ask("n"))), 0)
    assert lines is not None
    assert parse_credentials(lines[0][1]).nc == 2


def test_the_password_is_not_in_its_text() -> None:
    assert "secret" not in repr(login())


# in dialogs -------------------------------------------------------------------------------------------------------
def answered() -> tuple[Solo, Any]:
    """A call to a carrier that has been taken; it challenges what comes now."""
    alice = Solo()
    call = alice.calls()
    call.login = login()
    invite = alice.sends("INVITE")
    alice.arrives(received_response(invite, 200, headers=[CONTACT], body=ANSWER))
    session = alice.hears("Answered").session
    session.login = call.login
    alice.does(session.ack(call.request, alice.now))
    alice.sends("ACK")
    return alice, session


@pytest.mark.parametrize(("method", "body"), [("INVITE", OFFER), ("UPDATE", OFFER), ("INFO", b""), ("PRACK", b"")])
def test_a_request_within_the_dialog_is_sent_again_with_credentials(method: str, body: bytes) -> None:
    alice, session = answered()
    alice.does(session.send(method, alice.now, body=body, relates_to="it"))
    sent = alice.sends(method)
    alice.arrives(challenged(sent, (PROXY, ask("one"))))
    if method == "INVITE":
        alice.sends("ACK")
    again = alice.sends(method)
    assert (again.cseq, again.body) == (sent.cseq + 1, sent.body)
    assert parse_credentials(again.get("Proxy-Authorization") or "").nonce == "one"
    alice.arrives(challenged(again, (PROXY, ask("two", stale="true"))))
    if method == "INVITE":
        alice.sends("ACK")
    last = alice.sends(method)
    assert parse_credentials(last.get("Proxy-Authorization") or "").nonce == "two"
    alice.arrives(received_response(last, 200, headers=[CONTACT], body=ANSWER if body else b""))
    assert alice.hears(f"Replied {method} 200").relates_to == "it"


def test_a_bye_is_sent_again_although_the_call_is_over() -> None:
    alice, session = answered()
    alice.does(session.bye(alice.now))
    bye = alice.sends("BYE")
    alice.arrives(challenged(bye, ("WWW-Authenticate", ask("one")), status=401))
    again = alice.sends("BYE")
    assert again.cseq == bye.cseq + 1
    assert again.get("Authorization") is not None
    alice.arrives(challenged(again, ("WWW-Authenticate", ask("one")), status=401))
    alice.hears("Replied BYE 401")
    assert alice.is_quiet()


def test_without_credentials_the_challenge_is_told() -> None:
    alice, session = answered()
    session.login = None
    alice.does(session.send("UPDATE", alice.now, body=OFFER))
    alice.arrives(challenged(alice.sends("UPDATE"), (PROXY, ask("one"))))
    alice.hears("Replied UPDATE 407")


def test_a_carrier_that_called_us_may_challenge_our_bye() -> None:
    bob = Solo()
    bob.arrives(received_request("INVITE", body=OFFER, headers=[("Content-Type", "application/sdp")]))
    invite = bob.hears("Invited").invite
    invite.login = login()
    bob.does(invite.accept(bob.now, body=ANSWER))
    bob.sends("200")
    session = invite.session()
    bob.arrives(received_request("ACK", to_tag=session.dialog.local_tag, via="SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK-k"))
    bob.hears("Acknowledged")
    bob.does(session.bye(bob.now))
    bye = bob.sends("BYE")
    bob.arrives(challenged(bye, (PROXY, ask("one"))))
    assert bob.sends("BYE").get("Proxy-Authorization") is not None


def test_the_ack_of_a_2xx_carries_the_credentials_of_its_invite_and_that_of_the_407_none() -> None:
    alice = Solo()
    call = alice.calls()
    call.login = login()
    invite = alice.sends("INVITE")
    response = challenged(invite, (PROXY, ask("one")))
    alice.arrives(response)
    ack = alice.sends("ACK")
    assert (ack.cseq, ack.to_tag, ack.get("Proxy-Authorization")) == (1, response.to_tag, None)
    failed = alice.hears("Failed 407")
    lines = call.login.answers(call.request, failed.response, call.rounds)
    assert lines is not None
    alice.does(call.resend(lines, alice.now))
    again = alice.sends("INVITE")
    assert (again.cseq, again.to_tag, call.rounds) == (2, None, 1)
    alice.arrives(received_response(again, 200, headers=[CONTACT], body=ANSWER))
    alice.does(alice.hears("Answered").session.ack(call.request, alice.now))
    assert alice.sends("ACK").get("Proxy-Authorization") == again.get("Proxy-Authorization")
