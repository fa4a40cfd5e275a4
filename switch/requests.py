# SPDX-License-Identifier: Apache-2.0
"""Requests outside calls: REGISTER to the registrar, SUBSCRIBE to the lamp, questions about ourselves, and messages to
phones; whatever else would reach a phone is refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from billing_client.types import StoreError
from switch.calls.crossing import MESSAGES, message_refusal, replied, too_many
from switch.lamp.lamp import ALLOW_EVENTS
from switch.routing.identity import ANONYMOUS
from switch.routing.number import number_of
from switch.sip.digest import Verdict
from switch.sip.element.core import ALLOW, EXTENSIONS
from switch.sip.message.address import NameAddr
from switch.sip.message.errors import ParseError
from switch.sip.message.uri import Uri
from switch.sip.message.validate import stateless_tag
from switch.sip.proxy import ProxyContext, prepare

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing_client.parties import Parties, Party
    from switch.access.caller import Shown
    from switch.access.check import CallerCheck
    from switch.access.pace import Pace
    from switch.lamp import Lamp
    from switch.registrar.bindings import Location
    from switch.registrar.registrar import Registrar
    from switch.routing.caller import Caller
    from switch.settings import SwitchSettings
    from switch.sip.element.core import Core
    from switch.sip.message.message import Request
    from switch.sip.transaction import NonInviteServerTransaction
    from switch.sip.user_agent import Arrived

__all__ = ["Requests"]

_ALLOW: Final = ("Allow", f"{ALLOW}, REGISTER")
_CAPABILITIES: Final = (
    _ALLOW,
    ("Accept", "application/sdp"),
    ("Supported", ", ".join(EXTENSIONS)),
    ALLOW_EVENTS,
)


class Requests:
    """Dispatches what arrives outside dialogs."""

    def __init__(
        self,
        core: Core,
        registrar: Registrar,
        lamp: Lamp,
        *,
        check: CallerCheck,
        location: Location,
        messages: Pace,
        settings: Callable[[], SwitchSettings],
    ) -> None:
        self._core = core
        self._check = check
        self._location = location
        self._messages = messages
        self._settings = settings
        self._registrar = registrar
        self._lamp = lamp

    def handle(self, arrived: Arrived) -> None:
        """Answer a request, or pass it on."""
        request, transaction = arrived.request, arrived.transaction
        if request.method == "REGISTER":
            core = self._core
            self._registrar.handle(
                request,
                arrived.flow,
                lambda response: core.reply(transaction, response),
                lambda response: core.refuse(transaction, response),
            )
        elif request.method == "REFER":
            self._refuse(arrived, 403)  # who calls whom, and who pays, is not for others to say
        elif request.method == "SUBSCRIBE":
            self._lamp.handle(arrived)
        elif request.to_tag is not None:
            self._refuse(arrived, 481)
        elif request.method == "OPTIONS":
            self._refuse(arrived, 200, *_CAPABILITIES)  # the same for every name, whether it is one or not
        elif request.method == "NOTIFY":
            self._refuse(arrived, 481)  # we have subscribed to nothing, and phones get only our own (RFC 6665 4.1.3)
        elif request.method == "MESSAGE":
            self._message(arrived)
        elif request.method == "PUBLISH":
            self._refuse(arrived, 489, ALLOW_EVENTS)  # nobody's state is published here
        else:
            self._refuse(arrived, 405, _ALLOW)

    def _message(self, arrived: Arrived) -> None:
        check = self._check
        try:
            shown = check.shown(arrived.request, arrived.flow)
        except ParseError as error:
            self._refuse(arrived, error.status)
            return
        if isinstance(shown, Verdict):
            challenge = check.challenge(arrived.request, arrived.flow, shown)
            self._core.refuse(arrived.transaction, challenge)
            return
        self._core.keep(asyncio.get_running_loop().create_task(self._pass_on(arrived, shown)))

    async def _pass_on(self, arrived: Arrived, shown: Shown) -> None:
        """A message, from one who may send it, to all phones of an account (RFC 3261 section 16)."""
        core, request = self._core, arrived.request
        dialled = number_of(request.uri)
        try:
            found = await self._check.identify(shown, request, arrived.flow, dialled)
        except StoreError:
            self._answer(arrived, 503, ("Retry-After", "10"))
            return
        if isinstance(found, Verdict):
            core.refuse(arrived.transaction, self._check.challenge(request, arrived.flow, found))
            return
        parties, sender = found
        recipients = (parties.callee.number,) if parties.callee else ()
        seconds = self._messages.wait(_keys(parties, sender), recipients)
        answer = message_refusal(request) if seconds is None else too_many(seconds)
        if answer is not None:
            self._answer(arrived, answer.status, *answer.headers)
            return
        status = _refusal(arrived, parties, sender)
        if status is not None or parties.callee is None:
            self._answer(arrived, status or 404)
            return
        targets = self._location.lookup(parties.callee.name, parties.bindings)
        try:
            prepared = self._prepare(request, sender, dialled.text)
        except ParseError as error:
            self._answer(arrived, error.status)
            return
        transaction: NonInviteServerTransaction = arrived.transaction  # type: ignore[assignment]  # no INVITE comes here
        agent = core.agent
        context = ProxyContext(agent.layer, transaction, prepared, targets, new_tag=agent.new_token, replied=replied)
        core.perform(context.start(core.now()))
        agent.watch(context)

    def _prepare(self, request: Request, sender: Caller, dialled: str) -> Request:
        domain = self._settings().domains[0]
        shown = NameAddr(sender.display, str(Uri("sip", sender.number, domain)))
        if sender.is_hidden:
            shown = ANONYMOUS
        to = str(Uri("sip", dialled, domain))
        return prepare(request, is_ours=self._is_ours, sender=shown, to=to, crossing=MESSAGES)

    def _is_ours(self, uri: Uri) -> bool:
        return uri.host in self._settings().domains

    def _refuse(self, arrived: Arrived, status: int, *headers: tuple[str, str]) -> None:
        """Answer anybody, without state: the same request gets the same answer again."""
        request = arrived.request
        response = request.response(status, to_tag=stateless_tag(request), headers=headers)
        self._core.refuse(arrived.transaction, response)

    def _answer(self, arrived: Arrived, status: int, *headers: tuple[str, str]) -> None:
        core = self._core
        core.reply(
            arrived.transaction, arrived.request.response(status, to_tag=core.agent.new_token(), headers=headers)
        )


def _refusal(arrived: Arrived, parties: Parties, sender: Caller) -> int | None:
    """Why a request is not passed on, as a status."""
    if parties.callee is None:
        return 404
    account = parties.caller if sender.gateway is None else None
    if account is not None and (account.refusal is not None or _is_mere_alias(account)):
        return 403
    if sender.gateway is None and arrived.request.from_.uri.user not in _names(parties, sender):
        return 403  # nobody writes in another one's name
    return 480 if parties.callee.refusal is not None else None


def _keys(parties: Parties, sender: Caller) -> tuple[tuple[str, ...]]:
    """Whose messages are counted together: those of an account, or of a number behind a carrier."""
    if sender.gateway is not None:
        return ((sender.gateway.name, sender.number),)
    return (("account", parties.caller.number if parties.caller is not None else ""),)


def _is_mere_alias(sender: Party) -> bool:
    """Whether somebody logged in by a name that only leads calls to its account."""
    return sender.via == "alias" and not sender.may_call


def _names(parties: Parties, sender: Caller) -> set[str | None]:
    return {sender.number, parties.caller.number if parties.caller else None}
