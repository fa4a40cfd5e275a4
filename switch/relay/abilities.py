# SPDX-License-Identifier: Apache-2.0
"""What a media relay can, learnt from what it answers: versions of rtpengine differ, nobody configures which one it is.

A command that a relay does not know it refuses by name; it is not asked for that again. A flag that it does not know it
passes over in silence; whether it took one shows in what it tells of the call afterwards (`query`). What is known of a
relay is forgotten when it was away: another version may have come back.

`offer`, `answer`, `delete`, `query` and `ping` are known to all. Where the rest is missing calls do without it: see
`COMMANDS` and `FLAGS`. Of `directional` nothing shows: old versions, which do not know it, act as if it were there.
Keys that a relay does not know (`repeat-times` of old versions: the tone comes once) do no harm either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

__all__ = ["COMMANDS", "FLAGS", "Abilities", "is_unknown", "tags"]

Report: TypeAlias = "Mapping[str, object]"
"""An answer to `query`."""

COMMANDS: Final[Mapping[str, str]] = {
    "play media": "payers hear no tone before their funds end",
    "block media": "callers are heard before the answer, and the tone that warns payers comes among the voices",
    "block DTMF": "keys of callers pass before the answer",
}
"""What calls can do without, and what is missed then."""

_UNDONE_BY: Final = {"unblock media": "block media", "unblock DTMF": "block DTMF"}
_UNKNOWN: Final = frozenset({"Unrecognized command", "unsupported"})
"""Reasons of a refusal: the second one is of an rtpengine that was built without transcoding."""


def is_unknown(reason: str) -> bool:
    """Whether a refusal with this reason means that the relay does not know the command."""
    return reason in _UNKNOWN


def tags(report: Report) -> Iterator[Mapping[str, object]]:
    """What a report says about each party."""
    found = report.get("tags")
    return (each for each in (found.values() if isinstance(found, Mapping) else ()) if isinstance(each, Mapping))


def _medias(report: Report) -> Iterator[Mapping[str, object]]:
    """What a report says about each stream of each party."""
    for each in tags(report):
        found = each.get("medias")
        yield from (media for media in (found if isinstance(found, list) else ()) if isinstance(media, Mapping))


def _is_watched(report: Report) -> bool:
    return report.get("watched") == 1


def _is_alone(report: Report) -> bool:
    flags = (media.get("flags") for media in _medias(report))
    return any(b"block egress" in each for each in flags if isinstance(each, list))


FLAGS: Final[Mapping[str, Callable[[Report], bool]]] = {
    "watched": _is_watched,  # ours: it may drop a call whose switch asks no more
    "block-egress": _is_alone,  # ours and rtpengine 11: who is played to hears nothing else meanwhile
}
"""Of commands: how a report, made while the flag is in force, shows that the relay took it."""


class Abilities:
    """Of one relay, since it is there."""

    __slots__ = ("_flags", "_lacking")

    def __init__(self) -> None:
        self._flags: dict[str, bool] = {}
        self._lacking: set[str] = set()

    def lacks(self, command: str) -> bool:
        """Whether the relay has said that it does not know the command."""
        return _UNDONE_BY.get(command, command) in self._lacking

    def refused(self, command: str, reason: str) -> str | None:
        """A refusal. What is missed from now on, where it says for the first time that the command is not known."""
        command = _UNDONE_BY.get(command, command)
        if command not in COMMANDS or not is_unknown(reason) or command in self._lacking:
            return None
        self._lacking.add(command)
        return COMMANDS[command]

    def takes(self, flag: str) -> bool | None:
        """Whether the relay knows the flag; None: nothing has shown that yet."""
        return self._flags.get(flag)

    def learn(self, flag: str, report: Report) -> bool:
        """Whether the relay knows the flag; a report made while it is in force shows it, if nothing has before."""
        return self._flags.setdefault(flag, FLAGS[flag](report))

    def fit(self, command: Mapping[str, object]) -> Mapping[str, object]:
        """The command without flags that the relay passes over."""
        flags = command.get("flags")
        if not isinstance(flags, list) or not any(self._flags.get(flag) is False for flag in flags):
            return command
        return {**command, "flags": [flag for flag in flags if self._flags.get(flag) is not False]}
