# SPDX-License-Identifier: Apache-2.0
"""The INVITE of an outgoing leg: what the other side of a branch is told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from switch.calls.crossing import (
    Side,
    beside_description,
    extensions,
    invitation_lines,
    with_privacy,
    without_ways,
)
from switch.calls.view import source_of
from switch.routing.diversion import diverted_by
from switch.routing.identity import ANONYMOUS, Presented, diversion_lines, identity_lines
from switch.routing.location import location_lines, location_part
from switch.sip.login import Login
from switch.sip.message.address import NameAddr
from switch.sip.message.body import DESCRIPTION, joined
from switch.sip.message.errors import LocalProtocolError
from switch.sip.message.message import Request
from switch.sip.message.uri import Uri
from switch.sip.ways import House

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing_client.rules.books import Gateway
    from switch.calls.view import CallView
    from switch.routing.ways import Branch
    from switch.settings import SwitchSettings
    from switch.sip.element.core import Core
    from switch.sip.mark import Marks
    from switch.sip.message.message import HeaderLines
    from switch.sip.ways import Permit

__all__ = [
    "Invitations",
    "login_for",
]

NOBODY: Final = Presented(number="")


class Invitations:
    """Writes the INVITEs of a switch."""

    def __init__(self, settings: Callable[[], SwitchSettings], core: Core, marks: Marks | None) -> None:
        """`marks`: by which the media server knows them."""
        self._settings = settings
        self._core = core
        self._new_token = core.agent.new_token
        self._marks = marks

    def permit(self, call: CallView, branch: Branch) -> Permit | None:
        """What the INVITE of a branch shows at the way out."""
        if branch.is_server:
            return House.SERVER
        if branch.gateway is None:
            return None
        if call.warrant is None:
            self._core.faults += 1
            raise LocalProtocolError(f"an INVITE to {branch.gateway.name} belongs to no call in the store")
        return call.warrant

    def request(self, call: CallView, branch: Branch, body: bytes) -> Request:
        """The INVITE of a branch, but for Via and Contact."""
        asked, special = call.invite.request, branch.invitation
        domain = self._settings().domains[0]
        sender, identity = self._who(call, branch)
        host = Uri.parse(branch.uri).host if branch.gateway else domain
        hops = asked.max_forwards
        dialled = call.dialled if special is None or special.to is None else special.to
        lines: HeaderLines = [
            ("Max-Forwards", str(70 if hops is None else hops - 1)),
            ("From", str(NameAddr(sender.display, sender.uri_text, {"tag": self._new_token()}))),
            ("To", f"<{Uri('sip', branch.called(dialled), host)}>"),
            ("Call-ID", self._new_token() + self._new_token()),
            ("CSeq", "1 INVITE"),
        ]
        lines += [("Route", route) for route in branch.routes]
        lines += self._crossing_lines(call, branch)
        lines += identity
        lines += location_lines(self._known_location(call, branch))
        # what is required of us is our affair: a far end that cannot do it is spoken to without (100rel: `Bridge`)
        supported = dict.fromkeys((*extensions(asked, "Supported"), *extensions(asked, "Require"), "timer"))
        lines.append(("Supported", ", ".join(supported)))
        content_type, body = self._content(call, branch, body)
        if body:
            lines.append(("Content-Type", content_type))
        request = Request("INVITE", branch.uri, lines, body)
        if special is not None and special.asserts and self._marks is not None:
            self._marks.put(request, call.chain.longer())
        return request

    def _content(self, call: CallView, branch: Branch, description: bytes) -> tuple[str, bytes]:
        """The body of a branch's INVITE: the description that the relay made, and what of the caller's goes with it."""
        known = location_part(self._known_location(call, branch))
        if known is not None:
            return joined(description, (known,))
        if call.invite.request.sdp is call.invite.request.body:
            return DESCRIPTION, description
        others = beside_description(call.invite.request, _target(call, branch), is_emergency=self._is_emergency(call))
        return joined(description, others) if others else (DESCRIPTION, description)

    def _known_location(self, call: CallView, branch: Branch) -> str:
        """Where who calls for help is, unless his phone says it; empty: not known, or nobody's business."""
        request, account = call.invite.request, call.account
        is_told = bool(request.content.locations) or request.get("Geolocation") is not None
        if branch.gateway is None or account is None or is_told or not self._is_emergency(call):
            return ""
        return account.place.location

    def _crossing_lines(self, call: CallView, branch: Branch) -> HeaderLines:
        """The caller's header lines that cross, and where the call has been."""
        special, seen = branch.invitation, _presented(call)
        by_payer = branch.gateway is not None and seen.is_diverted and branch.gateway.forwarded_caller == "forwarder"
        is_hidden = by_payer if special is None else special.hides_privacy
        is_emergency = self._is_emergency(call)
        crossed = invitation_lines(
            call.invite.request,
            source_of(call),
            _target(call, branch),
            hides_caller=is_hidden,
            is_emergency=is_emergency,
        )
        if call.caller is not None and not is_hidden and not is_emergency:
            crossed = with_privacy(crossed, is_hidden=call.caller.is_hidden)
        if special is not None:
            return [*special.first, *crossed, *special.last]
        if branch.gateway is None or branch.route is None:
            return crossed
        crossed, ways = without_ways(crossed)
        if not branch.gateway.style.privacy:
            crossed = [line for line in crossed if line[0] != "Privacy"]
        if not (ways or seen.is_diverted):
            return crossed
        reason, counter = diverted_by(ways)
        domain = self._settings().domains[0]
        return [*crossed, *diversion_lines(seen, branch.route, domain, reason=reason, counter=counter)]

    def _who(self, call: CallView, branch: Branch) -> tuple[NameAddr, HeaderLines]:
        """Who calls, as the other side of a branch is to see it: From, and the header lines beside it."""
        special, domain = branch.invitation, self._settings().domains[0]
        if branch.route is not None:
            seen = _presented(call)
            return identity_lines(
                replace(seen, is_hidden=False) if self._is_emergency(call) else seen, branch.route, domain
            )
        sender = self._sender(call, branch, domain)
        return sender, [("P-Asserted-Identity", str(sender))] if special is not None and special.asserts else []

    def _sender(self, call: CallView, branch: Branch, domain: str) -> NameAddr:
        caller, special = call.caller, branch.invitation
        if special is not None and special.number is not None:
            number, display = special.number, special.display
        else:
            number, display = (caller.number, caller.display) if caller else ("anonymous", "")
        if special is None:
            number = self._as_dialled(call, number)
        is_shown = self._is_emergency(call) or (special is not None and special.hides_privacy)
        if caller is not None and caller.is_hidden and not is_shown:
            return ANONYMOUS
        return NameAddr(display, str(Uri("sip", branch.identity(number), domain)))

    def _as_dialled(self, call: CallView, number: str) -> str:
        """A caller's number as who is called would dial it: a colleague's extension, or by the number plan."""
        caller, account = call.caller, call.account
        callee = call.plan.callee if call.plan is not None else None
        if callee is None or caller is None:
            return number
        is_colleague = account is not None and account.customer_id == callee.customer_id
        if is_colleague and account is not None and account.extension and number == account.number and caller.is_own:
            return account.extension
        return callee.plan.within(self._settings().numbers).shown(number)

    def _is_emergency(self, call: CallView) -> bool:
        """Whether who helps must know who calls, whatever the caller or his phone says of privacy."""
        return call.dialled in self._settings().emergency_numbers


def _target(call: CallView, branch: Branch) -> Side:
    """Whom a branch leads to."""
    if branch.invitation is not None:
        return Side.OURSELVES
    is_phone = branch.gateway is None and call.plan is not None and call.plan.callee is not None
    return Side.PHONE if is_phone else Side.CARRIER


def _presented(call: CallView) -> Presented:
    """Who calls, as carriers may see it."""
    found = None if call.plan is None else call.plan.presented
    return found or NOBODY


def login_for(gateway: Gateway | None, new_token: Callable[[], str]) -> Login | None:
    """What answers the challenges of a carrier on one leg; None: we have no credentials for it."""
    if gateway is None or gateway.username is None or gateway.password is None:
        return None
    return Login(gateway.username, gateway.password, new_token, gateway.realm)
