# SPDX-License-Identifier: Apache-2.0
"""Which key does what, as data: the menus are spoken from these tables, the documents are checked against them, and the
tests press every key of them.

`comedian` has the keys of Asterisk's Comedian Mail, `freeswitch` those of FreeSWITCH's mod_voicemail. What a key does
is the same code for both.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KEY_MAPS", "NEEDS_MESSAGE", "Action", "Choice", "KeyMap", "KeyMapName", "State"]

KeyMapName = Literal["comedian", "freeswitch"]


class State(StrEnum):
    """Where in the menus a caller is."""

    GREETING = "greeting"
    """A caller hears the greeting of a mailbox."""
    REVIEW = "review"
    """A message has been recorded."""
    URGENT = "urgent"
    """A message has been accepted; only key maps that ask separately have this."""
    MAIN = "main"
    """The owner is in the mailbox; no message has been listened to yet."""
    ENVELOPE = "envelope"
    """When and from whom a message is, is being said."""
    PLAYING = "playing"
    """A message is being played. Keys of MESSAGE that are not here end it and do what they do there."""
    MESSAGE = "message"
    """A message has been played."""
    ADVANCED = "advanced"
    OPTIONS = "options"
    FOLDER = "folder"
    FORWARD = "forward"
    """The mailbox that a message goes to is known."""
    GREETING_REVIEW = "greeting-review"
    """A greeting or a name has been recorded."""
    TEMPORARY = "temporary"
    """There is a temporary greeting."""
    SLOT = "slot"
    """Which greeting is to be recorded."""
    CHOOSE = "choose"
    """Which greeting is to be played."""


class Action(StrEnum):
    """What a key does."""

    SKIP_GREETING = "skip to the beep"
    OPERATOR = "operator"
    LOGIN = "log in to the mailbox"
    ACCEPT = "accept"
    HEAR_RECORDING = "listen to the recording"
    RE_RECORD = "record again"
    URGENT = "mark as urgent"
    NOT_URGENT = "send as not urgent"
    LISTEN = "listen to the messages"
    LISTEN_NEW = "listen to new messages"
    LISTEN_SAVED = "listen to saved messages"
    CHANGE_FOLDER = "change folder"
    ADVANCED = "advanced options"
    OPTIONS = "mailbox options"
    PREVIOUS = "previous message"
    REPEAT = "repeat the message"
    NEXT = "next message"
    DELETE = "delete or undelete"
    DELETE_ONLY = "delete"
    UNDELETE_OR_FORWARD = "undelete, or forward to another mailbox"
    FORWARD = "forward to another mailbox"
    SAVE_TO_FOLDER = "save to a folder"
    SAVE = "save"
    EMAIL = "send by e-mail"
    HELP = "hear the choices again"
    EXIT = "end"
    RETURN = "return"
    SKIP_INFO = "skip the envelope"
    RESTART = "play from the start"
    REWIND = "rewind"
    FAST_FORWARD = "fast-forward"
    PAUSE = "pause, resume"
    REPLY = "reply"
    CALL_BACK = "call back"
    ENVELOPE = "envelope"
    DIAL_OUT = "outgoing call"
    LEAVE_MESSAGE = "leave a message for a mailbox"
    RECORD_GREETING = "record a greeting"
    CHOOSE_GREETING = "choose a greeting"
    GREET_UNAVAILABLE = "greeting: not available"
    GREET_BUSY = "greeting: on the phone"
    GREET_NAME = "name"
    GREET_TEMPORARY = "temporary greeting"
    GREET_STANDARD = "standard greeting"
    REMOVE_GREETING = "remove the greeting"
    RECORD = "record"
    CHANGE_PIN = "change the PIN"
    FOLDER_NEW = "folder new"
    FOLDER_OLD = "folder old"
    FOLDER_WORK = "folder work"
    FOLDER_FAMILY = "folder family"
    FOLDER_FRIENDS = "folder friends"
    COMMENT = "record a comment first"
    SEND = "send without a comment"


NEEDS_MESSAGE: Final = frozenset({Action.REPLY, Action.CALL_BACK, Action.ENVELOPE})
"""Offered only once a message has been listened to."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A key of a menu."""

    action: Action
    prompt: str = ""
    """What is said before "press" and the key; empty: it is not offered aloud."""
    when_deleted: str = ""
    """What is said instead while the message is deleted."""


@dataclass(frozen=True, slots=True)
class KeyMap:
    """All menus."""

    name: KeyMapName
    states: Mapping[State, Mapping[str, Choice]]
    then_next: frozenset[Action] = frozenset()
    """After these the next message follows by itself."""


