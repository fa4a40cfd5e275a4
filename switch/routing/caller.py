# SPDX-License-Identifier: Apache-2.0
"""Who calls, once that is known: what the dial plan and the legs of the call have to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from billing_client.rules.incoming import DEFAULT_MAX_CALLS
from switch.sip.mark import NOBODY

if TYPE_CHECKING:
    from billing_client.rules.books import Gateway
    from billing_client.rules.vouching import Vouched
    from switch.relay.ng import Relay
    from switch.sip.mark import Chain

__all__ = ["Caller", "Forwarding", "SentOn"]


@dataclass(frozen=True, slots=True)
class SentOn:
    """Why an account, and no forward of its own, sends a call on: its phone said so, by transfer or by redirection."""

    call_id: str
    """Of the call that is given away: the account may have no more calls than that one."""
    depth: int = 1
    """How many calls were sent on one after the other, with this one."""
    is_transfer: bool = True
    """By REFER; else its phone answered that it has moved."""


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
    public: str | None = None
    """The number of who called first, as carriers may see it; empty: there is none; None: as it is shown."""
    hides: bool | None = None
    """Whether the number is withheld."""
    language: str = ""
    """What who called first is spoken to in; empty: that of the media server."""
    keeps_messages: bool = False
    """Who forwards, or forwarded to him, takes the messages of this call himself: no mailbox further on does."""
    media_host: str = "127.0.0.1"
    """The address that the forwarded party's signalling comes from, once it has described its media: the relay, which
    serves both calls as one, is told where to expect it."""
    lent: tuple[Relay, str, str] | None = None
    """The relay that serves both calls, their name there, and the tag of who was called; None: not known."""
    sent_on: SentOn | None = None
    """Given where the account's phone sends the call on; None: a forward of the account does."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a call came from, after authentication."""

    number: str
    """What the callee sees (CLI)."""
    display: str
    gateway: Gateway | None
    """The carrier that it came through; None: a phone of ours."""
    forwarding: Forwarding | None = None
    """Given for a call that an account forwards."""
    is_application: bool = False
    """The media server makes the call on behalf of the account."""
    is_at_address: bool = False
    """The account was known by the address that the call came from."""
    is_charged_on_acceptance: bool = False
    """The media server rings somebody who has not asked for it: free unless it says that he pressed a key."""
    chain: Chain = NOBODY
    """What led here, where a forward or an application did."""
    is_identified: bool = False
    """Of a carrier's call: it vouches for the number, be that an account's or not."""
    vouched: Vouched = ""
    """The account is known by the calling number alone, and so much that shows."""
    is_hidden: bool = False
    """The number is withheld from who is called."""
    claimed: str = ""
    """A number that the phone of the account shows and that is not the account's."""

    @property
    def sent_on(self) -> SentOn | None:
        """Given where a phone of the account sends a call on."""
        return None if self.forwarding is None else self.forwarding.sent_on

    @property
    def transfers(self) -> SentOn | None:
        """Given where a phone of the account transfers a call: it dials, though it is not there."""
        sent_on = self.sent_on
        return sent_on if sent_on is not None and sent_on.is_transfer else None

    @property
    def is_own(self) -> bool:
        """Whether the account itself calls, by its phone or by its number (ANI)."""
        return self.forwarding is None and not self.is_application
