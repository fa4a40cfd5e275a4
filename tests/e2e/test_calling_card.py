# SPDX-License-Identifier: Apache-2.0
"""Calling cards and call-back, typed on real phones: callers come through a gateway, hear what the media server says in
their language, and pay for each leg to the last decimal."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pytest

from prompts import FOLDER
from softswitch.phone import Phone, PhoneSettings
from switch.money.warning import WARNING_HERTZ
from tests.e2e.conversation import assert_both_hear
from tests.e2e.hearing import Ears
from tests.e2e.tenant import CARDS_GATEWAY, CUSTOMER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from softswitch.phone import Call
    from tests.e2e.conftest import Phones
    from tests.e2e.system import System

pytestmark = pytest.mark.phones

CARD: Final = "18005550100"
CALLBACK: Final = "18005550101"
ONE_STAGE: Final = "18005550102"
PER_SECOND: Final = Decimal("0.01")
"""What the paid subscribers of the tests cost."""
EN, CS = Ears(FOLDER / "en"), Ears(FOLDER / "cs")


@dataclass(frozen=True, slots=True)
class Card:
    """An account that is called from anywhere by its PIN."""

    system: System
    number: str
    pin: str

    @property
    def balance(self) -> Decimal:
        return self.system.balance(self.number)

    def legs(self, count: int, *, free: int = 0) -> list[dict[str, Any]]:
        """Its calls, oldest first, once there are so many, besides `free` ones to access numbers, and none runs."""
        return [leg for leg in self.system.xdrs(self.number, count + free) if leg["direction"] != "incoming"]


@pytest.fixture
def new_card(system: System) -> Callable[..., Card]:
    """Makes cards; each takes the number of a subscriber that nobody has."""

    def make(funds: str = "5.00", **more: Any) -> Card:
        number = f"07{time.monotonic_ns() % 10**10:010d}"
        pin = number[:1:-1]
        account = {
            "number": number,
            "customer": CUSTOMER,
            "product": "End-to-end product",
            "kind": "debit",
            "opening_balance": funds,
            "ani": "enough",
            "aliases": [f"{pin}@pin", *more.pop("aliases", [])],
            **more,
        }
        file = system.file.with_name(f"card-{number}.yaml")
        document = {"accounts": [account]}
        file.write_text(json.dumps(document), encoding="utf-8")
        system.run("apply", str(file), "--yes")
        return Card(system, number, pin)

    return make


def outside(system: System, phones: Phones, number: str) -> Phone:
    """A phone whose calls come to us through the gateway."""
    settings = PhoneSettings(number=number, proxy=system.proxy, host=f"{system.network}.{CARDS_GATEWAY}")
    phone = Phone(settings, system.file.parent / f"phone-{number}-{time.monotonic_ns()}")
    phones.all.append(phone)
    return phone


def dial(system: System, phone: Phone, number: str) -> Call:
    call = phone.call(f"sip:{number}@{system.proxy}")
    call.wait_answered()
    return call


def test_a_czech_caller_uses_a_card_twice_and_is_known_the_next_time(
    system: System, phones: Phones, new_card: Callable[..., Card]
) -> None:
    ani = "88499100001"
    card, friend = new_card(), phones.registered(system.subscriber(paid=True))
    caller, far = outside(system, phones, ani), phones.gateway(CARDS_GATEWAY, name=ani)
    call = dial(system, caller, CARD)
    at = EN.hears(call, "card-welcome")
    at = EN.hears(call, "for-this-language", after=at)
    call.send_digits("2")
    at = CS.hears(call, "card-enter-pin", after=at)
    call.send_digits(f"{card.pin}#")
    at = CS.hears(call, "balance-is", after=at)
    at = CS.hears(call, "number-5", after=at)
    at = CS.hears(call, "card-to-register-phone", after=at)
    call.send_digits("1")
    at = CS.hears(call, "card-phone-registered", after=at)
    at = CS.hears(call, "card-phone-code", after=at)
    call.send_digits("#")
    at = CS.hears(call, "card-enter-destination", after=at)
    call.send_digits(f"{friend.settings.number}#")  # cuts the question short
    at = CS.hears(call, "card-you-have", after=at)
    incoming = friend.incoming()
    assert incoming.caller_number == ani
    incoming.answer()
    incoming.wait_answered()
    assert_both_hear(call, incoming)
    call.send_digits("**")
    incoming.wait_ended()
    CS.hears(call, "card-another-call", after=at)
    call.send_digits(f"1{friend.settings.number}##")  # ahead; the second # ends what is told of the time
    again = friend.incoming()
    again.answer()
    again.wait_answered()
    time.sleep(1)
    again.hang_up()
    again.wait_ended()
    call.hang_up()
    rung = far.incoming()  # the number was claimed; who answers is asked for the code
    rung.answer()
    rung.wait_answered()
    CS.hears(rung, "card-confirm-phone")
    rung.hang_up()
    legs = card.legs(3)
    assert [leg["dialled"] for leg in legs] == [*[friend.settings.number] * 2, ani]
    assert all(Decimal(leg["amount"]) == PER_SECOND * int(leg["billed_seconds"]) > 0 for leg in legs[:2])
    assert card.balance == 5 - sum(Decimal(leg["amount"]) for leg in legs)
    assert card.pin not in system.log
    claimed = dial(system, caller, CARD)
    EN.hears(claimed, "for-this-language")
    claimed.send_digits("2")
    CS.hears(claimed, "card-enter-destination")  # no PIN, and no word of the balance
    claimed.hang_up()


def test_three_wrong_pins_end_the_call_in_either_language(system: System, phones: Phones) -> None:
    english, czech = (dial(system, outside(system, phones, f"4207771000{n}"), n) for n in (CARD, ONE_STAGE))
    EN.hears(english, "for-this-language")
    english.send_digits("1")
    heard = []
    for call, ears, pin in ((english, EN, "0001#"), (czech, CS, "0002#")):
        heard.append((call, ears, ears.hears(call, "card-enter-pin")))
        call.send_digits(pin * 3)  # typed ahead: the answers come later and later
    for call, ears, at in heard:
        at = ears.hears(call, "card-wrong-login", after=at)
        ears.hears(call, "too-many-attempts", after=at)
        call.wait_ended()


def test_a_card_that_runs_out_ends_its_call_to_the_second_and_is_recharged_in_the_same_session(
    system: System, phones: Phones, new_card: Callable[..., Card], tmp_path: Path
) -> None:
    card, friend = new_card("0.12", aliases=["420777100003@pstn"]), phones.registered(system.subscriber(paid=True))
    system.run("vouchers", "generate", "--customer", CUSTOMER, "--batch", card.number, "--count", "1", "--amount", "2")
    system.run("vouchers", "export", card.number, str(tmp_path / "codes.csv"))
    code = (tmp_path / "codes.csv").read_text(encoding="utf-8").splitlines()[1].split(",")[1]
    # Through the number of the one-stage cards: the destination follows it at once, and rings without a question.
    call, incoming = straight_to(friend, system, phones, "420777100003")
    began = time.monotonic()
    assert call.hears(WARNING_HERTZ), "no tone warns of the end"
    incoming.wait_ended()
    assert 11 < time.monotonic() - began < 14
    at = CS.hears(call, "card-no-funds")
    at = CS.hears(call, "card-to-recharge", after=at)
    call.send_digits("1")
    at = CS.hears(call, "recharge-enter-code", after=at)
    call.send_digits(f"{code}#")
    at = CS.hears(call, "recharge-done", after=at)
    call.send_digits(f"1{friend.settings.number}##")  # ahead of the menu; the second # ends what is told of the time
    again = friend.incoming()
    again.answer()
    again.wait_answered()
    time.sleep(1)
    call.hang_up()
    again.wait_ended()
    first, second = card.legs(2, free=1)
    assert (first["billed_seconds"], Decimal(first["amount"])) == (12, Decimal("0.12"))
    assert Decimal(second["amount"]) == PER_SECOND * int(second["billed_seconds"]) > 0
    assert card.balance == 2 - Decimal(second["amount"])


def straight_to(friend: Phone, system: System, phones: Phones, ani: str) -> tuple[Call, Call]:
    """A call through the number of the one-stage cards; a key skips all that is told, and the friend answers."""
    call = dial(system, outside(system, phones, ani), ONE_STAGE + friend.settings.number)
    call.send_digits("#")
    incoming = friend.incoming()
    incoming.answer()
    incoming.wait_answered()
    return call, incoming


def phone_call(system: System, phones: Phones, number: str, dialled: str) -> Call:
    return outside(system, phones, number).call(f"sip:{dialled}@{system.proxy}")


def test_a_missed_call_is_rung_back_and_both_legs_are_paid(
    system: System, phones: Phones, new_card: Callable[..., Card]
) -> None:
    ani = "88499100004"
    card = new_card(aliases=[f"{ani}@pstn"], max_calls_out=2)
    friend, far = phones.registered(system.subscriber(paid=True)), phones.gateway(CARDS_GATEWAY, name=ani)
    missed = phone_call(system, phones, ani, CALLBACK)
    assert missed.wait_ended() == 486
    rung = far.incoming()
    assert rung.caller_number == CALLBACK
    rung.answer()
    rung.wait_answered()
    at = EN.hears(rung, "callback-accept")
    rung.send_digits("1")
    at = EN.hears(rung, "balance-is", after=at)
    at = EN.hears(rung, "card-enter-destination", after=at)
    rung.send_digits(f"{friend.settings.number}##")
    incoming = friend.incoming()
    incoming.answer()
    incoming.wait_answered()
    assert_both_hear(rung, incoming)
    running = {row["dialled"] for row in system.rows("calls") if row["account"] == card.number}
    assert running == {ani, friend.settings.number}
    rung.hang_up()
    incoming.wait_ended()
    legs = {leg["dialled"]: leg for leg in card.legs(2, free=1)}
    back, onward = legs[ani], legs[friend.settings.number]
    # 0.02 at the answer, 30 s of 0.10 a minute, then six seconds of 0.09 a minute each
    assert Decimal(back["amount"]) == Decimal("0.07") + Decimal("0.0015") * (int(back["billed_seconds"]) - 30)
    assert Decimal(onward["amount"]) == PER_SECOND * int(onward["billed_seconds"]) > 0
    assert card.balance == 5 - Decimal(back["amount"]) - Decimal(onward["amount"])
    for leg in (back, onward):
        told = system.story(leg["call_id"])
        assert f"{leg['billed_seconds']} s charged" in told
        assert f"ledger call:{leg['call_id']}: -" in told


@pytest.mark.parametrize(("process", "ended_by"), [("ivr", "media"), ("switch", "orphan")])
def test_a_media_server_or_a_switch_that_is_killed_ends_the_call_of_a_card_and_its_cost(
    system: System, phones: Phones, new_card: Callable[..., Card], process: str, ended_by: str
) -> None:
    ani = f"42077710005{len(process)}"
    card, friend = new_card(aliases=[f"{ani}@pstn"]), phones.registered(system.subscriber(paid=True))
    call, incoming = straight_to(friend, system, phones, ani)
    time.sleep(2)
    system.process(process).kill()
    incoming.wait_ended()
    call.wait_ended()
    (leg,) = card.legs(1, free=1)
    assert leg["ended_by"] == ended_by
    assert Decimal(leg["amount"]) == PER_SECOND * int(leg["billed_seconds"]) < Decimal("0.20")
    assert system.rows("audit") == []
    again = dial(system, outside(system, phones, ani), CARD)
    EN.hears(again, "card-welcome")
    again.hang_up()
