# SPDX-License-Identifier: Apache-2.0
"""Event subscriptions as their notifier keeps them (RFC 6665 section 4.2). Pure.

A subscription is a dialog with an end. The newest state goes out in NOTIFY requests, one at a time: what changes while
one is unanswered goes out with the next, so that an old state can never arrive after a new one. It ends when its time
is over, when the subscriber says so, or when a NOTIFY finds nobody (section 4.2.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import ceil
from typing import TYPE_CHECKING, Final, Protocol

from switch.sip.dialog import Dialog, check_target
from switch.sip.message.errors import ParseError
from switch.sip.message.grammar import parse_params, whole_number
from switch.sip.session import SessionEvent
from switch.sip.ways import anywhere

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Request, Response
    from switch.sip.session import Outcome
    from switch.sip.transaction import ClientTransaction, TransactionLayer
    from switch.sip.ways import Ways

__all__ = ["Notifier", "Subscription", "SubscriptionEnded", "SubscriptionLimits", "Wanted", "read_subscribe"]

_PATIENCE_SECONDS: Final = 32.0
"""A subscriber waits so long for the NOTIFY to its SUBSCRIBE (RFC 6665 section 4.1.2.4, timer N)."""
_MAX_RETRY_AFTER: Final = 3600


class SubscriptionLimits(Protocol):
    """How long subscriptions may last, in seconds."""

    @property
    def min_expires(self) -> int:
        """Shorter ones are refused with 423."""

    @property
    def default_expires(self) -> int:
        """For a SUBSCRIBE that asks for nothing."""

    @property
    def max_expires(self) -> int:
        """Longer ones are cut down to this."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a SUBSCRIBE asks for."""

    event: str
    """The Event value as it goes into every NOTIFY: the package, and the id if one was given (section 8.2.1)."""
    expires: int
    """Seconds; 0: only the state of this moment."""


def read_subscribe(
    request: Request, package: str, content_type: str, limits: SubscriptionLimits
) -> Wanted | tuple[int, list[tuple[str, str]]]:
    """What a SUBSCRIBE wants of `package`, or the status and header lines that refuse it. Raises ParseError."""
    name, _, rest = (request.get("Event") or "").partition(";")
    if name.strip().lower() != package:
        return 489, [("Allow-Events", package)]
    if not _accepts(request, content_type):
        return 406, [("Accept", content_type)]
    identity = parse_params(f";{rest}").get("id") if rest.strip() else None
    text = (request.get("Expires") or "").strip()
    expires = limits.default_expires
    if text:
        wanted = whole_number(text, 20)
        if wanted is None:
            raise ParseError("malformed Expires")
        expires = wanted
    if 0 < expires < limits.min_expires:
        return 423, [("Min-Expires", str(limits.min_expires))]
    return Wanted(f"{package};id={identity}" if identity else package, min(expires, limits.max_expires))


def _accepts(request: Request, content_type: str) -> bool:
    """Whether the subscriber reads this type; without Accept it reads what its package demands (section 3.1.3)."""
    if request.get("Accept") is None:
        return True
    ranges = {value.partition(";")[0].strip().lower() for value in request.values("Accept")}
    return bool(ranges & {content_type, f"{content_type.partition('/')[0]}/*", "*/*"})


class Notifier:
    """What all subscriptions of one event package share."""

    __slots__ = ("contact", "content_type", "headers", "layer", "route", "sleep", "watch", "ways")

    def __init__(
        self,
        layer: TransactionLayer,
        *,
        contact: Callable[[Flow], str],
        route: Callable[[Subscription], Flow | None],
        watch: Callable[[Subscription], None],
        sleep: Callable[[Subscription], None],
        content_type: str,
        headers: Sequence[tuple[str, str]] = (),
        ways: Callable[[], Ways] = anywhere,
    ) -> None:
        self.layer = layer
        self.contact = contact
        """The Contact value for messages over a flow."""
        self.route = route
        """The way to a subscriber; None: there is none now, and what is to be said waits for `flush`."""
        self.watch = watch
        """Notes that a deadline may have become earlier."""
        self.sleep = sleep
        """Forgets the timers of a subscription."""
        self.content_type = content_type
        self.headers = headers
        """Header lines of every NOTIFY."""
        self.ways = ways
        """Gives what dialogs ask before they believe a subscriber."""


