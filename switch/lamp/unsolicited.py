# SPDX-License-Identifier: Apache-2.0
"""The lamp of phones that never subscribe: NOTIFY requests outside any dialog, to where they are registered.

No RFC has this, yet phones that show messages take it, and many know nothing else. To each phone there is one request
at a time, so that an old state can never arrive after a new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from switch.sip.message.message import Request
from switch.sip.message_summary import CONTENT_TYPE, PACKAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from switch.registrar.entries import Target
    from switch.sip.element.core import Core
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Response
    from switch.sip.session import Outcome
    from switch.sip.transaction import ClientTransaction

__all__ = ["Unsolicited"]

_Place = tuple[str, "Flow"]
_NEWS_LOST: Final = 500
"""From this status on a phone could not be told; below it, it does not want to be."""


class Unsolicited:
    """Tells phones that have not asked."""

    def __init__(self, core: Core, missed: Callable[[str], None]) -> None:
        """`missed` gets the number of an account a phone of which could not be told."""
        self._core = core
        self._missed = missed
        self._in_flight: dict[_Place, bytes | None] = {}
        """The state that came up since the request that is on its way, by where that goes."""
        self.sent = 0

    def tell(self, number: str, address: str, target: Target, body: bytes) -> None:
        """Tell one phone; `address` is its address of record."""
        place = (target.uri, target.flow)
        if place in self._in_flight:
            self._in_flight[place] = body
        else:
            self._core.perform(self._send(_Delivery(self, number, address, target), body))

    def _send(self, delivery: _Delivery, body: bytes) -> Outcome:
        core, target = self._core, delivery.target
        self._in_flight[target.uri, target.flow] = None
        new_token = core.agent.new_token
        lines = [
            ("Max-Forwards", "70"),
            ("From", f"<{delivery.address}>;tag={new_token()}"),
            ("To", f"<{delivery.address}>"),
            ("Call-ID", new_token()),
            ("CSeq", "1 NOTIFY"),
            *(("Route", route) for route in target.routes),
            ("Contact", core.contact(target.flow)),
            ("Event", PACKAGE),
            ("Subscription-State", "active"),
            ("Content-Type", CONTENT_TYPE),
        ]
        request = Request("NOTIFY", target.uri, lines, body)
        transaction, effects = core.agent.layer.send_request(request, target.flow, core.now())
        transaction.user = delivery
        self.sent += 1
        return [*effects]

    def answered(self, delivery: _Delivery, status: int, *, local: bool) -> Outcome:
        """A phone has answered, or never will."""
        newer = self._in_flight.pop((delivery.target.uri, delivery.target.flow), None)
        if local or status >= _NEWS_LOST:
            self._missed(delivery.number)
        elif newer is not None and status < 300:
            return self._send(delivery, newer)
        return []


class _Delivery:
    """What hangs on the transaction of one NOTIFY."""

    __slots__ = ("_owner", "address", "number", "target")

    def __init__(self, owner: Unsolicited, number: str, address: str, target: Target) -> None:
        self._owner = owner
        self.number = number
        self.address = address
        self.target = target

    def receive_response(
        self, transaction: ClientTransaction, response: Response, now: float, *, local: bool
    ) -> Outcome:
        """The answer to the NOTIFY."""
        if response.status < 200:
            return []
        return self._owner.answered(self, response.status, local=local)