_GREETINGS: Final = {
    "1": Choice(Action.GREET_UNAVAILABLE, "vm-to-record-unavailable"),
    "2": Choice(Action.GREET_BUSY, "vm-to-record-busy"),
}
_TEMPORARY: Final = Choice(Action.GREET_TEMPORARY, "vm-to-record-temporary")

_COMEDIAN: Final = KeyMap(
    "comedian",
    {
        State.GREETING: {
            "#": Choice(Action.SKIP_GREETING),
            "0": Choice(Action.OPERATOR),
            "*": Choice(Action.LOGIN),
        },
        State.REVIEW: {
            "1": Choice(Action.ACCEPT, "vm-to-accept"),
            "2": Choice(Action.HEAR_RECORDING, "vm-to-review"),
            "3": Choice(Action.RE_RECORD, "vm-to-rerecord"),
            "4": Choice(Action.URGENT, "vm-to-mark-urgent"),
            "0": Choice(Action.OPERATOR),
        },
        State.MAIN: {
            "1": Choice(Action.LISTEN, "vm-to-listen"),
            "2": Choice(Action.CHANGE_FOLDER, "vm-to-change-folder"),
            "3": Choice(Action.ADVANCED, "vm-to-advanced"),
            "0": Choice(Action.OPTIONS, "vm-to-mailbox-options"),
            "*": Choice(Action.HELP),
            "#": Choice(Action.EXIT, "vm-to-exit"),
        },
        State.ENVELOPE: {
            "#": Choice(Action.SKIP_INFO),
        },
        State.PLAYING: {
            "*": Choice(Action.REWIND),
            "#": Choice(Action.FAST_FORWARD),
            "0": Choice(Action.PAUSE),
            "2": Choice(Action.RESTART),
        },
        State.MESSAGE: {
            "1": Choice(Action.LISTEN),
            "4": Choice(Action.PREVIOUS, "vm-to-previous"),
            "5": Choice(Action.REPEAT, "vm-to-repeat"),
            "6": Choice(Action.NEXT, "vm-to-next"),
            "7": Choice(Action.DELETE, "vm-to-delete", when_deleted="vm-to-undelete"),
            "8": Choice(Action.FORWARD, "vm-to-forward"),
            "9": Choice(Action.SAVE_TO_FOLDER, "vm-to-save-in-folder"),
            "2": Choice(Action.CHANGE_FOLDER, "vm-to-change-folder"),
            "3": Choice(Action.ADVANCED, "vm-to-advanced"),
            "0": Choice(Action.OPTIONS),
            "*": Choice(Action.HELP, "vm-to-help"),
            "#": Choice(Action.EXIT, "vm-to-exit"),
        },
        State.ADVANCED: {
            "1": Choice(Action.REPLY, "vm-to-reply"),
            "2": Choice(Action.CALL_BACK, "vm-to-call-back"),
            "3": Choice(Action.ENVELOPE, "vm-to-envelope"),
            "4": Choice(Action.DIAL_OUT, "vm-to-dial-out"),
            "5": Choice(Action.LEAVE_MESSAGE, "vm-to-leave-message"),
            "*": Choice(Action.RETURN, "vm-to-main-menu"),
        },
        State.OPTIONS: {
            **_GREETINGS,
            "3": Choice(Action.GREET_NAME, "vm-to-record-name"),
            "4": _TEMPORARY,
            "5": Choice(Action.CHANGE_PIN, "vm-to-change-password"),
            "*": Choice(Action.RETURN, "vm-to-main-menu"),
        },
        State.FOLDER: {
            "0": Choice(Action.FOLDER_NEW, "vm-to-folder-new"),
            "1": Choice(Action.FOLDER_OLD, "vm-to-folder-old"),
            "2": Choice(Action.FOLDER_WORK, "vm-to-folder-work"),
            "3": Choice(Action.FOLDER_FAMILY, "vm-to-folder-family"),
            "4": Choice(Action.FOLDER_FRIENDS, "vm-to-folder-friends"),
            "#": Choice(Action.RETURN, "vm-to-cancel"),
        },
        State.FORWARD: {
            "1": Choice(Action.COMMENT, "vm-to-add-comment"),
            "2": Choice(Action.SEND, "vm-to-send-now"),
            "*": Choice(Action.RETURN, "vm-to-cancel"),
        },
        State.GREETING_REVIEW: {
            "1": Choice(Action.ACCEPT, "vm-to-accept"),
            "2": Choice(Action.HEAR_RECORDING, "vm-to-review"),
            "3": Choice(Action.RE_RECORD, "vm-to-rerecord"),
            "4": Choice(Action.REMOVE_GREETING, "vm-to-remove-greeting"),
            "*": Choice(Action.RETURN, "vm-to-cancel"),
        },
        State.TEMPORARY: {
            "1": Choice(Action.RECORD, "vm-to-record-temporary"),
            "2": Choice(Action.REMOVE_GREETING, "vm-to-remove-temporary"),
            "*": Choice(Action.RETURN, "vm-to-main-menu"),
        },
    },
)

