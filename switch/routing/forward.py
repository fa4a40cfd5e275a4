# SPDX-License-Identifier: Apache-2.0
"""A call that an account forwards: what the call that it forwards tells the call that this makes.

The switch sends itself an INVITE. So the forwarded leg is a call as any other: authorised, rated, limited, charged to
who forwards it, explained and forwarded again by the rules of who is called.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from billing_client.rules.incoming import DEFAULT_MAX_CALLS
from switch.routing.answering import takes_messages
from switch.sip.mark import NOBODY

if TYPE_CHECKING:
    from billing_client.rules.incoming import AnsweringRules, Forward
    from billing_client.types import Party
    from switch.routing.plan import Caller
    from switch.sip.mark import Chain

__all__ = ["Forwarding", "keeps_messages", "shown"]


@dataclass(slots=True)
class Forwarding:
    """One forwarded leg."""

    account: str
    """Number of the account that forwards, and pays."""
    name: str
    """Of the forward: its calls are counted."""
    most: int = DEFAULT_MAX_CALLS
    number: str = ""
    """What the forwarded party sees of who calls."""
    display: str = ""
    call_id: str | None = None
    """Of the call that is forwarded; None: not known, or there is none."""
    chain: Chain = NOBODY
    """Who began the call that is forwarded, and through how many applications."""
    is_void: bool = False
    """Who was forwarded could not be connected when the other side answered: nobody pays for this leg."""
    language: str = ""
    """What who called first is spoken to in; empty: that of the media server."""
    keeps_messages: bool = False
    """Who forwards, or forwarded to him, takes the messages of this call himself: no mailbox further on does."""
    media_host: str = "127.0.0.1"
    """The address that the forwarded party's signalling comes from, once it has described its media: the relay, which
    serves both calls as one, is told where to expect it."""


def keeps_messages(rules: AnsweringRules, caller: Caller, *, serves_voicemail: bool) -> bool:
    """Whether the messages of a call that these rules forward are not for those whom it is forwarded to."""
    if caller.forwarding is not None and caller.forwarding.keeps_messages:
        return True
    return rules.messages == "own" and serves_voicemail and takes_messages(rules)


def shown(forward: Forward, caller: Caller, forwarder: Party) -> tuple[str, str]:
    """The number and name that a forwarded party sees."""
    match forward.caller_id:
        case "forwarder":
            return forwarder.number, forwarder.display
        case "caller_forwarder_name":
            return caller.number, forwarder.display or forwarder.number
        case _:
            return caller.number, caller.display
