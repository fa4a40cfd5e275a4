# SPDX-License-Identifier: Apache-2.0
"""The applications of the media server, and what each of them is given: the composition root of `ivr`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from billing_client.answering import StoreAnswering
from billing_client.emergencies import StoreEmergencies
from billing_client.mailboxes.mailboxes import StoreMailboxes
from billing_client.secrets.keyring import KeyFile
from billing_client.secrets.passwords import Passwords
from billing_client.selfcare import StoreSelfCare
from billing_client.vouchers.receipts import StoreReceipts
from ivr.apps.announcement import announcement
from ivr.apps.confirm import confirm
from ivr.apps.echo import echo
from ivr.apps.feature import feature
from ivr.apps.menu.attendant import menu
from ivr.apps.selfcare.balance import balance
from ivr.apps.selfcare.callback import callback
from ivr.apps.selfcare.calling_card import calling_card
from ivr.apps.selfcare.desk import Desk
from ivr.apps.selfcare.phones import PROVE, prove_phone
from ivr.apps.selfcare.recharge import recharge
from ivr.apps.voicemail.deposit import deposit
from ivr.apps.voicemail.owner.access import access
from ivr.post.mail import deliver_forever, purge_forever
from ivr.post.texting import text_forever
from ivr.say.prompts import PromptLibrary
from ivr.say.tones import WithTones
from prompts import FOLDER
from softswitch.vouchers import open_vouchers, reconcile_forever

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

    from billing_client.vouchers.redeeming import StoreVouchers
    from billing_client.vouchers.words import Channel
    from ivr.app import World
    from ivr.post.texting import SmsGateway
    from ivr.say.sound import Prompts
    from ivr.server.runner import Application
    from ivr.settings import IvrSettings

__all__ = ["Applications", "compose"]


async def compose(settings: IvrSettings) -> Applications:
    """Open the doors to the store; raises StoreUnavailable."""
    mailboxes = await StoreMailboxes.connect(
        settings.store_dsn,
        node=settings.node,
        max_messages=settings.max_messages,
        max_seconds=settings.voicemail.max_seconds,
        lock_after=settings.logins.lock_after,
        lock_seconds=settings.logins.lock_seconds,
        slow_after=settings.logins.slow_after,
        pace=settings.pace,
    )
    answering = await StoreAnswering.connect(settings.store_dsn, node=settings.node)
    selfcare = await StoreSelfCare.connect(
        settings.store_dsn,
        node=settings.node,
        passwords=Passwords(KeyFile(settings.vouchers.keys_file)),
        lock_after=settings.logins.lock_after,
        lock_seconds=settings.logins.lock_seconds,
        slow_after=settings.logins.slow_after,
    )
    vouchers = await open_vouchers(settings)
    sms = None if settings.open_sms is None else settings.open_sms()
    used: dict[Channel, object] = {"email": settings.mail, "sms": sms}
    receipts = {
        channel: await StoreReceipts.connect(settings.store_dsn, channel, node=settings.node)
        for channel, sender in used.items()
        if sender is not None
    }
    emergencies = (
        None if settings.mail is None else await StoreEmergencies.connect(settings.store_dsn, node=settings.node)
    )
    library = PromptLibrary(FOLDER, settings.prompts_dir)
    await asyncio.to_thread(_preload, library, settings)
    return Applications(settings, Doors(mailboxes, answering, selfcare, vouchers, receipts, emergencies), library, sms)


def _preload(library: PromptLibrary, settings: IvrSettings) -> None:
    """All that is played sooner or later: to read ten minutes of sound takes a second, in which no packet goes out."""
    menus, cards = settings.menus.values(), settings.cards.values()
    languages = {language for card in cards for language in card.languages}
    for language in {settings.language, *languages, *(one.language for one in menus if one.language)}:
        library.preload(language)
    for one in menus:
        for greeting in (one.greeting, one.closed.greeting):
            if greeting is not None:
                library.sounds(greeting, one.language or settings.language)
    for card in cards:
        if card.welcome:
            library.sounds(card.welcome, card.languages[0] if card.languages else settings.language)


def _now() -> datetime:
    return datetime.now(UTC)


def _new_id() -> str:
    return str(uuid4())


@dataclass(frozen=True, slots=True)
class Doors:
    """What the store offers to applications."""

    mailboxes: StoreMailboxes
    answering: StoreAnswering
    selfcare: StoreSelfCare
    vouchers: StoreVouchers
    receipts: Mapping[Channel, StoreReceipts]
    """Of the channels that something is sent by."""
    emergencies: StoreEmergencies | None = None
    """Where e-mails are sent."""

    async def close(self) -> None:
        """Let go of all."""
        await self.mailboxes.close()
        await self.answering.close()
        await self.selfcare.close()
        await self.vouchers.close()
        for queue in self.receipts.values():
            await queue.close()
        if self.emergencies is not None:
            await self.emergencies.close()


class Applications:
    """See `ivr.app.Composition`."""

    def __init__(
        self, settings: IvrSettings, doors: Doors, library: PromptLibrary, sms: SmsGateway | None = None
    ) -> None:
        self._settings = settings
        self._doors = doors
        self._library = library
        self._sms = sms
        self._menus = settings.menus
        self._found: Mapping[str, Application] = {}
        self.depositor = doors.mailboxes
        self.guesses = {"pin": doors.selfcare.guesses, "voucher": doors.vouchers.guesses}
        self.prompts: Prompts = WithTones(library)

    def applications(self, world: World) -> Mapping[str, Application]:
        """By the name that the switch asks for; the folders of prompts are looked at again."""
        self._library.reload(world.settings.prompts_dir)

        def mailbox(app: Callable[..., Awaitable[None]]) -> Application:
            settings = world.settings.voicemail
            return partial(
                app, mailboxes=self.depositor, outbox=world.outbox, settings=settings, now=_now, new_id=_new_id
            )

        self._menus = world.settings.menus
        desk = Desk(
            selfcare=self._doors.selfcare,
            vouchers=self._doors.vouchers,
            settings=world.settings.cards,
            ring_back=world.ring_back,
        )
        self._found = {
            "announcement": announcement,
            "balance": partial(balance, desk=desk),
            "callback": partial(callback, desk=desk),
            "calling_card": partial(calling_card, desk=desk),
            "confirm": confirm,
            "echo": echo,
            "feature": partial(feature, answering=self._doors.answering),
            "recharge": partial(recharge, desk=desk),
            PROVE: partial(prove_phone, desk=desk),
            "menu": partial(
                menu,
                menus=lambda: self._menus,
                applications=lambda: self._found,
                are_colleagues=self._doors.selfcare.are_colleagues,
                now=_now,
            ),
            "voicemail": mailbox(deposit),
            "voicemail-access": mailbox(access),
        }
        return self._found

    def work(self) -> Sequence[Coroutine[object, object, None]]:
        """What goes on beside the calls: e-mails, short messages, the removal of deleted messages, redemptions that
        were cut short."""
        settings, receipts = self._settings, self._doors.receipts
        work: list[Coroutine[object, object, None]] = [
            reconcile_forever(self._doors.vouchers),
            purge_forever(self.depositor, timedelta(hours=settings.purge_hours)),
        ]
        if settings.mail is not None:
            work.append(deliver_forever(self.depositor, settings.mail))
            work.append(deliver_forever(receipts["email"], settings.mail))
            if self._doors.emergencies is not None:
                work.append(deliver_forever(self._doors.emergencies, settings.mail))
        if self._sms is not None:
            work.append(text_forever(receipts["sms"], self._sms, settings.language))
        return work

    async def close(self) -> None:
        """Let go of the store, and of the gateway of short messages."""
        await self._doors.close()
        if self._sms is not None:
            await self._sms.close()
