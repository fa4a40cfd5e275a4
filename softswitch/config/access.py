# SPDX-License-Identifier: Apache-2.0
"""The reader of `ivr.access_numbers`: an application by its name, or a mapping with its options."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from billing_client.rules.numbering import read
from ivr.apps import MENU, OFFERED, Offer
from ivr.apps.selfcare.settings import CardSettings, Registering, Translation
from ivr.say import GRAMMARS
from softswitch.config import values
from softswitch.config.document import WrongValueError
from softswitch.config.fields import read_section
from softswitch.config.menus import sound_beside
from softswitch.config.model import SmsSettings
from softswitch.config.values import boolean, choice, text

if TYPE_CHECKING:
    from billing_client.vouchers.words import Channel
    from softswitch.config.document import Document, Section
    from softswitch.config.model import Ivr, Voicemail

__all__ = ["check_receipts", "read_access_numbers", "read_sms"]

T = TypeVar("T")

REGISTERING: dict[str, Registering] = {"off": "off", "false": "off", "ask": "ask", "true": "ask", "always": "always"}
"""`ask_register`; a plain yes or no will do too."""


def read_access_numbers(section: Section) -> tuple[dict[str, str], dict[str, CardSettings]]:
    """What is behind each number, and the options of those that have some; "NUMBER%" is one-stage dialling."""
    targets: dict[str, str] = {}
    cards: dict[str, CardSettings] = {}
    with section:
        for key in section.words():
            _check_number(section, key)
            if not section.is_mapping(key):
                targets[key] = section.value(key, _application_or_menu, "")
                continue
            with section.section(key) as options:
                target = options.value("app", _application_or_menu, "")
                if not options.has("app"):
                    section.problem(key, "needs app, the application that it leads to")
                targets[key] = target
                if target and not _offer(target).has_options:
                    _without_options(options, target)
                else:
                    cards[key] = _card(options)
            if key in cards and cards[key].one_stage:
                if not _offer(target).is_one_stage:
                    fitting = " or ".join(name for name, offer in OFFERED.items() if offer.is_one_stage)
                    options.problem("one_stage", f"goes with app: {fitting} only")
                targets[f"{key}%"] = target
    return targets, cards


def _check_number(section: Section, key: str) -> None:
    """Whether a number can be dialled as it is written: what arrives is in one spelling."""
    found = read(key)
    if found.kind not in ("number", "code", "name"):
        section.problem(key, f'"{key}" cannot be dialled')
    elif found.text != key:
        section.problem(key, f'what is dialled arrives as "{found.text}": write it so')


def _application_or_menu(value: str) -> str:
    """An application by its name, or an auto attendant by "menu:NAME"."""
    if value.startswith("menu:"):
        return "menu:" + values.name(value.removeprefix("menu:").strip())
    return choice(*OFFERED)(value)


def _offer(target: str) -> Offer:
    return OFFERED.get(target, MENU)


def _without_options(options: Section, target: str) -> None:
    for word in options.words():
        if word != "app":
            options.problem(word, f"{target} has no options here")


def _card(options: Section) -> CardSettings:
    found = read_section(
        options,
        CardSettings,
        languages=options.values("languages", choice(*GRAMMARS), ()),
        welcome=options.value("welcome", sound_beside(options), CardSettings().welcome),
        translate_ani=options.values("translate_ani", _translation, ()),
        ask_register=options.value("ask_register", _registering, CardSettings().ask_register),
        hangup_key=options.value("hangup_key", _keys, CardSettings().hangup_key),
        receipts=_receipts(options.section("receipts")),
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
        if "email" in card.receipts and voicemail.email.smtp is None:
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


def _keys(value: str) -> str:
    if value.lower() == "off":
        return ""
    if not 1 <= len(value) <= 8 or not set(value) <= set("0123456789*#"):
        raise WrongValueError('expected keys such as "**", or off')
    return value
