# SPDX-License-Identifier: Apache-2.0
"""The INVITE of an outgoing leg: what the other side of a branch is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from switch.calls.crossing import Side, beside_description, extensions, invitation_lines
from switch.calls.view import source_of
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
    "is_private",
    "login_for",
]


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
        sender = self._sender(call, branch)
        host = Uri.parse(branch.uri).host if branch.gateway else domain
        hops = asked.max_forwards
        dialled = call.dialled if special is None or special.to is None else special.to
        lines: HeaderLines = [
            ("Max-Forwards", str(70 if hops is None else hops - 1)),
            ("From", str(NameAddr(sender.display, sender.uri_text, {"tag": self._new_token()}))),
            ("To", f"<{Uri('sip', branch.identity(dialled), host)}>"),
            ("Call-ID", self._new_token() + self._new_token()),
            ("CSeq", "1 INVITE"),
        ]
        lines += [("Route", route) for route in branch.routes]
        lines += self._crossing_lines(call, branch)
        # what is required of us is our affair: a far end that cannot do it is spoken to without (100rel: `Bridge`)
        supported = dict.fromkeys((*extensions(asked, "Supported"), *extensions(asked, "Require"), "timer"))
        lines.append(("Supported", ", ".join(supported)))
        if branch.gateway is not None:
            lines.append(("P-Asserted-Identity", f"<{Uri('sip', branch.identity(_payer_number(call)), domain)}>"))
        elif special is not None and special.asserts:
            lines.append(("P-Asserted-Identity", str(sender)))
        content_type, body = self._content(call, branch, body)
        if body:
            lines.append(("Content-Type", content_type))
        request = Request("INVITE", branch.uri, lines, body)
        if special is not None and special.asserts and self._marks is not None:
            self._marks.put(request, call.chain.longer())
        return request

    def _content(self, call: CallView, branch: Branch, description: bytes) -> tuple[str, bytes]:
        """The body of a branch's INVITE: the description that the relay made, and what of the caller's goes with it."""
        if call.invite.request.sdp is call.invite.request.body:
            return DESCRIPTION, description
        others = beside_description(call.invite.request, _target(call, branch), is_emergency=self._is_emergency(call))
        return joined(description, others) if others else (DESCRIPTION, description)

    def _crossing_lines(self, call: CallView, branch: Branch) -> HeaderLines:
        """The caller's header lines that cross, and where the call has been."""
        special, target = branch.invitation, _target(call, branch)
        is_hidden = _shows_forwarder(call, branch) if special is None else special.hides_privacy
        is_emergency = self._is_emergency(call)
        crossed = invitation_lines(
            call.invite.request, source_of(call), target, hides_caller=is_hidden, is_emergency=is_emergency
        )
        if special is not None:
            return [*special.first, *crossed, *special.last]
        if branch.gateway is not None and _is_foreign(call) and not any(name == "Diversion" for name, _ in crossed):
            forwarder = Uri("sip", branch.identity(_payer_number(call)), self._settings().domains[0])
            crossed.append(("Diversion", f"<{forwarder}>;reason=unknown;counter=1"))
        return crossed

    def _sender(self, call: CallView, branch: Branch) -> NameAddr:
        """Who calls, as the other side of a branch is to see it."""
        special, caller = branch.invitation, call.caller
        if _shows_forwarder(call, branch):
            display = call.account.display if call.account is not None else ""
            return NameAddr(display, str(Uri("sip", branch.identity(_payer_number(call)), self._settings().domains[0])))
        is_shown = self._is_emergency(call) or (special is not None and special.hides_privacy)
        if is_private(call.invite.request) and not is_shown:
            return NameAddr("Anonymous", "sip:anonymous@anonymous.invalid")
        number, display = (caller.number, caller.display) if caller else ("anonymous", "")
        if branch.gateway is not None and call.account is not None and source_of(call) is Side.PHONE:
            display = call.account.display  # what networks show to strangers is the account's name, not the phone's
        if special is not None and special.number is not None:
            number, display = special.number, special.display
        return NameAddr(display, str(Uri("sip", branch.identity(number), self._settings().domains[0])))

    def _is_emergency(self, call: CallView) -> bool:
        """Whether who helps must know who calls, whatever the caller or his phone says of privacy."""
        return call.dialled in self._settings().emergency_numbers


def _target(call: CallView, branch: Branch) -> Side:
    """Whom a branch leads to."""
    if branch.invitation is not None:
        return Side.OURSELVES
    is_phone = branch.gateway is None and call.plan is not None and call.plan.callee is not None
    return Side.PHONE if is_phone else Side.CARRIER


def _payer_number(call: CallView) -> str:
    """The number that we assert to a carrier (RFC 3325): of who pays; never what a stranger says that his is."""
    caller, account = call.caller, call.account
    if caller is not None and caller.is_own and caller.gateway is None:
        return caller.number  # it has logged in by this name
    return "anonymous" if account is None else account.number


def _is_foreign(call: CallView) -> bool:
    """Whether the number to show is somebody else's than the payer's, as in a call that is forwarded."""
    return call.caller is not None and call.caller.number != _payer_number(call)


def _shows_forwarder(call: CallView, branch: Branch) -> bool:
    """Whether a carrier is to get no other numbers than ours."""
    return branch.gateway is not None and branch.gateway.forwarded_caller == "forwarder" and _is_foreign(call)


def is_private(request: Request) -> bool:
    """Whether the caller withholds its number (RFC 3323, RFC 3325 section 9.3)."""
    if request.get("Privacy") is None:
        return request.from_.uri.user == "anonymous"
    wanted = {word.strip().lower() for value in request.values("Privacy") for word in value.split(";")}
    return bool(wanted & {"id", "user", "header"})


def login_for(gateway: Gateway | None, new_token: Callable[[], str]) -> Login | None:
    """What answers the challenges of a carrier on one leg; None: we have no credentials for it."""
    if gateway is None or gateway.username is None or gateway.password is None:
        return None
    return Login(gateway.username, gateway.password, new_token)
