# SPDX-License-Identifier: Apache-2.0
"""A line: our registration at a carrier that wants one (RFC 3261 section 10, we being the client). Pure.

| what comes                               | then                                                             |
|------------------------------------------|------------------------------------------------------------------|
| 2xx                                      | registered; asked again after four fifths of its time            |
| 401, 407                                 | answered by our name and password, where its realm is the line's |
| 423                                      | asked at once for as long as it wants                            |
| nothing for 5 s, or 5xx, or unreachable  | the next address at once; after the last one a pause             |
| anything else                            | a longer pause; we are not registered any more                   |

Pauses double from 2 s to two minutes, of refusals from 30 s to ten minutes; Retry-After makes them longer, up to an
hour. A registration that cannot be refreshed counts until its time is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from switch.routing.carriers.rests import retry_after
from switch.routing.carriers.uris import gateway_uri
from switch.sip.login import Login
from switch.sip.message.address import NameAddr
from switch.sip.message.errors import ParseError
from switch.sip.message.grammar import whole_number
from switch.sip.message.message import Request
from switch.sip.message.uri import Uri

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing_client.rules.books import Gateway
    from switch.sip.message.message import HeaderLines, Response

__all__ = ["PATIENCE_SECONDS", "Line"]

PATIENCE_SECONDS: Final = 5.0
_REFRESH: Final = 0.8
"""Of the time that a registration lasts."""
_LEAST_SECONDS: Final = 10.0
_LONGEST_EXPIRES: Final = 86_400
_SILENT_PAUSES: Final = (2.0, 120.0)
_REFUSED_PAUSES: Final = (30.0, 600.0)
_LONGEST_PAUSE: Final = 3600.0
_LOST_SECONDS: Final = 60.0


class Line:
    """One registration; `now` is monotonic."""

    def __init__(self, gateway: Gateway, new_token: Callable[[], str], now: float) -> None:
        """It is to be asked for at once."""
        self.gateway = gateway
        self.due_at = now
        """When `ask` is to be called, unless an answer comes before."""
        self.registered_until = 0.0
        self.why = "not asked yet"
        """What the carrier said last, in words."""
        self.asked = 0
        """REGISTERs so far."""
        self._new_token = new_token
        self._call_id = new_token() + new_token()
        self._expires = gateway.register_seconds
        self._place = 0
        self._failures = 0
        self._is_waiting = False
        self._lost_at = float("-inf")
        self._rounds = 0
        self._request: Request | None = None
        self._login = Login(gateway.username or "", gateway.password or "", new_token, gateway.realm)

    def is_registered(self, now: float) -> bool:
        """Whether the carrier has us."""
        return now < self.registered_until

    @property
    def place(self) -> tuple[str, int | None]:
        """Where the next REGISTER goes."""
        places = self.gateway.places
        return places[self._place % len(places)]

    def wake(self, now: float) -> bool:
        """What was due is: silence counts as a failure; whether a REGISTER is to go out now."""
        if self._is_waiting:
            self._failed(now, "it gives no sign of life")
        return self.due_at <= now

    def ask(self, contact: str, now: float) -> Request:
        """A REGISTER; `contact` is ours, in brackets."""
        return self._send([("Contact", f"{contact};expires={self._expires}"), ("Expires", str(self._expires))], now)

    def leave(self, contact: str, now: float) -> Request:
        """The REGISTER that ends it."""
        return self._send([("Contact", f"{contact};expires=0"), ("Expires", "0")], now)

    def _send(self, lines: HeaderLines, now: float) -> Request:
        gateway, self._rounds, self._is_waiting = self.gateway, 0, True
        registrar = gateway_uri(gateway)
        address = f"<{Uri('sip', gateway.username, registrar.host)}>"
        request = Request(
            "REGISTER",
            str(registrar),
            [
                ("Max-Forwards", "70"),
                ("From", f"{address};tag={self._new_token()}"),
                ("To", address),
                ("Call-ID", self._call_id),
                ("CSeq", "1 REGISTER"),
                *lines,
            ],
        )
        return self._numbered(request, now)

    def _numbered(self, request: Request, now: float) -> Request:
        self.asked += 1
        self.due_at = now + PATIENCE_SECONDS
        request.set("CSeq", f"{self.asked} REGISTER")
        self._request = request.copy()  # it gets a Via of its own each time
        return request

    def answered(self, response: Response, now: float, *, local: bool) -> Request | None:
        """An answer; the request that is to follow at once, if one is. Answers that are late say nothing."""
        if not self._is_waiting or response.status < 200 or response.cseq != self.asked:
            return None
        status, words = response.status, f"{response.status} {response.reason}"
        if local:
            self._failed(now, "it cannot be reached")
        elif status < 300:
            self._taken(response, now)
        elif status in (401, 407):
            return self._challenged(response, now)
        elif status == 423 and self._is_longer(response):
            self._is_waiting, self.due_at = False, now
        elif status >= 500 and status < 600:
            self._failed(now, f"it answers {words}", retry_after(response))
        else:
            self.registered_until = 0.0
            self._pause(now, f"it answers {words}", _REFUSED_PAUSES, retry_after(response))
        return None

    def unreachable(self, now: float) -> None:
        """Nothing could be sent: its name leads nowhere."""
        self._failed(now, "no address of it is known")

    def lost(self, now: float) -> None:
        """A call was refused as by somebody whom the carrier does not know: it is asked at once, once a minute at
        most, as the reason may have been another."""
        if not self._is_waiting and self.is_registered(now) and now - self._lost_at >= _LOST_SECONDS:
            self._lost_at = self.due_at = now

    def _taken(self, response: Response, now: float) -> None:
        expires = self._granted(response)
        if expires <= 0:
            self.registered_until = 0.0
            self._pause(now, "it answers 200 without registering us", _REFUSED_PAUSES)
            return
        self._is_waiting, self._failures, self.why = False, 0, "registered"
        self.registered_until = now + expires
        self.due_at = now + max(expires * _REFRESH, min(_LEAST_SECONDS, expires / 2))

    def _granted(self, response: Response) -> int:
        """Seconds, as our Contact says, or Expires, or as we wanted."""
        texts = [response.get("Expires")]
        for value in response.values("Contact"):
            try:
                contact = NameAddr.parse(value)
                if contact.uri.user == self.gateway.line:
                    texts.insert(0, contact.params.get("expires"))
            except ParseError:
                continue  # somebody else's
        found = (whole_number(text.strip(), 10) for text in texts if text is not None)
        return min(next((one for one in found if one is not None), self._expires), _LONGEST_EXPIRES)

    def _challenged(self, response: Response, now: float) -> Request | None:
        request = self._request
        lines = None if request is None else self._login.answers(request, response, self._rounds)
        if request is None or lines is None:
            self.registered_until = 0.0
            self._pause(now, f"it refuses our credentials ({response.status})", _REFUSED_PAUSES)
            return None
        self._rounds += 1
        for name in {name for name, _ in lines}:
            request.remove(name)
        for name, value in lines:
            request.add(name, value)
        return self._numbered(request, now)

    def _is_longer(self, response: Response) -> bool:
        least = whole_number((response.get("Min-Expires") or "").strip(), 10)
        if least is None or not self._expires < least <= _LONGEST_EXPIRES:
            return False
        self._expires = least
        return True

    def _failed(self, now: float, why: str, after: float | None = None) -> None:
        """The address says nothing of us: the next one is asked at once, if there is one that was not."""
        self._place += 1
        if self._place % len(self.gateway.places):
            self._is_waiting, self.due_at, self.why = False, now, why
        else:
            self._pause(now, why, _SILENT_PAUSES, after)

    def _pause(self, now: float, why: str, between: tuple[float, float], after: float | None = None) -> None:
        first, most = between
        seconds = min(first * 2.0 ** min(self._failures, 20), most)
        self._failures += 1
        self._is_waiting, self.why = False, why
        self.due_at = now + min(max(seconds, after or 0.0), _LONGEST_PAUSE)
