# SPDX-License-Identifier: Apache-2.0
"""The registrar as phones and attackers see it, over a store that can be slow or away."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import pytest

from billing_client.parties import Subscriber
from billing_client.types import StoreUnavailable
from switch.access.doorkeeper import Doorkeeper
from switch.access.guesses import Guesses
from switch.access.subscribers import Subscribers
from switch.registrar.bindings import Location
from switch.registrar.registrar import Registrar
from switch.settings import RegistrationSettings
from switch.sip.digest import DigestServer, answer_challenge, parse_challenge
from switch.sip.message.flow import Flow
from switch.sip.message.message import Request, Response
from switch.sip.message.parsing import parse_message
from switch.sip.transport.flood import FloodGuard
from tests.patience import PATIENCE_SECONDS
from tests.switch.location_doubles import FakeStore, FakeTransport

if TYPE_CHECKING:
    from billing_client.store import Store
    from switch.sip.transport import Transport

pytestmark = pytest.mark.asyncio

FLOW = Flow("udp", ("198.51.100.1", 5060), ("192.0.2.10", 5060))
ALICE = Subscriber("101", 1, "101", "secret", None, ())


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


class Site:
    """A registrar on doubles."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = FakeStore({"101": ALICE, "alias": replace(ALICE, name="alias")})
        self.flood = FloodGuard(requests=100)
        self.guesses = Guesses()
        self.location = Location(cast("Store", self.store), cast("Transport", FakeTransport()), node="sw1")
        self.subscribers = Subscribers(cast("Store", self.store), self.clock, limit=100)
        digest = DigestServer("example.com", b"secret", first_serial=1)
        self.doorkeeper = Doorkeeper(digest, self.flood, self.guesses, monotonic=self.clock)
        self.registrar = Registrar(self.subscribers, self.doorkeeper, self.location, RegistrationSettings())
        self.cseq = 0

    def request(self, user: str = "101", authorization: str | None = None, contact: str = "") -> Request:
        self.cseq += 1
        lines = f"Contact: {contact or '<sip:1@192.0.2.10>'}\r\n"
        lines += f"Authorization: {authorization}\r\n" if authorization else ""
        text = (
            "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
            "User-Agent: a phone that says what it can\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE\r\n"
            f"From: <sip:{user}@example.com>;tag=1\r\nTo: <sip:{user}@example.com>\r\nCall-ID: a\r\n"
            f"CSeq: {self.cseq} REGISTER\r\n{lines}Content-Length: 0\r\n\r\n"
        )
        request = parse_message(text.encode())
        assert isinstance(request, Request)
        return request

    def handle(self, request: Request, flow: Flow = FLOW) -> list[Response]:
        """The answer, at once or later; none if none is given."""
        answers: list[Response] = []

        def refuse(response: Response | None) -> None:
            if response is not None:
                answers.append(response)

        self.registrar.handle(request, flow, answers.append, refuse)
        return answers

    def authorized(self, name: str, password: str, aor: str | None, contact: str) -> Request:
        """A REGISTER that answers a challenge."""
        (challenged,) = self.handle(self.request(name))
        challenge = parse_challenge(challenged.all("WWW-Authenticate")[0])
        authorization = answer_challenge(challenge, "REGISTER", "sip:example.com", name, password, cnonce="x")
        return self.request(name if aor is None else aor, authorization, contact)

    def login(
        self, name: str = "101", password: str = "secret", *, aor: str | None = None, contact: str = ""
    ) -> list[Response]:
        """Log in; the answer comes at once or later."""
        return self.handle(self.authorized(name, password, aor, contact))

    async def register(
        self, name: str = "101", password: str = "secret", *, aor: str | None = None, contact: str = ""
    ) -> Response:
        """Log in and wait for the answer."""
        answers = self.login(name, password, aor=aor, contact=contact)
        await asyncio.wait_for(self.registrar.settle(), PATIENCE_SECONDS)
        return answers[0]


@pytest.fixture
def site() -> Site:
    return Site()


