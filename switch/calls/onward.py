# SPDX-License-Identifier: Apache-2.0
"""Ways within the house: phones of accounts, places that they forward to, and applications of the media server."""

from __future__ import annotations

from dataclasses import replace
from random import SystemRandom
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from switch.calls.view import own_request
from switch.routing.answering import Course, Deposit, ForwardTo, RingPhones, Surroundings
from switch.routing.caller import Forwarding, SentOn
from switch.routing.diversion import diverted, is_loop
from switch.routing.forward import keeps_messages, public_number, shown
from switch.routing.plan import CARD, Application, Refusal
from switch.routing.ways import Branch, Invitation, Stage
from switch.sip.message.flow import INNER_FLOW, Hop
from switch.sip.message.host import bracketed
from switch.sip.message.reason import q850_cause
from switch.sip.message.uri import Uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from random import Random

    from billing_client.bindings import BindingRow
    from billing_client.parties import Party
    from billing_client.rules.incoming import Forward
    from billing_client.rules.trunks import Trunk
    from switch.access.occupancy import Occupancy
    from switch.calls.view import CallView
    from switch.registrar.bindings import Location
    from switch.routing.answering import Step
    from switch.routing.caller import Caller
    from switch.settings import SwitchSettings
    from switch.sip.element.core import Core
    from switch.sip.message.message import HeaderLines

__all__ = ["Inside", "Onward"]

APPLICATION_RING_SECONDS: Final = 180.0
"""How long an application may speak before it answers, or without answering at all."""
APPLICATION_RESPONSE_SECONDS: Final = 3.0
"""A media server that gives no sign of life for so long is dead."""
CONFIRM_SECONDS: Final = 20.0
"""How long who answers a forward may take to press the key."""


class Inside:
    """Finds ways within the house, for one switch."""

    def __init__(
        self, settings: Callable[[], SwitchSettings], core: Core, location: Location, occupancy: Occupancy
    ) -> None:
        self._settings = settings
        self._core = core
        self._location = location
        self.occupancy = occupancy
        """Who holds how many calls of the media server."""
        self.random: Random = SystemRandom()

    @property
    def settings(self) -> SwitchSettings:
        """Those of this moment."""
        return self._settings()

    def phones(self, callee: Party, bindings: Sequence[BindingRow], seconds: float, dialled: str) -> Stage:
        """The phones of an account, all at the same time. A telephone system that registers is told which of its
        numbers was dialled (SIPconnect 1.1: the number is the user part of the request URI)."""
        targets = self._location.lookup(callee.name, bindings)
        branches = tuple(Branch(target.uri, target.flow, target.routes, natted=target.natted) for target in targets)
        trunk = callee.trunk
        if trunk is not None:
            branches = tuple(
                replace(one, uri=_with_user(one.uri, trunk.number(dialled)), trunk=trunk) for one in branches
            )
        return Stage(branches, seconds)

    def application(
        self, call: CallView, application: Application, step: Deposit | None = None, *, called: Party | None = None
    ) -> Stage:
        """The media server; without branches where there is none. `called`: the account whose mailbox it is."""
        settings, account = self.settings, call.account
        if settings.media_server is None:
            return Stage((), APPLICATION_RING_SECONDS)
        first: HeaderLines = []
        last: HeaderLines = []
        if step is not None and application.target is not None:
            target = f"sip:{application.name}@{settings.domains[0]}"
            first, last = diverted(
                own_request(call), application.target, settings.domains[0], target, cause=step.cause, reason=step.reason
            )
        caller = call.caller
        if account is not None and caller is not None and caller.is_own and _opens(caller, application):
            first = [*first, _served(account.number, settings.domains[0])]
        if caller is not None:
            known = (*_vouched(caller), *_spoken(_language(call, called)))
            application = replace(application, params=(*application.params, *known))
        special = Invitation(name=application.name, asserts=True, first=first, last=last)
        return self.server(call, application, special)

    def server(
        self, call: CallView, application: Application, special: Invitation, *, plain_target: bool = False
    ) -> Stage:
        """`sip:APPLICATION@HOST:PORT;target=...;...` (RFC 4458 section 2)."""
        settings = self.settings
        assert settings.media_server is not None
        full = self.occupancy.enter(call.call_id, call.chain, application.name, settings.application_limits)
        if full is not None:
            call.is_limited(Refusal(full.status, q850_cause(full.status), full.text))
            call.trace.add("limit", "{name} is not asked for: {text}", name=application.name, text=full.text)
            return Stage((), APPLICATION_RING_SECONDS)
        host, port = settings.media_server
        params: dict[str, str] = {}
        if application.target is not None:
            is_uri = application.target.startswith(("sip:", "sips:"))
            target = application.target if is_uri or plain_target else f"sip:{application.target}@{settings.domains[0]}"
            params["target"] = quote(target, safe="")
        params.update((name, quote(value, safe="")) for name, value in application.params)
        uri = str(Uri("sip", application.name, bracketed(host), port, params))
        try:
            flow = self._core.transport.flow_to(Hop("udp", host, port))
        except LookupError:
            return Stage((), APPLICATION_RING_SECONDS)
        branch = Branch(uri, flow, invitation=special, is_server=True)
        return Stage((branch,), APPLICATION_RING_SECONDS, APPLICATION_RESPONSE_SECONDS, forwards=bool(special.last))


