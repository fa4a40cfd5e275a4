# SPDX-License-Identifier: Apache-2.0
"""The verbs that applications are written in, and what an application is told of its call.

An application is a linear coroutine: `async def recharge(call: Ivr, ...) -> None`. Every verb waits until it is done.
When the caller hangs up, the verb that is being waited for (or the next one) raises `CallerHungUp`; nothing is ever
cancelled by a hang-up, so an operation on the store that is under way ends by itself. Applications do not catch
`CallerHungUp` but to keep something (a recording); the runner does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

__all__ = [
    "ANONYMOUS",
    "Audio",
    "CallDetails",
    "CallerHungUp",
    "DialFailed",
    "DialRequest",
    "DialResult",
    "Ivr",
    "OutOfTime",
    "Playable",
    "Recording",
    "Spoken",
    "TooManyTries",
]

Answer = TypeVar("Answer")
ANONYMOUS: Final = "anonymous"
"""`CallDetails.caller` where it is withheld."""
ORIGIN: Final = ("gateway", "identified", "vouched")
"""Parameters by which the switch says how the caller is known."""


class CallerHungUp(Exception):  # noqa: N818 (an event of the call)
    """The caller is gone."""


class OutOfTime(CallerHungUp):
    """The call has kept the application busy for as long as it may: to an application, the caller is gone."""


class TooManyTries(Exception):  # noqa: N818
    """The caller gave no usable input in as many tries as it had; `Ivr.menu` raises it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDetails:
    """What the INVITE says."""

    call_id: str
    """Of the SIP dialog; unique, so keys of operations on the store are made of it."""
    application: str
    """User part of the request URI: which application was asked for."""
    caller: str
    """The calling number as the switch asserts it; "anonymous" where it is withheld."""
    caller_name: str = ""
    account: str | None = None
    """Number of the account of ours that is served (P-Served-User, RFC 5502): the caller's own, or the one that the
    caller was identified to belong to by its ANI; None: nobody of ours."""
    target: str | None = None
    """Number of the mailbox (or other target) that the call is for (RFC 4458)."""
    cause: int | None = None
    """Why the call came here instead of to its target (RFC 4458): 404, 486, 408, 302, ..."""
    dialled: str = ""
    """What the caller dialled (To)."""
    language: str = "en"
    has_language: bool = False
    """Whether the switch said whose language that is: the caller's, where it is known, else of who is called."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Further URI parameters of the request, by lower-case name."""

    @property
    def gateway(self) -> str:
        """The carrier that brought the call; empty: a phone of ours."""
        return self.parameters.get("gateway", "")

    @property
    def is_identified(self) -> bool:
        """Whether that carrier vouches for the calling number, be it somebody's of ours or not."""
        return self.gateway != "" and self.parameters.get("identified") == "yes"

    @property
    def vouched(self) -> str:
        """What `account` is known by where that is the calling number alone: "number", or "claimed" (by telephone, and
        no call to it has proved that)."""
        return self.parameters.get("vouched", "")

    @property
    def origin(self) -> Mapping[str, str]:
        """The parameters that say how the caller is known: those that another application is told as well."""
        return {name: self.parameters[name] for name in ORIGIN if name in self.parameters}


@dataclass(frozen=True, slots=True)
class Audio:
    """Recorded sound as the store keeps it."""

    format: str
    """How `data` is to be read: "wav", "ogg", "flac", "mp3" (a complete file), or "raw" (see
    `media.session.recording`)."""
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Spoken:
    """Prompts that say something in a language, such as a number or an amount of money; `ivr.say` makes them."""

    prompts: tuple[str, ...]


Playable = str | Spoken | Audio
"""A prompt of the catalogue by its id, something said, or a recording."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What a caller said."""

    audio: Audio
    seconds: float
    """Without the silence at its end."""
    ended_by: Literal["key", "silence", "length", "hangup"]
    key: str = ""
    """The key that ended it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DialRequest:
    """A call that an application asks for."""

    destination: str
    """A number, or a SIP URI."""
    account: str
    """Number of the account that pays (P-Served-User, RFC 5502)."""
    caller: str
    caller_name: str = ""
    """What the called party sees."""
    diverted: bool = False
    """On behalf of the account (sescase=orig-cdiv, RFC 8498) instead of by it."""
    is_number_only: bool = False
    """The calling number is all that the account is known by: the switch dials nothing dear for it."""
    is_charged_on_acceptance: bool = False
    """Whoever is rung has not asked for it: the call is free until `accept_charge`."""


class DialFailed(Exception):  # noqa: N818 (an event of the call)
    """A call cannot be made; `status` is the SIP status that says why."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class DialResult:
    """How a call that the application made went."""

    answered: bool
    status: int
    """The final SIP status; 200 where it was answered."""
    cause: int | None = None
    """Q.850, where the other side gave one."""
    seconds: float = 0.0
    """How long the two talked."""
    ended_by: Literal["callee", "caller", "key", "length", "failure"] = "failure"


