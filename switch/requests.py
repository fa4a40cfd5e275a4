# SPDX-License-Identifier: Apache-2.0
"""Requests outside calls: REGISTER to the registrar, questions about ourselves, and the rest proxied to phones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from switch.core import EXTENSIONS, METHODS

if TYPE_CHECKING:
    from switch.call.services import Services
    from switch.registrar import Registrar
    from switch.sip.message import Response
    from switch.sip.transaction import ServerTransaction
    from switch.sip.user_agent import Arrived

__all__ = ["Requests"]

_ALLOW = ("Allow", ", ".join(METHODS))


class Requests:
    """Dispatches what arrives outside dialogs."""

    def __init__(self, services: Services, registrar: Registrar) -> None:
        self._services = services
        self._registrar = registrar

    def handle(self, arrived: Arrived) -> None:
        """Answer a request, or pass it on."""
        request, transaction = arrived.request, arrived.transaction
        match request.method:
            case "REGISTER":
                self._registrar.handle(request, arrived.flow, lambda response: self._reply(transaction, response))
            case "OPTIONS" if not request.uri.user:
                self._reply(transaction, request.response(200, to_tag=self._tag(), headers=_capabilities()))
            case "SUBSCRIBE" | "PUBLISH":
                self._reply(transaction, request.response(489, to_tag=self._tag(), headers=[("Allow-Events", "")]))
            case _:
                self._reply(transaction, request.response(405, to_tag=self._tag(), headers=[_ALLOW]))

    def _tag(self) -> str:
        return self._services.core.agent.new_token()

    def _reply(self, transaction: ServerTransaction, response: Response) -> None:
        self._services.core.reply(transaction, response)


def _capabilities() -> list[tuple[str, str]]:
    return [_ALLOW, ("Accept", "application/sdp"), ("Supported", ", ".join(EXTENSIONS))]
