# SPDX-License-Identifier: Apache-2.0
"""The applications of the media server, and what each of them is given: the composition root of `ivr`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing_client.mailboxes import StoreMailboxes
from ivr.apps.echo import echo
from ivr.tones import WithTones

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        max_messages=settings.voicemail.max_messages,
        max_seconds=settings.voicemail.max_seconds,
        lock_after=settings.logins.lock_after,
        lock_seconds=settings.logins.lock_seconds,
    )
    return Applications(mailboxes, WithTones())


class Applications:
    """See `ivr.app.Composition`."""

    def __init__(self, mailboxes: StoreMailboxes, prompts: Prompts) -> None:
        self.depositor = mailboxes
        self.prompts = prompts

    def applications(self, world: World) -> Mapping[str, Application]:
        """By the name that the switch asks for."""
        return {"echo": echo}

    async def close(self) -> None:
        """Let go of the store."""
        await self.depositor.close()
