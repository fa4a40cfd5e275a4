# SPDX-License-Identifier: Apache-2.0
"""The outgoing legs: where a plan leads, and the INVITE that goes there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from switch.calls.crossing import Side, beside_description, extensions, invitation_lines
from switch.calls.hunt import Branch, Stage
from switch.routing.carriers.gateways import GATEWAY_RESPONSE_SECONDS, GATEWAY_RING_SECONDS, MAX_ADDRESSES
from switch.sip.login import Login
from switch.sip.message.address import NameAddr
from switch.sip.message.body import DESCRIPTION, joined
from switch.sip.message.errors import LocalProtocolError
from switch.sip.message.message import Request
from switch.sip.message.uri import Uri
from switch.sip.message.wire import MAX_MESSAGE_BYTES
from switch.sip.ways import House

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing_client.rules.books import Gateway
    from billing_client.types import BindingRow, Party
    from switch.calls.call import Call
    from switch.calls.services import Services
    from switch.sip.element.core import Core
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import HeaderLines
    from switch.sip.ways import Permit
    from switch.trace.trace import Trace

__all__ = [
    "falls_back",
    "flow_for",
    "foreign_stages",
    "is_private",
    "login_for",
    "outgoing_request",
    "permit_of",
    "phone_stage",
]

OWN_LINES_BYTES: Final = 300
"""What Via, Contact and their kin add to a request."""


async def foreign_stages(services: Services, uri: str, trace: Trace) -> list[Stage]:
    """The addresses of a SIP URI of somebody else, as stages; none of a carrier, of ours, or of this machine."""
    found: list[Stage] = []
    target, destinations = Uri.parse(uri), services.core.destinations
    refusal = destinations.forward_refusal(target)
    hops = [] if refusal is not None else (await services.resolver.resolve(target))[:MAX_ADDRESSES]
    for hop in hops:
        refusal = destinations.elsewhere_refusal(hop.host, hop.port)
        if refusal is not None:
            continue
        try:
            branch = Branch(uri, services.core.transport.flow_to(hop))
        except LookupError:
            continue
        found.append(Stage((branch,), GATEWAY_RING_SECONDS, GATEWAY_RESPONSE_SECONDS))
    if refusal is not None:
        trace.add("route", "{uri} is not called: {why}", uri=uri, why=refusal)
    return found


def permit_of(call: Call, branch: Branch) -> Permit | None:
    """What the INVITE of a branch shows at the way out."""
    if branch.is_server:
        return House.SERVER
    if branch.gateway is None:
        return None
    warrant = call.payment.warrant
    if warrant is None:
        call.services.core.faults += 1
        raise LocalProtocolError(f"an INVITE to {branch.gateway.name} belongs to no call in the store")
    return warrant


def phone_stage(services: Services, callee: Party, bindings: Sequence[BindingRow], seconds: float) -> Stage:
    """The phones of an account, all at the same time."""
    targets = services.location.lookup(callee.name, bindings)
    branches = tuple(Branch(target.uri, target.flow, target.routes, natted=target.natted) for target in targets)
    return Stage(branches, seconds)


def flow_for(services: Services, branch: Branch, request: Request) -> Flow:
    """The flow that a request of a branch takes: TCP where it is too large for UDP (RFC 3261 section 18.1.1)."""
    if branch.hop is None:
        return branch.flow
    return services.core.transport.flow_to(branch.hop, len(request.to_bytes()) + OWN_LINES_BYTES)


def falls_back(services: Services, branch: Branch, failed: Flow) -> bool:
    """Whether a request that could not be sent by TCP for its size should go by UDP after all (the same section)."""
    hop = branch.hop
    if hop is None or failed.transport == hop.transport:
        return False
    return services.core.transport.flow_to(hop, MAX_MESSAGE_BYTES).transport == hop.transport


def outgoing_request(call: Call, branch: Branch, body: bytes) -> Request:
    """The INVITE of a branch, but for Via and Contact."""
    core, asked, special = call.services.core, call.invite.request, branch.invitation
    domain = call.services.settings.domains[0]
    sender = _sender(call, branch)
    host = Uri.parse(branch.uri).host if branch.gateway else domain
    hops = asked.max_forwards
    dialled = call.dialled if special is None or special.to is None else special.to
    lines: HeaderLines = [
        ("Max-Forwards", str(70 if hops is None else hops - 1)),
        ("From", str(NameAddr(sender.display, sender.uri_text, {"tag": core.agent.new_token()}))),
        ("To", f"<{Uri('sip', branch.identity(dialled), host)}>"),
        ("Call-ID", core.agent.new_token() + core.agent.new_token()),
        ("CSeq", "1 INVITE"),
    ]
    lines += [("Route", route) for route in branch.routes]
    lines += _crossing_lines(call, branch)
    # what is required of us is our affair: a far end that cannot do it is spoken to without (100rel: `Bridge`)
    supported = dict.fromkeys((*extensions(asked, "Supported"), *extensions(asked, "Require"), "timer"))
    lines.append(("Supported", ", ".join(supported)))
    if branch.gateway is not None:
        lines.append(("P-Asserted-Identity", f"<{Uri('sip', branch.identity(_payer_number(call)), domain)}>"))
    elif special is not None and special.asserts:
        lines.append(("P-Asserted-Identity", str(sender)))
    content_type, body = _content(call, branch, body)
    if body:
        lines.append(("Content-Type", content_type))
    request = Request("INVITE", branch.uri, lines, body)
    marks = call.services.check.marks
    if special is not None and special.asserts and marks is not None:
        marks.put(request, call.chain.longer())
    return request


def _target(call: Call, branch: Branch) -> Side:
    """Whom a branch leads to."""
    if branch.invitation is not None:
        return Side.OURSELVES
    is_phone = branch.gateway is None and call.plan is not None and call.plan.callee is not None
    return Side.PHONE if is_phone else Side.CARRIER


def _content(call: Call, branch: Branch, description: bytes) -> tuple[str, bytes]:
    """The body of a branch's INVITE: the description that the relay made, and what of the caller's goes with it."""
    if call.invite.request.sdp is call.invite.request.body:
        return DESCRIPTION, description
    others = beside_description(call.invite.request, _target(call, branch), is_emergency=_is_emergency(call))
    return joined(description, others) if others else (DESCRIPTION, description)


def _crossing_lines(call: Call, branch: Branch) -> HeaderLines:
    """The caller's header lines that cross, and where the call has been."""
    special, target = branch.invitation, _target(call, branch)
    is_hidden = _shows_forwarder(call, branch) if special is None else special.hides_privacy
    is_emergency = _is_emergency(call)
    crossed = invitation_lines(
        call.invite.request, call.source, target, hides_caller=is_hidden, is_emergency=is_emergency
    )
    if special is not None:
        return [*special.first, *crossed, *special.last]
    if branch.gateway is not None and _is_foreign(call) and not any(name == "Diversion" for name, _ in crossed):
        forwarder = Uri("sip", branch.identity(_payer_number(call)), call.services.settings.domains[0])
        crossed.append(("Diversion", f"<{forwarder}>;reason=unknown;counter=1"))
    return crossed


