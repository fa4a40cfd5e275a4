# SPDX-License-Identifier: Apache-2.0
"""The message lamp (RFC 3842): answers SUBSCRIBE, and sees to it that every phone knows how many messages wait.

What is told, and to whom, is decided when the store has said what is in the mailbox; whatever happens before (a
SUBSCRIBE, a registration, a change of the mailbox, a restart) only notes that an account is to be looked at. So a burst
costs one look, and while the store is away nothing is lost.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from billing_client.types import StoreError
from switch.lamp.news import PAUSE_SECONDS, TOLD_AT_A_TIME, News
from switch.lamp.records import Records, resumed_dialog
from switch.lamp.unsolicited import Unsolicited
from switch.routing.number import NOBODY, number_of
from switch.sip.digest import Verdict
from switch.sip.message.errors import ParseError
from switch.sip.message.uri import Uri
from switch.sip.message.validate import stateless_tag
from switch.sip.message_summary import CONTENT_TYPE, NO_MESSAGES, PACKAGE, MessageCounts, message_summary
from switch.sip.subscription import Notifier, Subscription, SubscriptionEnded, Wanted, read_subscribe

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence

    from billing_client.lamps import SubscriptionRow
    from billing_client.parties import Parties, Subscriber
    from billing_client.rules.numbering import Number
    from billing_client.store import Store
    from switch.access.caller import Shown
    from switch.access.check import CallerCheck
    from switch.lamp.news import Counts
    from switch.registrar.bindings import Location
    from switch.settings import SwitchSettings
    from switch.sip.dialog import DialogId
    from switch.sip.element.core import Core
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Request
    from switch.sip.session import Outcome, SessionEvent
    from switch.sip.user_agent import Arrived

__all__ = ["ALLOW_EVENTS", "Lamp"]

log = logging.getLogger(__name__)

ALLOW_EVENTS: Final = ("Allow-Events", PACKAGE)
_MAX_SUBSCRIPTIONS: Final = 20
"""Of one account; those that end first give way, such as those of a phone that forgets them at every start."""
_SETTLE_SECONDS: Final = 0.5
"""A phone that has registered may subscribe next: then it need not be told twice."""
_CSEQ_STEP: Final = 500
"""After so many NOTIFY requests a subscription is written down again (see `billing_client.store.CSEQ_LEAP`)."""


class Lamp:
    """All subscriptions of this node, and the phones that registered here."""

    def __init__(
        self,
        core: Core,
        check: CallerCheck,
        location: Location,
        settings: Callable[[], SwitchSettings],
        store: Store,
    ) -> None:
        self._core = core
        self._check = check
        self._location = location
        self._settings = settings
        self._subscriptions: dict[DialogId, Subscription] = {}
        self._of_account: dict[str, list[Subscription]] = {}
        self._aliases: dict[str, set[str]] = {}
        """Names other than its number by which phones of an account register here."""
        self._told: dict[str, MessageCounts] = {}
        """What the phones of an account know, where a message is in its mailbox; other lamps are dark."""
        self._forced: set[str] = set()
        """Accounts with phones that are to be told even what has not changed."""
        self._missed: set[str] = set()
        """Accounts with phones that could not be told; they are when they register again."""
        self._news = News(store, self._tell, clock=core.now)
        self._named_at = core.now() + settings().registration.max_expires
        """From then on every phone that is registered has told its name to this life, an alias or not."""
        self._records = Records(store, clock=store.clock, now=core.now)
        self._unsolicited = Unsolicited(core, self._missed.add)
        self._notifier = Notifier(
            core.agent.layer,
            contact=core.contact,
            route=self._route,
            watch=core.agent.watch,
            sleep=core.agent.forget,
            content_type=CONTENT_TYPE,
            ways=lambda: core.destinations,
        )
        self._resumed = asyncio.Event()
        self._resumed_here: list[Subscription] = []
        """Subscriptions of an earlier life, until all of them have been told."""
        self._tasks: list[asyncio.Task[None]] = []
        self.notified = 0
        """NOTIFY requests to subscribers."""

    def start(self) -> None:
        """Begin to tell; the subscriptions of this node's earlier life are taken back meanwhile."""
        work = (self._news.run(), self._records.run(), self._take_back())
        self._tasks = [asyncio.create_task(each) for each in work]

    async def _take_back(self) -> None:
        try:
            await self._records.resume(self._resume)
        finally:
            self._resumed.set()
        # messages may have come and gone while nobody told the phones
        self._news.walk(forced=True, then=lambda: self._keep(self._tell_dark()))

    async def _tell_dark(self) -> None:
        """Tell the subscribers of the earlier life that no walk has met, without asking: nothing waits for them.

        So those who are there no more are noticed (RFC 6665 section 4.2.2).
        """
        resumed, self._resumed_here = self._resumed_here, []
        for number, subscription in enumerate(resumed, 1):
            if subscription.body is None:
                self._notify(subscription, self._body(subscription.subject, NO_MESSAGES))
            if number % TOLD_AT_A_TIME == 0:
                await asyncio.sleep(PAUSE_SECONDS)

    async def close(self) -> None:
        """Subscriptions stay: the next life of this node goes on with them."""
        self._resumed.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._records.close()

    def __len__(self) -> int:
        """Subscriptions held."""
        return len(self._subscriptions)

    @property
    def unwritten(self) -> int:
        """Changes of subscriptions that the store does not have yet."""
        return self._records.unwritten

    @property
    def unsolicited(self) -> int:
        """NOTIFY requests to phones that had not asked."""
        return self._unsolicited.sent

    def dump(self) -> list[dict[str, Any]]:
        """Live state for the administrator."""
        now = self._core.now()
        return [
            {
                "account": subscription.subject,
                "event": subscription.event,
                "state": subscription.state.value,
                "target": subscription.dialog.remote_target,
                "flow": subscription.dialog.flow,
                "expires": round(subscription.expires_at - now),
                "cseq": subscription.dialog.local_cseq,
                "waiting": subscription.is_waiting,
            }
            for subscription in self._subscriptions.values()
        ]

    def clock_set(self) -> None:
        """The store's clock was set: subscriptions end there when they end here."""
        for subscription in self._subscriptions.values():
            self._records.write(subscription)

    # SUBSCRIBE --------------------------------------------------------------------------------------------------
    def handle(self, arrived: Arrived) -> None:
        """Answer a SUBSCRIBE."""
        request, check = arrived.request, self._check
        try:
            wanted = read_subscribe(request, PACKAGE, CONTENT_TYPE, self._settings().subscription)
            if not isinstance(wanted, Wanted):
                self._refuse(arrived, wanted[0], *wanted[1])
            elif request.to_tag is not None and self._known(request) is None:
                if self._resumed.is_set():
                    self._refuse(arrived, 481)
                else:
                    self._keep(self._handle_later(arrived))
            elif check.gateway(arrived.flow) is not None:
                self._answer(arrived, 403)  # carriers have no mailboxes
            elif isinstance(shown := check.shown(request, arrived.flow), Verdict):
                self._challenge(arrived, shown)
            else:
                self._keep(self._authenticate(arrived, wanted, shown))
        except ParseError as error:
            self._refuse(arrived, error.status)

    def _keep(self, work: Coroutine[None, None, None]) -> None:
        self._core.keep(asyncio.get_running_loop().create_task(work))

    async def _handle_later(self, arrived: Arrived) -> None:
        """A dialog that is not known yet: it may be one of those that are still being read."""
        await self._resumed.wait()
        self.handle(arrived)

    def _known(self, request: Request) -> Subscription | None:
        return self._subscriptions.get((request.call_id, request.to_tag or "", request.from_tag or ""))

    async def _authenticate(self, arrived: Arrived, wanted: Wanted, shown: Shown) -> None:
        request = arrived.request
        dialled = self._dialled(request)
        try:
            found = await self._check.identify(shown, request, arrived.flow, dialled)
        except StoreError:
            self._answer(arrived, 503, ("Retry-After", "10"))
            return
        if isinstance(found, Verdict):
            self._challenge(arrived, found)
            return
        number, status = _owner(found[0], dialled.text)
        if status:
            self._answer(arrived, status)
            return
        try:
            self._accept(arrived, wanted, number)
        except ParseError as error:
            self._answer(arrived, error.status)

    def _dialled(self, request: Request) -> Number:
        """Whose mailbox is meant; nobody's: the sender's own."""
        number = number_of(request.uri)
        is_own = request.to_tag is not None or number.text in self._settings().mailbox_numbers
        return NOBODY if is_own else number

    def _accept(self, arrived: Arrived, wanted: Wanted, number: str) -> None:
        """Raises ParseError."""
        request, flow, now = arrived.request, arrived.flow, self._core.now()
        subscription = self._known(request)
        if request.to_tag is not None:
            if subscription is None or subscription.subject != number:
                self._answer(arrived, 481 if subscription is None else 403)
                return
            status = subscription.renew(request, flow, wanted, now)
            if status != 200:
                self._answer(arrived, status)
                return
        else:
            tag = self._core.agent.new_token()
            subscription = Subscription.begin(
                self._notifier, request, flow, wanted, tag, now, owner=self, subject=number
            )
            self._add(subscription)
        self._answer(
            arrived,
            200,
            ("Expires", str(wanted.expires)),
            ("Contact", self._core.contact(flow)),
            ALLOW_EVENTS,
            tag=subscription.dialog.local_tag,
        )
        if wanted.expires:
            self._records.write(subscription)
        elif subscription.body is not None:
            self._perform(subscription, subscription.flush(now))
            return
        self._news.ask(number)

    def _challenge(self, arrived: Arrived, verdict: Verdict) -> None:
        """401, not 407: the lamp is ours, we do not pass the request on (RFC 3261 section 22)."""
        challenge = self._check.challenge(arrived.request, arrived.flow, verdict, status=401)
        self._core.refuse(arrived.transaction, challenge)

    def _refuse(self, arrived: Arrived, status: int, *headers: tuple[str, str]) -> None:
        """Answer somebody who has not shown who he is, without state."""
        request = arrived.request
        response = request.response(status, to_tag=stateless_tag(request), headers=headers)
        self._core.refuse(arrived.transaction, response)

    def _answer(self, arrived: Arrived, status: int, *headers: tuple[str, str], tag: str | None = None) -> None:
        tag = tag or self._core.agent.new_token()
        self._core.reply(arrived.transaction, arrived.request.response(status, to_tag=tag, headers=headers))

    # subscriptions ----------------------------------------------------------------------------------------------
    def _add(self, subscription: Subscription) -> None:
        others = self._of_account.setdefault(subscription.subject, [])
        if len(others) >= _MAX_SUBSCRIPTIONS:
            first = min(others, key=lambda other: other.expires_at)
            self._perform(first, first.give_way(self._core.now()))
        self._subscriptions[subscription.dialog.id] = subscription
        self._of_account.setdefault(subscription.subject, []).append(subscription)

    def _resume(self, row: SubscriptionRow, ends_at: float) -> None:
        try:
            dialog = resumed_dialog(row, lambda: self._core.destinations)
        except (ValueError, ParseError):
            log.warning("a subscription cannot be read", extra={"tag": row.tag})
            return
        if dialog.id in self._subscriptions:
            return  # it is of this life, and was written while we read
        subscription = Subscription(self._notifier, dialog, row.event, ends_at, owner=self, subject=row.account)
        self._add(subscription)
        self._resumed_here.append(subscription)

    def receive(self, event: SessionEvent) -> None:
        """A subscription is over."""
        if not isinstance(event, SubscriptionEnded):
            return
        subscription, number = event.subscription, event.subscription.subject
        if self._subscriptions.pop(subscription.dialog.id, None) is None:
            return
        others = self._of_account[number]
        others.remove(subscription)
        if not others:
            del self._of_account[number]
        self._records.remove(subscription)
        if event.reason != "timeout":
            log.info("a subscription ended", extra={"account": number, "reason": event.reason})
            self._force(number)  # its phone may have lost it, and be registered all the same

    def _perform(self, subscription: Subscription, outcome: Outcome) -> None:
        before = subscription.dialog.local_cseq // _CSEQ_STEP
        self._core.perform(outcome)
        if subscription.dialog.local_cseq // _CSEQ_STEP != before:
            self._records.write(subscription)

    def _route(self, subscription: Subscription) -> Flow | None:
        """The way to a subscriber: that of its dialog, or where its Contact is registered now (RFC 5626)."""
        dialog, transport = subscription.dialog, self._core.transport
        flow = dialog.next_flow()
        is_open = transport.is_open(flow)
        if is_open and not dialog.natted:
            return flow
        registered = self._registered_flow(subscription)
        if registered is not None or is_open:
            return registered or flow
        return dialog.next_flow() if dialog.reconnect() else None

    def _registered_flow(self, subscription: Subscription) -> Flow | None:
        contact = _place(subscription.dialog.remote_target)
        if subscription.dialog.route_set or contact is None:
            return None
        for aor in self._names_of(subscription.subject):
            for target in self._location.own_targets(aor):
                if not target.routes and _place(target.uri) == contact:
                    return target.flow
        return None

    # news -------------------------------------------------------------------------------------------------------
    def mailbox_changed(self, number: str | None) -> None:
        """The store says that messages came, were heard or deleted; None: anywhere."""
        if number is None:
            self._news.walk(list(self._told))
        elif self._has_phones(number) or self._core.now() < self._named_at:
            self._news.ask(number)
        else:
            self._told.pop(number, None)

    def registered(self, subscriber: Subscriber, new: Sequence[str]) -> None:
        """A phone has registered; `new` are its bindings that are new, or whose phone has restarted."""
        number = subscriber.number
        if subscriber.name != number:
            self._aliases.setdefault(number, set()).add(subscriber.name)
        subscriptions = self._of_account.get(number, ())
        if new:
            for subscription in subscriptions:
                subscription.ask()  # if its phone has restarted and forgotten it, the answer tells
            asyncio.get_running_loop().call_later(_SETTLE_SECONDS, self._force, number)
        elif number in self._missed or any(subscription.is_waiting for subscription in subscriptions):
            self._force(number)

    def _force(self, number: str) -> None:
        self._missed.discard(number)
        if self._has_phones(number):
            self._forced.add(number)
            self._news.ask(number)

    def _names_of(self, number: str) -> Iterable[str]:
        aliases = self._aliases.get(number)
        return (number,) if aliases is None else (number, *aliases)

    def _has_phones(self, number: str) -> bool:
        return number in self._of_account or any(map(self._location.has, self._names_of(number)))

    def _learn_names(self, number: str, names: Sequence[str]) -> None:
        """By what names phones of an account are registered that did so with this node's earlier life."""
        for name in names:
            if name != number and self._location.has(name):
                self._aliases.setdefault(number, set()).add(name)

    def _tell(self, number: str, found: Counts | None, is_forced: bool) -> None:
        """The store has said what is in a mailbox; None: the account has none."""
        if found is not None:
            self._learn_names(number, found.names)
        is_forced = is_forced or number in self._forced
        self._forced.discard(number)
        if not self._has_phones(number):
            self._told.pop(number, None)
            return
        counts = (
            NO_MESSAGES if found is None else MessageCounts(found.new, found.old, found.new_urgent, found.old_urgent)
        )
        body = self._body(number, counts)
        for subscription in tuple(self._of_account.get(number, ())):
            if subscription.owes_state or subscription.body != body:
                self._notify(subscription, body)
        if found is not None and (is_forced or self._told.get(number, NO_MESSAGES) != counts):
            self._tell_registrations(number, body)
        if counts == NO_MESSAGES:
            self._told.pop(number, None)
        else:
            self._told[number] = counts

    def _body(self, number: str, counts: MessageCounts) -> bytes:
        return message_summary(str(Uri("sip", number, self._settings().domains[0])), counts)

    def _notify(self, subscription: Subscription, body: bytes) -> None:
        outcome = subscription.notify(body, self._core.now())
        self.notified += bool(outcome)
        self._perform(subscription, outcome)

    def _tell_registrations(self, number: str, body: bytes) -> None:
        """Phones that subscribed are left out: they know."""
        ways = [self._route(subscription) for subscription in self._of_account.get(number, ())]
        domain = self._settings().domains[0]
        known = {(flow.transport, flow.remote) for flow in ways if flow is not None}
        for aor in self._names_of(number):
            for target in self._location.own_targets(aor):
                if (target.flow.transport, target.flow.remote) not in known:
                    self._unsolicited.tell(number, str(Uri("sip", aor, domain)), target, body)


def _owner(parties: Parties, dialled: str) -> tuple[str, int]:
    """The number of the account whose mailbox a subscription is about, or the status that refuses it."""
    caller, callee = parties.caller, parties.callee
    if caller is None or caller.refusal is not None or (caller.via == "alias" and not caller.may_call):
        return "", 403
    if dialled and callee is None:
        return "", 404
    if dialled and callee is not None and callee.number != caller.number:
        return "", 403  # another one's mailbox
    return caller.number, 0


def _place(uri: str) -> tuple[str | None, str, int | None] | None:
    """What two Contact URIs of one phone have in common."""
    try:
        parsed = Uri.parse(uri)
    except ParseError:
        return None
    return parsed.user, parsed.host.lower(), parsed.port