class State(Enum):
    """Where a subscription stands."""

    ACTIVE = "active"
    ENDING = "ending"
    """The last NOTIFY is still to be sent."""
    OVER = "over"


@dataclass(frozen=True, slots=True)
class SubscriptionEnded(SessionEvent):
    """A subscription is over."""

    subscription: Subscription
    reason: str
    """A reason of section 4.1.3, or the status of the NOTIFY that failed."""

    @property
    def owner(self) -> object:
        """Whose subscription it was."""
        return self.subscription.owner


class Subscription:
    """One subscription; it hangs itself on the transactions of its NOTIFY requests."""

    __slots__ = (
        "_body",
        "_failed",
        "_in_flight",
        "_is_due",
        "_notifier",
        "_reason",
        "_retry_at",
        "dialog",
        "entry",
        "event",
        "expires_at",
        "owner",
        "state",
        "subject",
    )

    def __init__(
        self, notifier: Notifier, dialog: Dialog, event: str, expires_at: float, *, owner: object, subject: str
    ) -> None:
        self._notifier = notifier
        self.dialog = dialog
        self.event = event
        self.expires_at = expires_at
        """Monotonic seconds."""
        self.owner = owner
        """Told of `SubscriptionEnded`."""
        self.subject = subject
        """Whose state it is about; free for the owner."""
        self.state = State.ACTIVE
        self.entry = 0
        self._reason = ""
        self._body: bytes | None = None
        self._is_due = True
        self._in_flight: ClientTransaction | None = None
        self._failed: Flow | None = None
        self._retry_at = 0.0
        notifier.watch(self)

    @classmethod
    def begin(
        cls,
        notifier: Notifier,
        request: Request,
        flow: Flow,
        wanted: Wanted,
        tag: str,
        now: float,
        *,
        owner: object,
        subject: str,
    ) -> Subscription:
        """The subscription that a SUBSCRIBE outside dialogs makes (section 4.2.1); raises ParseError."""
        dialog = Dialog.of_server(request, tag, flow, notifier.ways)
        new = cls(notifier, dialog, wanted.event, now + wanted.expires, owner=owner, subject=subject)
        if not wanted.expires:
            new._end("timeout", now)
        return new

    @property
    def owes_state(self) -> bool:
        """Whether a NOTIFY is due whatever the state is: each SUBSCRIBE is followed by one (section 4.2.1.2)."""
        return self._is_due

    def ask(self) -> None:
        """Have the subscriber told again what the state is, even if it is what was told last."""
        self._is_due = self.state is not State.OVER

    @property
    def body(self) -> bytes | None:
        """The state that was given last."""
        return self._body

    @property
    def is_waiting(self) -> bool:
        """Whether something is to be said that could not be sent."""
        return self._is_due and self._in_flight is None and self.state is not State.OVER

    # the subscriber ---------------------------------------------------------------------------------------------
    def renew(self, request: Request, flow: Flow, wanted: Wanted, now: float) -> int:
        """A SUBSCRIBE within the dialog: refresh, target refresh or end of the subscription; returns the status."""
        if self.state is not State.ACTIVE or wanted.event != self.event:
            return 481
        if not self.dialog.accepts_cseq(request):
            return 500  # RFC 3261 12.2.2
        if request.contact is not None:
            check_target(request, flow, self.dialog.ways())
            self.dialog.refresh_target(request, flow)
            self.dialog.natted = Dialog.of_server(request, self.dialog.local_tag, flow, self.dialog.ways).natted
        self._is_due = True
        self._failed = None
        if wanted.expires:
            self.expires_at = now + wanted.expires
            self._notifier.watch(self)
        else:
            self._end("timeout", now)
        return 200

    def receive_response(
        self, transaction: ClientTransaction, response: Response, now: float, *, local: bool
    ) -> Outcome:
        """The answer to our NOTIFY (section 4.2.2); `local`: none came (408), or it could not be sent (503)."""
        if response.status < 200 or transaction is not self._in_flight:
            return []
        self._in_flight = None
        if self.state is State.OVER:
            return []
        if response.status < 300:
            self._failed = None
            return self.flush(now)
        if local and response.status == 503 and self._failed is None:
            return self._turn(transaction.flow, now)
        seconds = None if local or response.status == 481 else _retry_after(response)
        if seconds is None:
            return self._over(f"{response.status} to NOTIFY" if not local else "unreachable")
        self._is_due = True
        self._retry_at = now + seconds
        self._notifier.watch(self)
        return []

    def _turn(self, failed: Flow, now: float) -> Outcome:
        """A way is closed: take another one, or wait for the subscriber to show up."""
        self._failed, self._is_due = failed, True
        return [] if self._notifier.route(self) == failed else self.flush(now)

    # the state --------------------------------------------------------------------------------------------------
    def notify(self, body: bytes, now: float) -> Outcome:
        """Tell the subscriber the state."""
        self._body = body
        self._is_due = True
        return self.flush(now)

    def end(self, reason: str, now: float) -> Outcome:
        """End the subscription, with a reason of section 4.1.3."""
        if self.state is State.ACTIVE:
            self._end(reason, now)
            self.expires_at, self._retry_at, self._is_due = now, 0.0, True
        return self.flush(now)

    def give_way(self, now: float) -> Outcome:
        """End the subscription at once, in silence where a NOTIFY is still unanswered."""
        outcome = self.end("noresource", now)
        return outcome if self.state is State.OVER else outcome + self._over("noresource")

    def flush(self, now: float) -> Outcome:
        """Send what is to be said, if it can be sent now."""
        if not self.is_waiting or now < self._retry_at:
            return []
        if self._body is None and (self.state is State.ACTIVE or now < self.expires_at):
            return []  # nobody has told us the state yet
        flow = self._notifier.route(self)
        if flow is None:
            return self._over("unreachable") if self.state is State.ENDING else []
        transaction, effects = self._notifier.layer.send_request(self._request(flow, now), flow, now)
        self._is_due = False
        outcome: Outcome = [*effects]
        if self.state is State.ENDING:
            return outcome + self._over(self._reason)
        transaction.user = self
        self._in_flight = transaction
        return outcome

    def _request(self, flow: Flow, now: float) -> Request:
        if self.state is State.ENDING:
            state = f"terminated;reason={self._reason}"
        else:
            state = f"active;expires={max(1, ceil(self.expires_at - now))}"
        lines = [
            ("Contact", self._notifier.contact(flow)),
            ("Event", self.event),
            ("Subscription-State", state),
            *self._notifier.headers,
        ]
        if self._body is not None:
            lines.append(("Content-Type", self._notifier.content_type))
        return self.dialog.request("NOTIFY", lines, self._body or b"")

    def _end(self, reason: str, now: float) -> None:
        self.state, self._reason = State.ENDING, reason
        self.expires_at = now if self._body is not None else now + _PATIENCE_SECONDS
        self._notifier.watch(self)

    def _over(self, reason: str) -> Outcome:
        self.state = State.OVER
        self._is_due = False
        self._notifier.sleep(self)
        return [SubscriptionEnded(self, reason)]

    # timers -----------------------------------------------------------------------------------------------------
    @property
    def next_deadline(self) -> float | None:
        """When to call `handle_timer`, in monotonic seconds."""
        if self.state is State.OVER or (self.state is State.ENDING and self._in_flight is not None):
            return None
        return min(self.expires_at, self._retry_at) if self._retry_at and self._is_due else self.expires_at

    def handle_timer(self, now: float) -> Outcome:
        """The subscription's time is over, or a NOTIFY may be tried again."""
        if self._retry_at <= now:
            self._retry_at = 0.0
        if self.state is State.ACTIVE and self.expires_at <= now:
            return self.end("timeout", now)
        if self.state is State.ENDING and self.expires_at <= now:
            self._retry_at = 0.0
        return self.flush(now)


def _retry_after(response: Response) -> int | None:
    """Seconds after which a NOTIFY may be tried again; None: it failed for good."""
    text = (response.get("Retry-After") or "").partition("(")[0].partition(";")[0].strip()
    seconds = whole_number(text, 8)
    return None if seconds is None else min(max(1, seconds), _MAX_RETRY_AFTER)