class Onward:
    """The way of one call to an account, step by step."""

    __slots__ = ("_bindings", "_call", "_callee", "_inside", "course")

    def __init__(self, inside: Inside, call: CallView, callee: Party, bindings: tuple[BindingRow, ...]) -> None:
        self._inside = inside
        self._call = call
        self._callee = callee
        self._bindings = bindings
        settings, caller = inside.settings, call.caller
        surroundings = Surroundings(
            at=call.started_at,
            ring_seconds=settings.ring_seconds,
            may_forward=not is_loop(own_request(call), callee.number, settings.domains),
            serves_voicemail=settings.media_server is not None,
            takes_messages=caller is None or caller.forwarding is None or not caller.forwarding.keeps_messages,
            rings_alias=callee.name != callee.number,
        )
        self.course = Course(callee.answering, surroundings, inside.random, call.trace)

    @property
    def trunk(self) -> Trunk | None:
        """How the account is called, if it is a telephone system at addresses of its own."""
        trunk = self._callee.trunk
        return trunk if trunk is not None and trunk.to else None

    def stage(self, step: Step) -> Stage:
        """Whom to ring for a step; without branches where nobody is there."""
        callee, inside = self._callee, self._inside
        if isinstance(step, RingPhones):
            return inside.phones(callee, self._bindings, step.seconds, self._call.dialled)
        if isinstance(step, Deposit):
            application = Application("voicemail", callee.number, (("cause", str(step.cause)),))
            return inside.application(self._call, application, step, called=callee)
        found = (self._branch(forward, step) for forward in step.forwards)
        branches = tuple(branch for branch in found if branch is not None)
        longest = max((branch.ring_seconds or 0.0 for branch in branches), default=0.0)
        return Stage(branches, longest, forwards=True, decline_ends=step.decline_ends)

    def moved(self, forward: Forward) -> Branch | None:
        """The way on that a phone of the account names instead of answering: as a forward of its own; None: it may not
        send calls on, or has sent this one on already."""
        call, callee = self._call, self._callee
        is_round = is_loop(own_request(call), callee.number, self._inside.settings.domains)
        if is_round or callee.transfers == "nowhere" or forward.to in (callee.number, call.dialled):
            return None
        sent_on = SentOn(call.call_id, call.depth + 1, is_transfer=False)
        return self._branch(forward, ForwardTo((forward,), 302, "deflection"), sent_on)

    def _branch(self, forward: Forward, step: ForwardTo, sent_on: SentOn | None = None) -> Branch | None:
        call, callee = self._call, self._callee
        domain = self._inside.settings.domains[0]
        caller = call.caller
        assert caller is not None
        number, display = shown(forward, caller, callee)
        target = _target(forward, call.dialled, domain)
        first, last = diverted(own_request(call), callee.number, domain, target, cause=step.cause, reason=step.reason)
        invitation = Invitation(
            name=f"forward {forward.name} to {forward.to}",
            number=number,
            display=display,
            to=call.dialled if forward.keep_cld else Uri.parse(target).user,
            hides_privacy=forward.caller_id == "forwarder",
            first=first,
            last=last,
        )
        if forward.confirm:
            return self._confirming(forward, invitation, step)
        serves = self._inside.settings.media_server is not None
        forwarding = Forwarding(
            callee.number,
            forward.name,
            forward.max_calls,
            number,
            display,
            call_id=call.call_id,
            chain=call.chain,
            keeps_messages=keeps_messages(callee.answering, caller, serves_voicemail=serves),
            language=_language(call, callee),
            public=public_number(forward, caller, call.account),
            hides=caller.is_hidden and forward.caller_id != "forwarder",
            sent_on=sent_on,
        )
        seconds, special = float(forward.seconds), replace(invitation, forwarding=forwarding)
        return Branch(target, INNER_FLOW, ring_seconds=seconds, invitation=special)

    def _confirming(self, forward: Forward, invitation: Invitation, step: ForwardTo) -> Branch | None:
        """The media server dials, and answers only once the other side has pressed the key."""
        declined = (("declined", "603"),) if step.decline_ends else ()
        params = (("seconds", str(forward.seconds)), *declined, *_spoken(self._callee.language))
        application = Application("confirm", forward.to, params)
        served = _served(self._callee.number, self._inside.settings.domains[0])
        special = replace(invitation, asserts=True, first=[*invitation.first, served], to=None)
        stage = self._inside.server(self._call, application, special, plain_target=True)
        if not stage.branches:
            return None
        return Branch(
            stage.branches[0].uri,
            stage.branches[0].flow,
            ring_seconds=forward.seconds + CONFIRM_SECONDS,
            invitation=special,
            is_server=True,
        )


