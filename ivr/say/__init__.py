# SPDX-License-Identifier: Apache-2.0
"""How a language says numbers, money, dates, times and counts: which prompts one after the other.

    say = grammar(call.language)
    await call.play("vm-you-have", say.messages(2, "new"), "and", say.messages(1, "old"))

Each language is a module of pure functions behind one object; a further one needs such a module, a line in `GRAMMARS`
and a catalogue in `prompts/`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ivr.say.cs import Czech
from ivr.say.en import English

if TYPE_CHECKING:
    from ivr.say.common import Grammar

__all__ = ["GRAMMARS", "grammar"]

GRAMMARS: dict[str, Grammar] = {"en": English(), "cs": Czech()}


def grammar(language: str) -> Grammar:
    """The grammar of a language ("cs", "en-GB"); English where it is none of ours."""
    return GRAMMARS.get(language) or GRAMMARS.get(language.partition("-")[0].lower()) or GRAMMARS["en"]