async def test_a_challenge_costs_no_look_up(site: Site) -> None:
    (answer,) = site.handle(site.request("anybody"))
    assert answer.status == 401
    assert answer.to_tag
    assert [parse_challenge(value).algorithm for value in answer.all("WWW-Authenticate")] == ["MD5", "SHA-256"]
    assert site.store.asked == []


async def test_a_known_subscriber_is_answered_at_once(site: Site) -> None:
    assert (await site.register()).status == 200
    (again,) = site.login()
    assert again.status == 200
    assert site.store.asked == ["101"]
    assert site.registrar.accepted == 2
    assert len(site.location.bindings("101")) == 1


async def test_wrong_password_and_unknown_name_get_the_same_answer_after_the_same_work(site: Site) -> None:
    await site.register()
    site.clock.now += 100
    looks = len(site.store.asked)
    answers = [site.login("101", "wrong"), site.login("nobody", "wrong")]
    assert answers == [[], []], "both wait for the store"
    await asyncio.sleep(0.01)
    shapes = [[name for name, _ in response.headers] for (response,) in answers]
    assert [response.status for (response,) in answers] == [401, 401]
    assert shapes[0] == shapes[1]
    assert len(site.store.asked) == looks + 2
    assert len(site.login("101", "wrong")) == len(site.login("nobody", "wrong")) == 1, "both are fresh now"
    assert site.registrar.refused == 4


