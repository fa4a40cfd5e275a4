# SPDX-License-Identifier: Apache-2.0
"""What an auto attendant would do with a caller at an instant, in words: whether it is open, where each key leads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ivr.apps.menu.hours import opening_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from ivr.apps.menu.settings import Menu, Target

__all__ = ["with_menus"]


def with_menus(
    reasons: Sequence[Mapping[str, Any]], menus: Mapping[str, Menu], at: datetime
) -> list[Mapping[str, Any]]:
    """The reasons of an explained call; behind each that leads to a menu, what that menu does `at` that instant."""
    told: list[Mapping[str, Any]] = []
    for reason in reasons:
        told.append(reason)
        if reason["kind"] == "ring" and (name := reason["data"].get("menu")):
            lines = _menu(name, menus[name], at) if name in menus else [f"there is no menu {name} in ivr.menus"]
            told += ({**reason, "text": line} for line in lines)
    return told


def _menu(name: str, menu: Menu, at: datetime) -> Iterator[str]:
    opening = "open" if menu.hours is None else opening_at(menu.hours, at)
    if menu.hours is None:
        yield f"menu {name} has no hours: it is always open"
    else:
        local = at.astimezone(ZoneInfo(menu.hours.timezone))
        closed = "closed for a holiday" if opening == "holiday" else opening
        yield f"menu {name} is {closed} at {local:%a %Y-%m-%d %H:%M} ({menu.hours.timezone})"
    if opening != "open":
        yield f"closed: {_target(menu.closed.then)}"
        return
    for key, target in menu.keys.items():
        yield f"key {key}: {_target(target)}"
    if menu.extension_digits:
        yield f"extensions of {menu.extension_digits} digits may be dialled"
    yield f"no key after {menu.tries} tries: {_target(menu.otherwise)}"


def _target(target: Target) -> str:
    if target.dial is not None:
        return f"{target.dial} is called"
    if target.menu is not None:
        return f"menu {target.menu}"
    if target.app is not None:
        return f"{target.app} of {target.mailbox}" if target.mailbox is not None else target.app
    return "the call ends"
