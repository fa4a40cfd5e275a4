# SPDX-License-Identifier: Apache-2.0
"""Write the tables of keys into docs/voicemail.md from the key maps: python -m docs.make_key_maps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from ivr.apps.voicemail.keymaps import KEY_MAPS, State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ivr.apps.voicemail.keymaps import Choice, KeyMap

PAGE: Final = Path(__file__).with_name("voicemail.md")
BEGIN, END = "<!-- keys: python -m docs.make_key_maps -->\n", "<!-- end of keys -->\n"
_TITLES: Final[dict[State, str]] = {
    State.GREETING: "While the greeting is played",
    State.REVIEW: "After a message was recorded",
    State.URGENT: "After it was accepted",
    State.MAIN: "In the mailbox",
    State.ENVELOPE: "While time and caller of a message are said",
    State.PLAYING: "While a message is played",
    State.MESSAGE: "At a message",
    State.ADVANCED: "Advanced options",
    State.OPTIONS: "Mailbox options",
    State.FOLDER: "Which folder",
    State.FORWARD: "Forwarding, after the mailbox was entered",
    State.GREETING_REVIEW: "After a greeting or a name was recorded",
    State.TEMPORARY: "While a temporary greeting is in force",
    State.SLOT: "Which greeting to record",
    State.CHOOSE: "Which greeting callers hear",
}


def page(text: str) -> str:
    """The page with its tables renewed."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + "\n" + "\n".join(_section(key_map) for key_map in KEY_MAPS.values()) + END + after


def _section(key_map: KeyMap) -> str:
    tables = "\n".join(_table(_TITLES[state], choices) for state, choices in key_map.states.items())
    return f"### Key map `{key_map.name}`\n\n| where | key | does |\n|---|---|---|\n{tables}\n"


def _table(title: str, choices: Mapping[str, Choice]) -> str:
    rows = []
    for place, (key, choice) in enumerate(choices.items()):
        rows.append(f"| {'' if place else title} | `{key}` | {choice.action} |")
    return "\n".join(rows)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