class Ivr(Protocol):
    """A caller, as an application sees it.

    Times are seconds. Keys are "0" to "9", "*", "#" (and "A" to "D"). What is typed before it is asked for waits
    (type-ahead); a key pressed during a prompt that may be interrupted ends it at once (barge-in).
    """

    @property
    def details(self) -> CallDetails:
        """What the INVITE said."""

    @property
    def language(self) -> str:
        """Of the prompts; `speak` changes it."""

    def speak(self, language: str) -> None:
        """Use the prompts of another language from now on."""

    @property
    def answered(self) -> bool:
        """Whether the call was answered, so that it is charged."""

    async def answer(self) -> None:
        """Answer the call; nothing happens if it was."""

    async def play(self, *playables: Playable, interrupt: str = "", flush: bool = False) -> str:
        """Play one after the other; in early media (183) where the call is not answered yet.

        `interrupt`: keys that end it; such a key is taken and returned, any other is left to be asked for. "any" stands
        for all keys, and then the key is left too. `flush`: forget what was typed before. Returns "" if played to the
        end.
        """

    async def ask(
        self,
        *playables: Playable,
        digits: int,
        least: int = 1,
        finish: str = "#",
        first_seconds: float = 5.0,
        next_seconds: float = 3.0,
        tries: int = 3,
    ) -> str:
        """Ask for digits: up to `digits`, ended by a key of `finish` (which is not returned) or by a pause.

        Asked again while fewer than `least` come; returns what came at last, "" where nothing did. Digits are
        written to no log and no trace.
        """

    async def collect(
        self, digits: int, *, finish: str = "#", first_seconds: float = 5.0, next_seconds: float = 3.0
    ) -> str:
        """Wait for digits without a prompt, as `ask` does, once."""

    async def menu(
        self,
        playables: Sequence[Playable],
        keys: Mapping[str, Answer],
        *,
        tries: int = 3,
        seconds: float = 5.0,
        invalid: Playable = "invalid-key",
    ) -> Answer:
        """Offer choices, each a single key; returns what the pressed key stands for. Raises TooManyTries."""

    async def record(
        self,
        *,
        most_seconds: float,
        silence_seconds: float = 10.0,
        finish: str = "#*0123456789",
        beep: bool = True,
        spool: str = "",
    ) -> Recording:
        """Record until a key of `finish`, silence or the length ends it.

        A hang-up while recording does not raise: it returns what there is, `ended_by` "hangup"; the next verb raises.
        `spool`: the id of the message that it becomes, under which it is written to disk as it grows, so that it
        survives a kill of the process (`ivr.spool.spool`): it is then a message for the call's target, or for another
        mailbox
        by "ID@NUMBER". An application deposits it by `ivr.spool.outbox.Outbox.deposit` under this id, or discards it
        there; what it leaves is delivered as it is. Empty: it lives in memory.
        """

    async def dial(
        self,
        destination: str,
        *,
        account: str,
        caller: str,
        caller_name: str = "",
        diverted: bool = False,
        ring_seconds: float = 60.0,
        hangup_key: str = "",
        most_seconds: float | None = None,
        on_answer: Callable[[Ivr], Awaitable[bool]] | None = None,
    ) -> DialResult:
        """Call `destination` through the switch, which authorises and charges `account`, and connect both when it
        answers (which answers the caller too); returns when they are connected no longer.

        The called party sees `caller` and `caller_name`. `diverted`: the call is forwarded on behalf of the account
        (sescase=orig-cdiv, RFC 8498), not made by it. `hangup_key`: keys ("**") by which the caller ends the connection
        and comes back. `most_seconds`: they are connected no longer than that. `on_answer`: talks to the party that
        answered before both are connected; false hangs up on it. Raises CallerHungUp when the caller is gone, after
        ending the other leg.
        """

    def known_by_number(self, account: str) -> None:
        """The calling number is all that says that the caller is this account: what it dials must not be dear."""

    def prove(self) -> None:
        """The caller has given a PIN: it may dial whatever the account may."""

    async def sleep(self, seconds: float) -> None:
        """Silence."""

    def accept_charge(self) -> None:
        """Whoever was rung accepts the call, which was free until now (`DialRequest.is_charged_on_acceptance`)."""

    async def hangup(self, status: int = 480, cause: int = 16) -> None:
        """End the call: by BYE where it was answered, else by `status`. Never raises CallerHungUp."""