def _payer_number(call: Call) -> str:
    """The number that we assert to a carrier (RFC 3325): of who pays; never what a stranger says that his is."""
    caller, account = call.caller, call.account
    if caller is not None and caller.is_own and caller.gateway is None:
        return caller.number  # it has logged in by this name
    return "anonymous" if account is None else account.number


def _is_foreign(call: Call) -> bool:
    """Whether the number to show is somebody else's than the payer's, as in a call that is forwarded."""
    return call.caller is not None and call.caller.number != _payer_number(call)


def _shows_forwarder(call: Call, branch: Branch) -> bool:
    """Whether a carrier is to get no other numbers than ours."""
    return branch.gateway is not None and branch.gateway.forwarded_caller == "forwarder" and _is_foreign(call)


def _sender(call: Call, branch: Branch) -> NameAddr:
    """Who calls, as the other side of a branch is to see it."""
    special, caller = branch.invitation, call.caller
    if _shows_forwarder(call, branch):
        display = call.account.display if call.account is not None else ""
        return NameAddr(
            display, str(Uri("sip", branch.identity(_payer_number(call)), call.services.settings.domains[0]))
        )
    is_shown = _is_emergency(call) or (special is not None and special.hides_privacy)
    if is_private(call.invite.request) and not is_shown:
        return NameAddr("Anonymous", "sip:anonymous@anonymous.invalid")
    number, display = (caller.number, caller.display) if caller else ("anonymous", "")
    if branch.gateway is not None and call.account is not None and call.source is Side.PHONE:
        display = call.account.display  # what networks show to strangers is the account's name, not the phone's
    if special is not None and special.number is not None:
        number, display = special.number, special.display
    return NameAddr(display, str(Uri("sip", branch.identity(number), call.services.settings.domains[0])))


def _is_emergency(call: Call) -> bool:
    """Whether who helps must know who calls, whatever the caller or his phone says of privacy."""
    return call.dialled in call.services.settings.emergency_numbers


def is_private(request: Request) -> bool:
    """Whether the caller withholds its number (RFC 3323, RFC 3325 section 9.3)."""
    if request.get("Privacy") is None:
        return request.from_.uri.user == "anonymous"
    wanted = {word.strip().lower() for value in request.values("Privacy") for word in value.split(";")}
    return bool(wanted & {"id", "user", "header"})


def login_for(gateway: Gateway | None, core: Core) -> Login | None:
    """What answers the challenges of a carrier on one leg; None: we have no credentials for it."""
    if gateway is None or gateway.username is None or gateway.password is None:
        return None
    return Login(gateway.username, gateway.password, core.agent.new_token)
