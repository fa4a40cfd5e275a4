# SPDX-License-Identifier: Apache-2.0
"""The applications of the media server, and what each of them is given: the composition root of `ivr`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from billing_client.mailboxes import StoreMailboxes
from ivr.apps.echo import echo
from ivr.apps.voicemail import access, deposit
from ivr.mail import deliver_forever, purge_forever
from ivr.tones import WithTones

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

    from ivr.app import World
    from ivr.runner import Application
    from ivr.settings import IvrSettings
    from ivr.sound import Prompts

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
    )
    return Applications(settings, mailboxes, WithTones())


def _now() -> datetime:
    return datetime.now(UTC)


def _new_id() -> str:
    return str(uuid4())


class Applications:
    """See `ivr.app.Composition`."""

    def __init__(self, settings: IvrSettings, mailboxes: StoreMailboxes, prompts: Prompts) -> None:
        self._settings = settings
        self.depositor = mailboxes
        self.prompts = prompts

    def applications(self, world: World) -> Mapping[str, Application]:
        """By the name that the switch asks for."""

        def mailbox(app: Callable[..., Awaitable[None]]) -> Application:
            settings = world.settings.voicemail
            return partial(
                app, mailboxes=self.depositor, outbox=world.outbox, settings=settings, now=_now, new_id=_new_id
            )

        return {
            "echo": echo,
            "voicemail": mailbox(deposit),
            "voicemail-access": mailbox(access),
        }

    def work(self) -> Sequence[Coroutine[object, object, None]]:
        """What goes on beside the calls: e-mails, and the removal of deleted messages."""
        purging = purge_forever(self.depositor, timedelta(hours=self._settings.purge_hours))
        mail = self._settings.mail
        return [purging] if mail is None else [purging, deliver_forever(self.depositor, mail)]

    async def close(self) -> None:
        """Let go of the store."""
        await self.depositor.close()
