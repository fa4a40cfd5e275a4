# SPDX-License-Identifier: Apache-2.0
"""The reader of `ivr.access_numbers`: an application by its name, or a mapping with its options."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar, get_args

from billing_client.rules.numbering import read
from ivr.apps.selfcare.settings import BalanceMode, CardSettings, LowBalancePolicy, Registering, Translation
from ivr.say import GRAMMARS
from softswitch.config import values
from softswitch.config.document import WrongValueError
from softswitch.config.menus import sound_beside
from softswitch.config.model import SmsSettings
from softswitch.config.values import boolean, choice, integer, money, number, text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from billing_client.vouchers.words import Channel
    from softswitch.config.document import Document, Section
    from softswitch.config.model import Ivr, Voicemail

__all__ = ["WITH_OPTIONS", "check_receipts", "read_access_numbers", "read_sms"]

T = TypeVar("T")

WITH_OPTIONS = ("calling_card", "callback", "recharge", "balance")
"""Applications that have options."""
ONE_STAGE = "calling_card"
LONGEST_AUTH_CODE = 16
LONGEST_CALL = 86_400
REGISTERING: dict[str, Registering] = {"off": "off", "false": "off", "ask": "ask", "true": "ask", "always": "always"}
"""`ask_register`; a plain yes or no will do too."""


def read_access_numbers(
    section: Section, applications: Sequence[str]
) -> tuple[dict[str, str], dict[str, CardSettings]]:
    """What is behind each number, and the options of those that have some; "NUMBER%" is one-stage dialling."""
    targets: dict[str, str] = {}
    cards: dict[str, CardSettings] = {}
    with section:
        for key in section.words():
            _check_number(section, key)
            if not section.is_mapping(key):
                targets[key] = section.value(key, _application_or_menu(applications), "")
                continue
            with section.section(key) as options:
                target = options.value("app", _application_or_menu(applications), "")
                if not options.has("app"):
                    section.problem(key, "needs app, the application that it leads to")
                targets[key] = target
                if target and target not in WITH_OPTIONS:
                    _without_options(options, target)
                else:
                    cards[key] = _card(options)
            if key in cards and cards[key].one_stage:
                if target != ONE_STAGE:
                    options.problem("one_stage", f"goes with app: {ONE_STAGE} only")
                targets[f"{key}%"] = target
    return targets, cards


def _check_number(section: Section, key: str) -> None:
    """Whether a number can be dialled as it is written: what arrives is in one spelling."""
    found = read(key)
    if found.kind not in ("number", "code", "name"):
        section.problem(key, f'"{key}" cannot be dialled')
    elif found.text != key:
        section.problem(key, f'what is dialled arrives as "{found.text}": write it so')


def _application_or_menu(applications: Sequence[str]) -> Callable[[str], str]:
    def parse(value: str) -> str:
        """An application by its name, or an auto attendant by "menu:NAME"."""
        if value.startswith("menu:"):
            return "menu:" + values.name(value.removeprefix("menu:").strip())
        return choice(*applications)(value)

    return parse


def _without_options(options: Section, target: str) -> None:
    for word in options.words():
        if word != "app":
            options.problem(word, f"{target} has no options here")


def _card(options: Section) -> CardSettings:
    plain = CardSettings()
    attempts, code_length = integer(1, 20), integer(2, LONGEST_AUTH_CODE)
    found = CardSettings(
        languages=options.values("languages", choice(*GRAMMARS), plain.languages),
        welcome=options.value("welcome", sound_beside(options), plain.welcome),
        ani=options.value("ani", boolean, plain.ani),
        translate_ani=options.values("translate_ani", _translation, plain.translate_ani),
        auth_code=options.value("auth_code", boolean, plain.auth_code),
        min_auth_code_length=options.value("min_auth_code_length", code_length, plain.min_auth_code_length),
        max_auth_code_length=options.value("max_auth_code_length", code_length, plain.max_auth_code_length),
        pin=options.value("pin", boolean, plain.pin),
        service_password=options.value("service_password", boolean, plain.service_password),
        customers=options.values("customers", text, plain.customers),
        products=options.values("products", text, plain.products),
        max_login_attempts=options.value("max_login_attempts", attempts, plain.max_login_attempts),
        max_recharge_attempts=options.value("max_recharge_attempts", attempts, plain.max_recharge_attempts),
        max_wrong_destinations=options.value("max_wrong_destinations", attempts, plain.max_wrong_destinations),
        max_timeouts=options.value("max_timeouts", attempts, plain.max_timeouts),
        announce_balance=options.value("announce_balance", boolean, plain.announce_balance),
        balance_mode=options.value("balance_mode", _one_of(get_args(BalanceMode)), plain.balance_mode),
        announce_credit_limit=options.value("announce_credit_limit", boolean, plain.announce_credit_limit),
        announce_expiry=options.value("announce_expiry", boolean, plain.announce_expiry),
        announce_time=options.value("announce_time", boolean, plain.announce_time),
        announce_seconds=options.value("announce_seconds", boolean, plain.announce_seconds),
        announce_hours=options.value("announce_hours", boolean, plain.announce_hours),
        announce_price=options.value("announce_price", boolean, plain.announce_price),
        low_balance=options.value("low_balance", money, plain.low_balance),
        low_balance_policy=options.value(
            "low_balance_policy", _one_of(get_args(LowBalancePolicy)), plain.low_balance_policy
        ),
        min_call_seconds=options.value("min_call_seconds", integer(0, 3600), plain.min_call_seconds),
        max_call_seconds=options.value("max_call_seconds", integer(0, LONGEST_CALL), plain.max_call_seconds),
        ask_register=options.value("ask_register", _registering, plain.ask_register),
        hangup_key=options.value("hangup_key", _keys, plain.hangup_key),
        one_stage=options.value("one_stage", boolean, plain.one_stage),
        receipts=_receipts(options.section("receipts")),
        callback_seconds=options.value("callback_seconds", number(0, 600), plain.callback_seconds),
        callback_an_hour=options.value("callback_an_hour", integer(1, 1000), plain.callback_an_hour),
        callback_ring_seconds=options.value("callback_ring_seconds", number(5, 600), plain.callback_ring_seconds),
    )
    if found.min_auth_code_length > found.max_auth_code_length:
        longest = "min_auth_code_length" if options.has("min_auth_code_length") else "max_auth_code_length"
        options.problem(longest, f"no code has {found.min_auth_code_length} to {found.max_auth_code_length} digits")
    return found


def _receipts(section: Section) -> tuple[Channel, ...]:
    """How owners are told of recharges."""
    channels: tuple[Channel, ...] = ("email", "sms")
    with section:
        return tuple(channel for channel in channels if section.value(channel, boolean, False))


def read_sms(section: Section) -> SmsSettings | None:
    """The gateway of short messages, if there is one."""
    with section:
        found = section.value("adapter", values.adapter, None)
        with section.section("options") as options:
            given = {key: options.value(key, text, "") for key in options.words()}
        if given and not section.has("adapter"):
            section.problem("options", "needs adapter, which gets them")
    return SmsSettings(adapter=found, options=given) if found else None


def check_receipts(document: Document, ivr: Ivr, voicemail: Voicemail) -> None:
    """Whether there is something that sends the receipts."""
    for number_, card in ivr.cards.items():
        path = f"ivr.access_numbers.{number_}.receipts"
        if "sms" in card.receipts and ivr.sms is None:
            document.complain_at(f"{path}.sms", "needs ivr.sms, the gateway that sends short messages")
        if "email" in card.receipts and voicemail.smtp is None:
            document.warn_at(f"{path}.email", "nothing is sent until voicemail.email.smtp names a server")


def _translation(value: str) -> Translation:
    """A rule as sed has it: `s/PATTERN/REPLACEMENT/`, with another character than `/` too, and `g` at the end."""
    match = re.fullmatch(r"s([^\w\s\\])((?:(?!\1).)+)\1((?:(?!\1).)*)\1(g?)", value)
    if match is None:
        raise WrongValueError(f'expected a rule such as "s/^0/44/", not "{value}"')
    try:
        pattern = re.compile(match[2])
        pattern.sub(match[3], "")
    except (re.error, IndexError) as error:
        raise WrongValueError(f'"{value}": {error}') from None
    return Translation(pattern, match[3], bool(match[4]))


def _registering(value: str) -> Registering:
    return REGISTERING[choice(*REGISTERING)(value)]


def _one_of(known: tuple[T, ...]) -> Callable[[str], T]:
    parse = choice(*map(str, known))
    return lambda value: next(one for one in known if one == parse(value))


def _keys(value: str) -> str:
    if value.lower() == "off":
        return ""
    if not 1 <= len(value) <= 8 or not set(value) <= set("0123456789*#"):
        raise WrongValueError('expected keys such as "**", or off')
    return value