def _with_user(uri: str, user: str) -> str:
    return str(replace(Uri.parse(uri), user=user))


def _opens(caller: Caller, application: Application) -> bool:
    """A number that somebody has claimed by telephone dials on its card, and opens nothing else."""
    return caller.vouched != "claimed" or application.name == CARD


def _vouched(caller: Caller) -> Iterator[tuple[str, str]]:
    """What the application is told of how the caller is known."""
    if caller.gateway is not None:
        yield "gateway", caller.gateway.name
        if caller.is_identified:
            yield "identified", "yes"
    if caller.vouched:
        yield "vouched", caller.vouched


def _language(call: CallView, called: Party | None) -> str:
    """Whose language a caller hears: that of the account that calls, or called before it was forwarded, else of who is
    called. Empty: that of the media server."""
    if call.caller is not None and call.caller.forwarding is not None:
        return call.caller.forwarding.language
    party = call.account or called
    return "" if party is None else party.language


def _spoken(language: str) -> tuple[tuple[str, str], ...]:
    """What the application is told of that."""
    return (("language", language),) if language else ()


def _served(account: str, domain: str) -> tuple[str, str]:
    """Whose service this is (RFC 5502)."""
    return ("P-Served-User", f"<{Uri('sip', account, domain)}>;sescase=orig")


def _target(forward: Forward, dialled: str, domain: str) -> str:
    """The URI that a forward leads to."""
    if not forward.to.startswith(("sip:", "sips:")):
        return str(Uri("sip", forward.to, domain))
    return str(replace(Uri.parse(forward.to), user=dialled)) if forward.keep_cld else forward.to
