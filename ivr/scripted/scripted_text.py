# SPDX-License-Identifier: Apache-2.0
"""Stories of callers as text, for who writes no Python: one step a line, the words of `ScriptedCaller`.

caller 42027777100
dials *98
hears vm-password
presses 1234#
hears ... vm-goodbye
hangs up
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ivr.scripted.scripted import ScriptedCaller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["StoryUnreadableError", "read_story"]


class StoryUnreadableError(ValueError):
    """A line makes no sense; the text says which and why."""


_STEPS: Final[dict[str, tuple[int, int, Callable[[ScriptedCaller, list[str]], object]]]] = {
    # words of a step: the least and the most arguments, and what it does
    "dials": (1, 2, lambda call, words: call.dials(words[0], app=words[1] if len(words) > 1 else "")),
    "hears": (1, 99, lambda call, words: call.hears(*(... if word == "..." else word for word in words))),
    "until": (1, 99, lambda call, words: call.until(*words)),
    "listens": (0, 0, lambda call, _: call.listens()),
    "hears nothing": (1, 1, lambda call, words: call.hears_nothing(float(words[0]))),
    "presses": (1, 1, lambda call, words: call.presses(words[0])),
    "says": (1, 2, lambda call, words: call.says(float(words[0]), tone=int(words[1]) if len(words) > 1 else 440)),
    "waits": (1, 1, lambda call, words: call.waits(float(words[0]))),
    "is answered": (0, 0, lambda call, _: call.is_answered()),
    "is not answered": (0, 0, lambda call, _: call.is_not_answered()),
    "is hung up on": (0, 1, lambda call, words: call.is_hung_up_on(int(words[0]) if words else None)),
    "talks to": (1, 1, lambda call, words: call.talks_to(words[0])),
    "hangs up": (0, 0, lambda call, _: call.hangs_up()),
    "answers": (1, 3, lambda call, words: _answers(call, words)),
    "fails": (2, 2, lambda call, words: call.fails_dial(words[0], int(words[1]))),
}
_ABOUT: Final = ("caller", "account", "target", "cause", "language")


def read_story(text: str) -> ScriptedCaller:
    """The caller of a story; raises StoryUnreadableError naming the line.

    Lines that say who calls (`caller`, `account`, `target`, `cause`, `language`) come first. `answers NUMBER [SECONDS
    [TALKS]]` and `fails NUMBER STATUS` say what calls of the application meet. What follows a `;` is a comment.
    """
    about: dict[str, str] = {}
    call: ScriptedCaller | None = None
    for number, words in _lines(text):
        if words[0] in _ABOUT and len(words) == 2:
            if call is not None:
                raise StoryUnreadableError(f"line {number}: {words[0]} comes before the first step")
            about[words[0]] = words[1]
            continue
        call = call or _caller(about, number)
        _do(call, words, number)
    return call or _caller(about, 0)


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition(";")[0].split()
        if words:
            yield number, words


def _caller(about: dict[str, str], number: int) -> ScriptedCaller:
    cause = about.get("cause")
    try:
        return ScriptedCaller(
            about.get("caller", "anonymous"),
            account=about.get("account"),
            target=about.get("target"),
            cause=None if cause is None else int(cause),
            language=about.get("language", "en"),
        )
    except ValueError:
        raise StoryUnreadableError(f"line {number}: cause is a number") from None


def _do(call: ScriptedCaller, words: list[str], number: int) -> None:
    for length in (4, 3, 2, 1):
        known = _STEPS.get(" ".join(words[:length]))
        if known is None:
            continue
        least, most, step = known
        arguments = words[length:]
        if not least <= len(arguments) <= most:
            raise StoryUnreadableError(f"line {number}: {' '.join(words[:length])} takes {least} to {most} words")
        try:
            step(call, arguments)
        except ValueError:
            raise StoryUnreadableError(f"line {number}: {' '.join(arguments)} is no number") from None
        return
    raise StoryUnreadableError(f'line {number}: "{words[0]}" is no step; steps are: {", ".join(_STEPS)}')


def _answers(call: ScriptedCaller, words: list[str]) -> object:
    after = float(words[1]) if len(words) > 1 else 2.0
    return call.answers_dial(words[0], after=after, talks=float(words[2]) if len(words) > 2 else None)
