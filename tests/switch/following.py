# SPDX-License-Identifier: Apache-2.0
"""What tests of forwarded calls and of the media server share: rules for accounts, and a stand-in at its address."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest_asyncio

from switch.sip.mark import Chain, Marks
from tests.switch.phone import Phone, sdp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from switch.settings import SwitchSettings
    from switch.sip.session import OutgoingInvite
    from tests.switch.conftest import World

__all__ = ["answering", "call_from_media", "follow_me", "media", "settings"]

MOBILE = "420600000001"
DIALLED = Chain(1, "account:105", "127.0.0.1")
"""An application of the caller's makes the call."""
SECRET = b"what the switch and the media server share"
OWN = Marks(SECRET, "media", wall=time.time, clock=time.monotonic)
"""By which the switch knows the media server."""


@pytest_asyncio.fixture
async def media() -> AsyncIterator[Phone]:
    """Stands where the media server listens; `switch` is filled in by `call_from_media`."""
    async with Phone("media", "", ("127.0.0.1", 9)) as server:
        yield server


@pytest_asyncio.fixture
async def settings(settings: SwitchSettings, media: Phone) -> SwitchSettings:
    """A switch that knows the media server, and access numbers."""
    return replace(
        settings,
        media_server=media.local,
        media_secret=SECRET,
        access_numbers={"*98": "voicemail", "*99": "menu:reception"},
        feature_codes=("*72", "*7"),
    )


async def answering(world: World, number: str, **rules: Any) -> None:
    """Have an account answer so."""
    changed = await world.sql.execute(
        "UPDATE billing_account SET answering = $2::jsonb WHERE number = $1", number, json.dumps(rules)
    )
    assert changed == "UPDATE 1"


def follow_me(*entries: dict[str, Any], order: str = "as_listed") -> dict[str, Any]:
    """A follow-me list."""
    return {"order": order, "entries": [{"name": entry["to"], **entry} for entry in entries]}


async def call_from_media(
    world: World,
    media: Phone,
    number: str,
    account: str,
    shown: str,
    *,
    case: str = "orig",
    charged: str = "",
    chain: Chain = DIALLED,
    marks: Marks | None = OWN,
) -> OutgoingInvite:
    """The media server dials on behalf of an account."""
    media.switch = world.address
    media.flow = type(media.flow)("udp", media.local, world.address)
    host, port = world.address
    request = media.make(
        "INVITE",
        f"sip:{number}@{host}:{port}",
        ("P-Served-User", f"<sip:{account}@{host}>;sescase={case}{charged}"),
        ("P-Asserted-Identity", f"<sip:{shown}@{host}>"),
        ("Content-Type", "application/sdp"),
        body=sdp(),
    )
    if marks is not None:
        marks.put(request, chain)
    invite = media.agent.invite(request, media.flow, natted=False, owner=media)
    media.perform(invite.start(media.now()))
    return invite
