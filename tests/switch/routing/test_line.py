# SPDX-License-Identifier: Apache-2.0
"""Our registration at a carrier, by a clock of the test's own: refreshed, lost, taken again, and what it shows."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from billing_client.rules.books import Gateway
from switch.routing.carriers.line import Line

if TYPE_CHECKING:
    from switch.sip.message.message import Request, Response

CONTACT = "<sip:line-7@192.0.2.9>"
CHALLENGE = 'Digest realm="{}", nonce="n1", algorithm=MD5, qop="auth"'


def line(*, addresses: tuple[str, ...] = (), realm: str = "") -> Line:
    """A line that is to be asked for at 0."""
    tokens = itertools.count()
    gateway = Gateway(
        7, "carrier", "sip.test", None, "udp", username="us", password="secret", addresses=addresses,
        registers=True, realm=realm,
    )  # fmt: skip
    return Line(gateway, lambda: f"t{next(tokens)}", 0.0)


def answer(request: Request, status: int, *lines: tuple[str, str]) -> Response:
    """What the carrier says to a REGISTER."""
    request.push("Via", "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx")
    return request.response(status, headers=lines)


def registered(one: Line, now: float = 0.0, expires: str = "600") -> None:
    """It is asked for and granted at that time."""
    request = one.ask(CONTACT, now)
    assert one.answered(answer(request, 200, ("Contact", f"{CONTACT};expires={expires}")), now, local=False) is None


def test_a_line_is_refreshed_before_its_time_is_over_in_the_same_dialog_of_requests() -> None:
    one = line()
    first = one.ask(CONTACT, 0.0)
    one.answered(answer(first, 200, ("Contact", f"{CONTACT};expires=100")), 0.0, local=False)
    assert (one.is_registered(99.9), one.is_registered(100.0), one.due_at) == (True, False, 80.0)
    second = one.ask(CONTACT, 80.0)
    assert second.call_id == first.call_id
    assert second.cseq > first.cseq


def test_what_others_have_registered_there_is_not_our_time() -> None:
    one = line()
    theirs = ("Contact", "<sip:other@192.0.2.8>;expires=30, <sip:line-7@192.0.2.9>;expires=90")
    one.answered(answer(one.ask(CONTACT, 0.0), 200, theirs), 0.0, local=False)
    assert one.due_at == 72.0


def test_a_challenge_is_answered_without_showing_the_password() -> None:
    one = line()
    challenge = ("WWW-Authenticate", CHALLENGE.format("carrier"))
    again = one.answered(answer(one.ask(CONTACT, 0.0), 401, challenge), 0.0, local=False)
    assert again is not None
    assert 'username="us"' in (again.get("Authorization") or "")
    assert b"secret" not in again.to_bytes()


def test_a_challenge_of_another_realm_draws_nothing_out_of_us() -> None:
    one = line(realm="carrier")
    challenge = ("WWW-Authenticate", CHALLENGE.format("bank"))
    assert one.answered(answer(one.ask(CONTACT, 0.0), 401, challenge), 0.0, local=False) is None
    assert not one.is_registered(0.0)
    assert "credentials" in one.why
    assert one.due_at == 30.0


def test_credentials_that_are_refused_are_not_tried_again_and_again() -> None:
    one = line()
    challenge = ("WWW-Authenticate", CHALLENGE.format("carrier"))
    again = one.answered(answer(one.ask(CONTACT, 0.0), 401, challenge), 0.0, local=False)
    assert again is not None
    assert one.answered(answer(again, 401, challenge), 0.0, local=False) is None
    assert one.due_at == 30.0


def test_a_carrier_that_wants_longer_registrations_gets_them_once() -> None:
    one = line()
    one.answered(answer(one.ask(CONTACT, 0.0), 423, ("Min-Expires", "1800")), 0.0, local=False)
    assert one.due_at == 0.0
    again = one.ask(CONTACT, 0.0)
    assert again.get("Expires") == "1800"
    one.answered(answer(again, 423, ("Min-Expires", "1800")), 0.0, local=False)
    assert one.due_at == 30.0


def test_a_silent_address_gives_way_to_the_next_after_five_seconds() -> None:
    one = line(addresses=("192.0.2.1", "192.0.2.2:5080"))
    assert one.place[0] == "192.0.2.1"
    one.ask(CONTACT, 0.0)
    assert one.due_at == 5.0
    assert one.wake(5.0)
    assert one.place == ("192.0.2.2", 5080)
    registered(one, 5.0)
    assert one.is_registered(6.0)
    assert one.place == ("192.0.2.2", 5080), "what answered is asked again"


def test_pauses_double_while_nobody_answers_and_a_registration_counts_until_its_end() -> None:
    one = line()
    registered(one, 0.0, "100")
    pauses, now = [], 80.0
    for _ in range(8):
        one.ask(CONTACT, now)
        now += 5.0
        assert not one.wake(now)
        pauses.append(one.due_at - now)
        now = one.due_at
        assert one.is_registered(99.0)
    assert pauses == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 120.0, 120.0]


@pytest.mark.parametrize(("status", "after", "pause"), [(403, None, 30.0), (404, "90", 90.0), (503, "7", 7.0)])
def test_a_refusal_is_followed_by_a_pause(status: int, after: str | None, pause: float) -> None:
    one = line()
    lines = [] if after is None else [("Retry-After", after)]
    one.answered(answer(one.ask(CONTACT, 0.0), status, *lines), 0.0, local=False)
    assert one.due_at == pause


def test_what_comes_late_says_nothing() -> None:
    one = line()
    first = one.ask(CONTACT, 0.0)
    one.wake(5.0)
    one.answered(answer(first, 200, ("Expires", "600")), 6.0, local=False)
    assert not one.is_registered(6.0)


def test_a_refused_call_has_the_line_looked_at_once_a_minute_at_most() -> None:
    one = line()
    registered(one)
    one.lost(10.0)
    assert one.due_at == 10.0
    registered(one, 10.0)
    one.lost(20.0)
    assert one.due_at > 20.0
