# SPDX-License-Identifier: Apache-2.0
"""Draw the tables of docs/config.md from the declarations of the keys: python -m docs.make_config."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from softswitch.config.fields import default_of, key_of, keys_of
from softswitch.config.model import Configuration, SmsSettings, VoucherStoreSettings
from softswitch.config.values import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE: Final = Path(__file__).with_name("config.md")
HEAD: Final = "| key | default | meaning |\n|---|---|---|\n"
BY_HAND: Final = {"vouchers.external": ("NAME.", VoucherStoreSettings), "ivr.sms": ("", SmsSettings)}
"""Sections whose keys are read by a function of their own."""
TABLE: Final = re.compile(r"<!-- keys: (\S+) -->\n(?:\|.*\n)*")


def page() -> str:
    """The whole page, its tables drawn anew; what stands between them stays."""
    rows = dict(_rows(Configuration, ""))
    tables = {
        section: HEAD + "".join(row for path, row in rows.items() if path.partition(".")[0] == section)
        for section in {path.partition(".")[0] for path in rows if "." in path}
    }
    tables["top"] = HEAD + "".join(row for path, row in rows.items() if "." not in path)
    return TABLE.sub(lambda found: f"<!-- keys: {found[1]} -->\n{tables[found[1]]}", PAGE.read_text(encoding="utf-8"))


def paths() -> Iterator[str]:
    """The path of every key."""
    for path, _ in _rows(Configuration, ""):
        yield path


def _rows(declared: type[Any], above: str) -> Iterator[tuple[str, str]]:
    for field in keys_of(declared):
        path = f"{above}{key_of(field)}"
        default = None if default_of(field) is dataclasses.MISSING else default_of(field)
        if path in BY_HAND:
            below, other = BY_HAND[path]
            yield from _rows(other, f"{path}.{below}")
        elif dataclasses.is_dataclass(default) and not isinstance(default, Endpoint):
            yield from _rows(type(default), f"{path}.")
        else:
            mark = " ↻" if field.metadata.get("restart") else ""
            shown = field.metadata.get("shown") or _shown(default, field.metadata.get("read", ""))
            yield path, f"| `{path}`{mark} | {shown} | {_meaning(declared, field.name)} |\n"


def _shown(value: Any, read: str) -> str:
    if value is None or value in ((), "", {}):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple):
        words = [f'"{one}"' if str(one).isdecimal() else str(one) for one in value]
        return f"`[{', '.join(words)}]`"
    if isinstance(value, dict):
        return "`{" + ", ".join(f'"{key}": {one}' for key, one in value.items()) + "}`"
    if isinstance(value, Endpoint) and read == "http endpoint":
        return f"`{str(value).partition(':')[2]}`"
    return f"`{value}`" if isinstance(value, str | Endpoint) else str(value)


def _meaning(declared: type[Any], name: str) -> str:
    """The text below a field, in the class of `declared` or of its ancestors that has it."""
    return next((texts[name] for one in declared.__mro__ if name in (texts := _texts(one))), "")


@cache
def _texts(declared: type[Any]) -> dict[str, str]:
    if not dataclasses.is_dataclass(declared):
        return {}
    body = ast.parse(inspect.getsource(declared)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            found[field.target.id] = " ".join(str(ast.literal_eval(text.value)).split())
    return found


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
