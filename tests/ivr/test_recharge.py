# SPDX-License-Identifier: Apache-2.0
"""Recharging by voucher, told as the stories of calls: from an own phone and from others, in both languages."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

import pytest

from billing_client.vouchers.words import GuessSource, WantedReceipts
from ivr.apps.selfcare.desk import Desk
from ivr.apps.selfcare.recharge import recharge
from ivr.apps.selfcare.settings import CardSettings
from ivr.say import grammar
from ivr.scripted.scripted import ScriptedCaller
from tests.ivr.selfcare_memory import MemorySelfCare, MemoryVouchers, debit

if TYPE_CHECKING:
    from billing_client.vouchers.words import RejectedReason
    from ivr.server.runner import Application

CODE = "8527544618853552477"
ASK = "recharge-enter-code"
REASONS: tuple[RejectedReason, ...] = (
    *("unknown", "password", "plain", "used", "expired", "inactive", "blocked", "currency", "realm", "locked"),
)


@dataclass
class Shop:
    """Account 101 with ten dollars, and one voucher of five."""

    selfcare: MemorySelfCare = field(default_factory=MemorySelfCare)
    settings: CardSettings = field(default_factory=CardSettings)
    app: Application = field(init=False)

    def __post_init__(self) -> None:
        self.selfcare.add(debit(expires_on=date(2027, 6, 30), days_left=7), pin="4829")
        self.vouchers = MemoryVouchers(self.selfcare, worth={CODE: Decimal(5)})
        desk = Desk(selfcare=self.selfcare, vouchers=self.vouchers, settings={"*99": self.settings})
        self.app = partial(recharge, desk=desk)

    @property
    def balance(self) -> Decimal:
        return self.selfcare.accounts["101"].balance


@pytest.fixture
def shop() -> Shop:
    return Shop()


def owner(language: str = "en", seconds: float = 1.0) -> ScriptedCaller:
    caller = ScriptedCaller("101", account="101", target="101", language=language, prompt_seconds=seconds)
    return caller.dials("*99", app="recharge")


def stranger() -> ScriptedCaller:
    return ScriptedCaller("42075553333").dials("*99", app="recharge")


@pytest.mark.parametrize("language", ["en", "cs"])
def test_an_own_phone_recharges_and_hears_amount_new_balance_and_expiry(shop: Shop, language: str) -> None:
    say = grammar(language)
    told = (
        *("recharge-done", "recharge-amount", say.money(Decimal(5), "USD")),
        *("new-balance-is", say.money(Decimal(15), "USD")),
        *("expires-on", say.date(date(2027, 6, 30)), "days-left-are", say.duration(7 * 86_400, ("day",)), "goodbye"),
    )
    owner(language).is_answered().hears(ASK).presses(CODE + "#").hears(*told).is_hung_up_on().run(shop.app)
    assert shop.balance == 15
    assert shop.vouchers.asked == [(CODE, "101", "scripted-call 1", GuessSource("101", "*99", phone="101"))]


def test_a_receipt_is_wanted_where_the_access_number_says_so_in_the_language_of_the_call() -> None:
    shop = Shop(settings=CardSettings(receipts=("email", "sms")))
    owner("cs").hears(ASK).presses(CODE + "#").hears("recharge-done", ...).run(shop.app)
    assert shop.vouchers.receipts == [WantedReceipts(("email", "sms"), "cs", "101")]
    shop = Shop()
    owner().hears(ASK).presses(CODE + "#").hears("recharge-done", ...).run(shop.app)
    assert shop.vouchers.receipts == [WantedReceipts((), "en", "101")]


def test_the_code_may_be_typed_ahead_and_a_pause_ends_it_too(shop: Shop) -> None:
    owner().presses(CODE, after=0).hears("recharge-done", ...).run(shop.app)
    assert shop.balance == 15


def test_star_starts_over(shop: Shop) -> None:
    owner().hears(ASK).presses("999*").hears(ASK).presses(CODE + "#").hears("recharge-done", ...).run(shop.app)
    assert [code for code, *_ in shop.vouchers.asked] == [CODE]


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("language", ["en", "cs"])
def test_whatever_is_wrong_with_a_code_sounds_the_same(shop: Shop, reason: RejectedReason, language: str) -> None:
    shop.vouchers.refused["1234"] = reason
    story = owner(language).hears(ASK).presses("1234#").hears("recharge-invalid", ASK).hangs_up().run(shop.app)
    assert story.heard == [ASK, "recharge-invalid", ASK]
    assert shop.balance == 10


def test_after_three_wrong_codes_the_call_ends(shop: Shop) -> None:
    script = owner()
    for _ in range(3):
        script.hears(ASK).presses("1234#").hears("recharge-invalid")
    script.hears("too-many-attempts", "goodbye").is_hung_up_on().run(shop.app)
    assert [key for *_, key, _ in shop.vouchers.asked] == ["scripted-call 1", "scripted-call 2", "scripted-call 3"]


def test_who_types_nothing_is_asked_three_times(shop: Shop) -> None:
    once = (ASK, "no-entry")
    owner().hears(*once, *once, *once, "too-many-attempts", "goodbye").is_hung_up_on().run(shop.app)


@pytest.mark.parametrize(
    ("reason", "prompt"),
    [
        ("kind", "recharge-refused"),
        ("account", "recharge-refused"),
        ("unavailable", "service-unavailable"),
        ("pending", "recharge-pending"),
    ],
)
@pytest.mark.parametrize("language", ["en", "cs"])
def test_what_is_not_the_fault_of_the_code_is_told_and_ends(
    shop: Shop, reason: RejectedReason, prompt: str, language: str
) -> None:
    shop.vouchers.refused["1234"] = reason
    owner(language).hears(ASK).presses("1234#").hears(prompt, "goodbye").is_hung_up_on().run(shop.app)


def test_answers_come_as_late_as_the_store_says_and_the_caller_is_asked_to_wait(shop: Shop) -> None:
    shop.vouchers.delay_seconds = 16
    story = owner().hears(ASK).presses(CODE + "#").hears("one-moment", "one-moment", "recharge-done", ...).run(shop.app)
    times = {line.split("hears ")[-1]: float(line.split()[0]) for line in story.lines if "hears" in line}
    assert times["recharge-done"] - times[ASK] > 16


def test_a_store_that_does_not_answer_is_asked_again_with_the_same_key(shop: Shop) -> None:
    shop.vouchers.failures, shop.vouchers.moves_all_the_same = 2, True
    owner().hears(ASK).presses(CODE + "#").hears("one-moment", "one-moment", "recharge-done", ...).run(shop.app)
    assert {key for *_, key, _ in shop.vouchers.asked} == {"scripted-call 1"}
    assert shop.balance == 15


def test_a_store_that_stays_away_is_told_of(shop: Shop) -> None:
    shop.vouchers.failures = 99
    owner().hears(ASK).presses(CODE + "#").hears(..., "service-unavailable", "goodbye").run(shop.app)
    assert shop.balance == 10
    shop.selfcare.is_away = True
    owner().hears("service-unavailable").run(shop.app)


def test_an_installation_without_vouchers_says_so(shop: Shop) -> None:
    app = partial(recharge, desk=Desk(selfcare=shop.selfcare, vouchers=None))
    owner().hears("service-unavailable", "goodbye").run(app)


def test_a_stranger_gives_number_and_pin(shop: Shop) -> None:
    script = stranger().hears("card-enter-account").presses("101#").hears("card-enter-pin").presses("4829#")
    script.hears(ASK).presses(CODE + "#").hears("recharge-done", ...).run(shop.app)
    assert shop.balance == 15
    assert shop.vouchers.asked[0][3] == GuessSource("42075553333", "*99")


@pytest.mark.parametrize(("number", "pin"), [("101", "0000"), ("999", "4829"), ("", "4829"), ("101", "")])
def test_a_wrong_login_sounds_the_same_whatever_is_wrong(shop: Shop, number: str, pin: str) -> None:
    script = stranger()
    for _ in range(3):
        script.hears("card-enter-account").presses(number + "#").hears("card-enter-pin").presses(pin + "#")
        script.hears("card-wrong-login")
    script.hears("too-many-attempts", "goodbye").is_hung_up_on().run(shop.app)
    assert not shop.vouchers.asked


def test_a_call_that_was_forwarded_here_is_nobodys_own(shop: Shop) -> None:
    ScriptedCaller("42075553333", account="101").dials("*99").hears("card-enter-account").run(shop.app)


def test_the_accounts_language_is_spoken(shop: Shop) -> None:
    shop.selfcare.add(debit(language="cs"))
    heard = grammar("cs").money(Decimal(5), "USD")
    owner("en").hears(ASK).presses(CODE + "#").hears("recharge-done", "recharge-amount", heard, ...).run(shop.app)


def cut_short(seconds: float) -> ScriptedCaller:
    """Types the code from the second second on, ten keys a second, and hangs up after so many seconds."""
    keys = (CODE + "#")[: max(0, round((seconds - 2.0) * 10))]
    script = owner()
    if keys:
        script.presses(keys, after=2.0, each=0.1)
    return script.waits(seconds - (2.0 + 0.1 * (len(keys) - 1) if keys else 0.0)).hangs_up()


def test_a_hang_up_at_any_instant_neither_loses_nor_doubles() -> None:
    """At each half second of the story; the store takes two seconds, and its answer comes late."""
    credited = []
    for half_seconds in range(1, 40):
        shop = Shop()
        shop.vouchers.seconds, shop.vouchers.delay_seconds = 2.0, 4
        story = cut_short(half_seconds / 2).run(shop.app)
        assert story.ended_by == "caller"
        is_used = CODE in shop.vouchers.used
        credited.append(is_used)
        assert shop.balance == (15 if is_used else 10)
        # The caller tries again: what was not lost is there, what was credited is not credited twice.
        shop.vouchers.asked.clear()
        again = ScriptedCaller("101", account="101", target="101", call_id="another-call").dials("*99")
        again.hears(ASK).presses(CODE + "#").waits(10).hangs_up().run(shop.app)
        assert shop.balance == 15
    assert credited == sorted(credited)
    assert set(credited) == {False, True}
