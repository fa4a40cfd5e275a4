# SPDX-License-Identifier: Apache-2.0
"""What the stories of calling cards share: a card, who calls with it, and the language in which all is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from billing_client.selfcare import Quote
from ivr.apps.selfcare.calling_card import calling_card
from ivr.apps.selfcare.desk import Desk
from ivr.apps.selfcare.settings import CardSettings
from ivr.say import grammar
from ivr.scripted.scripted import ScriptedCaller
from tests.ivr.selfcare_memory import MemorySelfCare, MemoryVouchers, debit

if TYPE_CHECKING:
    from billing_client.selfcare import AccountStatus
    from ivr.server.runner import Application
    from ivr.verbs import CallDetails, DialRequest, Spoken

__all__ = [
    "ANI",
    "CODE",
    "FRIEND",
    "MENU",
    "NUMBER",
    "OFFER",
    "PIN",
    "TONGUE",
    "Cards",
    "RungBack",
    "cards",
    "known",
    "tongue",
    "unknown",
]

NUMBER, ANI, FRIEND, PIN = "18005550100", "42073723123", "420600000001", "48291047"
CODE = "8527544618853552477"
MENU = ("card-another-call", "press-1", "card-to-balance", "press-2", "card-to-recharge", "press-3")
OFFER = ("card-to-recharge", "press-1", "vm-to-continue", "press-2")


class Tongue:
    """The language of the caller of a story."""

    language = "en"

    @property
    def ten(self) -> Spoken:
        """The balance of the card."""
        return self.money(10)

    @property
    def five_minutes(self) -> tuple[str, Spoken, str]:
        """The longest time of a call to the friend."""
        return "card-you-have", grammar(self.language).duration(300), "card-for-this-call"

    def money(self, amount: int) -> Spoken:
        """So many dollars."""
        return grammar(self.language).money(Decimal(amount), "USD")


TONGUE = Tongue()


@pytest.fixture(params=["en", "cs"], autouse=True)
def tongue(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that imports this tells every story in both languages."""
    monkeypatch.setattr(TONGUE, "language", request.param)


@dataclass
class RungBack:
    """What the media server is asked to do."""

    asked: list[tuple[DialRequest, CallDetails, float]] = field(default_factory=list)

    def __call__(
        self, request: DialRequest, details: CallDetails, *, after_seconds: float, ring_seconds: float
    ) -> bool:
        self.asked.append((request, details, after_seconds))
        return True


@dataclass
class Cards:
    """Card 101 with ten dollars, which pay for five minutes to a friend."""

    settings: CardSettings = field(default_factory=CardSettings)
    selfcare: MemorySelfCare = field(default_factory=MemorySelfCare)
    app: Application = field(init=False)

    def __post_init__(self) -> None:
        self.selfcare.add(debit(), pin=PIN)
        self.selfcare.quotes[FRIEND] = Quote("ok", 300, Decimal(2), "USD")
        self.vouchers = MemoryVouchers(self.selfcare, worth={CODE: Decimal(5)})
        self.rung = RungBack()
        self.desk = Desk(
            selfcare=self.selfcare, vouchers=self.vouchers, settings={NUMBER: self.settings}, ring_back=self.rung
        )
        self.app = partial(calling_card, desk=self.desk)

    def set(self, status: AccountStatus) -> None:
        self.selfcare.add(status)


def cards(**settings: Any) -> Cards:
    return Cards(CardSettings(**settings))


def known(**details: Any) -> ScriptedCaller:
    """Who calls by a number that is an alias of the card."""
    return unknown(account="101", target="101", **details)


def unknown(caller: str = ANI, **details: Any) -> ScriptedCaller:
    """Anybody else."""
    return ScriptedCaller(caller, language=TONGUE.language, **details).dials(NUMBER, app="calling_card")