_FREESWITCH: Final = KeyMap(
    "freeswitch",
    {
        State.GREETING: {
            "#": Choice(Action.SKIP_GREETING),
            "9": Choice(Action.OPERATOR),
            "0": Choice(Action.OPERATOR),
            "*": Choice(Action.LOGIN),
        },
        State.REVIEW: {
            "1": Choice(Action.HEAR_RECORDING, "vm-to-review"),
            "2": Choice(Action.ACCEPT, "vm-to-accept"),
            "3": Choice(Action.RE_RECORD, "vm-to-rerecord"),
            "9": Choice(Action.OPERATOR),
        },
        State.URGENT: {
            "*": Choice(Action.URGENT, "vm-to-mark-urgent"),
            "#": Choice(Action.NOT_URGENT, "vm-to-send-now"),
        },
        State.MAIN: {
            "1": Choice(Action.LISTEN_NEW, "vm-to-listen-new"),
            "2": Choice(Action.LISTEN_SAVED, "vm-to-listen-saved"),
            "3": Choice(Action.DIAL_OUT, "vm-to-dial-out"),
            "5": Choice(Action.OPTIONS, "vm-to-configure"),
            "0": Choice(Action.HELP, "vm-to-help"),
            "#": Choice(Action.EXIT, "vm-to-exit"),
        },
        State.ENVELOPE: {
            "*": Choice(Action.SKIP_INFO),
        },
        State.PLAYING: {
            "1": Choice(Action.RESTART),
            "4": Choice(Action.REWIND),
            "6": Choice(Action.FAST_FORWARD),
            "0": Choice(Action.PAUSE),
        },
        State.MESSAGE: {
            "1": Choice(Action.REPEAT, "vm-to-repeat"),
            "2": Choice(Action.SAVE, "vm-to-save"),
            "7": Choice(Action.DELETE_ONLY, "vm-to-delete"),
            "8": Choice(Action.UNDELETE_OR_FORWARD, "vm-to-forward", when_deleted="vm-to-undelete"),
            "3": Choice(Action.ENVELOPE, "vm-to-envelope"),
            "4": Choice(Action.EMAIL, "vm-to-email"),
            "5": Choice(Action.CALL_BACK, "vm-to-call-back"),
            "9": Choice(Action.OPERATOR),
            "0": Choice(Action.HELP),
            "*": Choice(Action.RETURN, "vm-to-main-menu"),
            "#": Choice(Action.NEXT, "vm-to-next"),
        },
        State.OPTIONS: {
            "1": Choice(Action.RECORD_GREETING, "vm-to-record-greeting"),
            "2": Choice(Action.CHOOSE_GREETING, "vm-to-choose-greeting"),
            "3": Choice(Action.GREET_NAME, "vm-to-record-name"),
            "6": Choice(Action.CHANGE_PIN, "vm-to-change-password"),
            "0": Choice(Action.RETURN, "vm-to-main-menu"),
        },
        State.SLOT: {
            **_GREETINGS,
            "3": _TEMPORARY,
            "0": Choice(Action.RETURN, "vm-to-cancel"),
        },
        State.CHOOSE: {
            "1": Choice(Action.GREET_UNAVAILABLE, "vm-to-greeting-unavailable"),
            "2": Choice(Action.GREET_BUSY, "vm-to-greeting-busy"),
            "3": Choice(Action.GREET_TEMPORARY, "vm-to-greeting-temporary"),
            "9": Choice(Action.GREET_STANDARD, "vm-to-greeting-standard"),
            "0": Choice(Action.RETURN, "vm-to-cancel"),
        },
        State.FORWARD: {
            "1": Choice(Action.COMMENT, "vm-to-add-comment"),
            "2": Choice(Action.SEND, "vm-to-send-now"),
            "0": Choice(Action.RETURN, "vm-to-cancel"),
        },
        State.GREETING_REVIEW: {
            "1": Choice(Action.HEAR_RECORDING, "vm-to-review"),
            "2": Choice(Action.ACCEPT, "vm-to-accept"),
            "3": Choice(Action.RE_RECORD, "vm-to-rerecord"),
            "7": Choice(Action.REMOVE_GREETING, "vm-to-remove-greeting"),
            "0": Choice(Action.RETURN, "vm-to-cancel"),
        },
    },
    then_next=frozenset({Action.SAVE}),
)

KEY_MAPS: Final[Mapping[KeyMapName, KeyMap]] = {"comedian": _COMEDIAN, "freeswitch": _FREESWITCH}