async def test_a_failed_login_is_logged_without_its_digest(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    await site.register("101", "wrong")
    (record,) = caplog.records
    assert record.__dict__["source"] == "192.0.2.10"
    assert "response" not in record.getMessage()


async def test_guessing_costs_no_trust(site: Site) -> None:
    """Case G3: behind the address are phones with the right password."""
    await site.register()
    for _ in range(200):
        await site.register("101", "wrong")
    assert site.flood.is_trusted("192.0.2.10", 1000)
    assert (await site.register()).status == 200


@pytest.mark.parametrize(("name", "aor"), [("101", "102"), ("101", "alias"), ("alias", "101")])
async def test_one_may_register_only_oneself(site: Site, name: str, aor: str) -> None:
    assert (await site.register(name, aor=aor)).status == 403
    assert not site.location.bindings(aor)


async def test_an_alias_registers_as_itself(site: Site) -> None:
    assert (await site.register("alias")).status == 200
    assert len(site.location.bindings("alias")) == 1
    assert not site.location.bindings("101")


async def test_a_blocked_account_is_refused(site: Site) -> None:
    site.store.subscribers["101"] = replace(ALICE, usable="account blocked")
    assert (await site.register()).status == 403
    assert not site.location.bindings("101")


async def test_a_changed_password_counts_at_once(site: Site) -> None:
    await site.register()
    await site.register("alias")
    site.store.subscribers["101"] = replace(ALICE, password="new")
    site.registrar.account_changed("101")
    assert (await site.register(password="secret")).status == 401
    assert (await site.register(password="new")).status == 200
    assert site.subscribers.kept("alias") is None, "an alias of the same account"


async def test_a_new_password_works_even_when_nobody_told_us(site: Site) -> None:
    await site.register()
    site.clock.now += 100
    site.store.subscribers["101"] = replace(ALICE, password="new")
    assert (await site.register(password="new")).status == 200


async def test_what_was_read_before_a_change_is_not_kept(site: Site) -> None:
    site.store.pause()
    answers = site.login()
    await asyncio.sleep(0)
    site.registrar.account_changed("101")
    site.store.resume()
    await asyncio.sleep(0.01)
    assert answers[0].status == 200
    assert site.subscribers.kept("101") is None


async def test_requests_of_one_name_are_answered_in_their_order(site: Site) -> None:
    site.store.pause()
    answers = [site.login(contact=f"<sip:{n}@192.0.2.10>") for n in range(3)]
    assert answers == [[], [], []]
    site.store.resume()
    await asyncio.sleep(0.01)
    assert [response.status for (response,) in answers] == [200, 200, 200]
    assert [binding.contact for binding in site.location.bindings("101")] == [f"sip:{n}@192.0.2.10" for n in range(3)]
    assert site.store.asked == ["101"]


async def test_a_name_that_floods_a_slow_store_is_put_off(site: Site) -> None:
    site.store.pause()
    for _ in range(32):
        assert site.login() == []
    (answer,) = site.login()
    assert (answer.status, answer.get("Retry-After")) == (503, "10")
    site.store.resume()
    await asyncio.sleep(0.01)


async def test_without_store_known_phones_stay_registered_and_others_come_back_later(site: Site) -> None:
    await site.register()
    site.clock.now += 10_000
    site.store.error = StoreUnavailable("away")
    assert (await site.register()).status == 200
    for name, password in (("101", "wrong"), ("alias", "secret"), ("nobody", "x")):
        answer = await site.register(name, password)
        assert (answer.status, answer.get("Retry-After")) == (503, "10")
    site.store.error = None
    assert (await site.register("alias")).status == 200


async def test_bindings_made_on_other_nodes_count(site: Site) -> None:
    other = site.store.row("101", "sip:1@192.0.2.77", node="sw2")
    site.store.subscribers["101"] = replace(ALICE, bindings=(other,))
    answer = await site.register()
    assert sorted(contact.partition(";")[0] for contact in answer.all("Contact")) == [
        "<sip:1@192.0.2.10>",
        "<sip:1@192.0.2.77>",
    ]


async def test_a_removed_binding_does_not_come_back_from_what_is_kept(site: Site) -> None:
    old = site.store.row("101", "sip:1@192.0.2.77", node="sw1")
    site.store.subscribers["101"] = replace(ALICE, bindings=(old,))
    await site.register()
    await site.register(contact="<sip:1@192.0.2.77>;expires=0")
    answer = await site.register()
    assert [contact.partition(";")[0] for contact in answer.all("Contact")] == ["<sip:1@192.0.2.10>"]


async def test_malformed_credentials_are_a_bad_request(site: Site) -> None:
    (answer,) = site.handle(site.request("101", "Digest username"))
    assert answer.status == 400


@pytest.mark.parametrize("password", ["secret", "wrong"])
@pytest.mark.parametrize("name", ["101", "nobody", "n" * 3000])
async def test_an_expired_nonce_is_stale_whatever_the_password(site: Site, name: str, password: str) -> None:
    """Cases G4 and G5: who has no nonce of ours costs no look-up."""
    old = DigestServer("example.com", b"secret", first_serial=1).challenges("192.0.2.10", 0)[0]
    authorization = answer_challenge(parse_challenge(old), "REGISTER", "sip:example.com", name, password, cnonce="x")
    (answer,) = site.handle(site.request(name, authorization))
    assert answer.status == 401
    assert parse_challenge(answer.get("WWW-Authenticate") or "").stale
    assert site.store.asked == []
    assert not site.guesses._names


async def test_names_that_are_too_long_are_one_name_that_nobody_has(site: Site) -> None:
    """Case G5: with a nonce of his own a stranger can invent names, and they cost neither look-up nor memory."""
    for n in range(50):
        answer = await site.register(f"{n}" + "x" * 3000, "guess")
        assert answer.status == 401
        assert not parse_challenge(answer.get("WWW-Authenticate") or "").stale
    assert site.store.asked == []
    assert not site.subscribers._unknown


async def test_invented_names_are_kept_for_a_moment_and_few_of_them(site: Site) -> None:
    for n in range(300):
        site.clock.now += 1
        await site.register(f"nobody-{n}")
    assert len(site.subscribers._unknown) <= 100
    assert not site.subscribers._kept


async def test_memory_of_names_is_bounded(site: Site) -> None:
    for number in range(150):
        await site.subscribers.find(f"nobody {number}")
    assert site.subscribers.fresh("nobody 0") is None
    assert site.subscribers.fresh("nobody 149") is not None
    site.registrar.account_changed(None)
    assert site.subscribers.fresh("nobody 149") is None
