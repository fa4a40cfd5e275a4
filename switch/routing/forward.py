# SPDX-License-Identifier: Apache-2.0
"""A call that an account forwards: whose messages it is for, and what the forwarded party sees.

The switch sends itself an INVITE. So the forwarded leg is a call as any other: authorised, rated, limited, charged to
who forwards it, explained and forwarded again by the rules of who is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing_client.rules.callerid import is_public
from switch.routing.answering import takes_messages

if TYPE_CHECKING:
    from billing_client.parties import Party
    from billing_client.rules.incoming import AnsweringRules, Forward
    from switch.routing.caller import Caller

__all__ = ["keeps_messages", "public_number", "shown"]


def keeps_messages(rules: AnsweringRules, caller: Caller, *, serves_voicemail: bool) -> bool:
    """Whether the messages of a call that these rules forward are not for those whom it is forwarded to."""
    if caller.forwarding is not None and caller.forwarding.keeps_messages:
        return True
    return rules.messages == "own" and serves_voicemail and takes_messages(rules)


def public_number(forward: Forward, caller: Caller, account: Party | None) -> str | None:
    """The number of who calls as carriers may see it; empty: it has none; None: as it is shown. `account` calls."""
    if forward.caller_id == "forwarder" or caller.gateway is not None:
        return None
    if caller.forwarding is not None:
        return caller.forwarding.public
    if caller.is_application or account is None or is_public(caller.number):
        return None
    return account.shows.default


def shown(forward: Forward, caller: Caller, forwarder: Party) -> tuple[str, str]:
    """The number and name that a forwarded party sees."""
    match forward.caller_id:
        case "forwarder":
            return forwarder.number, forwarder.display
        case "caller_forwarder_name":
            return caller.number, forwarder.display or forwarder.number
        case _:
            return caller.number, caller.display
