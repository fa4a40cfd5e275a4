# SPDX-License-Identifier: Apache-2.0
"""Every sender asks the one function: found by reading the source, and shown by a function that refuses everything."""

from __future__ import annotations

import ast
import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ivr
import switch
from switch.sip.destination import Destinations, Place
from switch.sip.message.flow import Hop
from switch.sip.message.message import Request, Response
from switch.sip.session import Acknowledged, Failed
from tests.switch.following import answering, follow_me, media, settings
from tests.switch.routing.test_gateways import OUTSIDE, carriers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.switch.conftest import World
    from tests.switch.phone import Phone

__all__ = ["media", "settings"]

SWITCH, IVR = (Path(package.__file__ or "").parent for package in (switch, ivr))


def callers(method: str, root: Path = SWITCH) -> set[str]:
    """The files below `root` that call something of this name."""
    return {
        str(file.relative_to(root.parent))
        for file in root.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and (node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")) == method
    }


# what the source says -------------------------------------------------------------------------------------------
def test_bytes_leave_by_the_guarded_way_alone() -> None:
    """`Core.perform` asks before each; `receive_malformed` answers its source; pings ask in `Location`,
    those of our registrations at carriers in `Lines`."""
    senders = {
        str(file.relative_to(SWITCH.parent))
        for root in (SWITCH, IVR)
        for file in root.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("transport.send")
    }
    assert senders == {
        "switch/sip/element/core.py",
        "switch/registrar/bindings.py",
        "switch/routing/carriers/lines.py",
    }


def test_requests_are_made_where_the_function_was_asked() -> None:
    """Whoever adds a sender asks `Destinations` for its flow, and adds himself here and to test_closed."""
    assert callers("send_request") == {
        "switch/sip/session/outgoing.py",  # an INVITE; its flow comes from a stage
        "switch/sip/session/session.py",  # in a dialog, by Dialog.next_flow
        "switch/sip/subscription.py",  # NOTIFY in a dialog, by Lamp._route
        "switch/sip/proxy.py",  # to targets of Location
        "switch/lamp/unsolicited.py",  # to targets of Location
        "switch/relay/server_watch.py",  # OPTIONS to the media server, with our permit
        "switch/routing/carriers/health.py",  # OPTIONS to a carrier, with a permit for that alone
        "switch/routing/carriers/lines.py",  # REGISTER to a carrier, with the same
        "switch/calls/leg.py",  # BYE of an earlier life of ours
    }
    assert callers("send_ack") == {"switch/sip/session/outgoing.py", "switch/sip/session/session.py"}
    assert callers("flow_to") == {
        "switch/routing/carriers/gateways.py",  # each address asked about
        "switch/routing/carriers/health.py",  # the same
        "switch/routing/carriers/lines.py",  # the same
        "switch/routing/outside.py",  # forwards, each address asked about; the same gateway for a large request
        "switch/calls/onward.py",  # the media server of the settings
        "switch/calls/transfers/moved.py",  # a carrier's 3xx: an address of the same carrier, asked about
        "switch/relay/server_watch.py",
        "switch/registrar/bindings.py",  # bindings, asked about at each look-up
        "switch/sip/transport/listeners.py",
        "switch/sip/transport/udp.py",
    }
    asking = {file for file in callers("resolve") if file.startswith(("switch/calls", "switch/routing"))}
    assert asking == {"switch/routing/outside.py", "switch/routing/places.py"}


def test_only_an_authorised_call_has_a_warrant() -> None:
    assert callers("Warrant") == {"switch/money/payment.py"}
    assert not callers("Warrant", IVR)


# what the switch does -------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class Closed(Destinations):
    """Nobody may be sent anything."""

    def place(self, host: str, port: int) -> Place | None:
        """Everywhere."""
        return Place("closed")

    def at(self, remote: tuple[str, int]) -> Place | None:
        """The same, for what is about to leave."""
        return self.place(*remote)


def requests(*phones: Phone) -> Iterator[str]:
    """Those that have come to phones since they were last asked."""
    for phone in phones:
        yield from (message.method for message in phone.received if isinstance(message, Request))
        phone.received.clear()


@pytest.mark.asyncio
async def test_where_nobody_may_be_sent_anything_no_sender_sends(world: World, media: Phone) -> None:
    core = world.switch.core
    async with carriers(world) as (gateway, _), world.phone("101") as alice, world.phone("102") as bob:
        everybody = (gateway, bob, media, alice)
        await world.sql.execute(
            "UPDATE billing_gateway SET registers = true, username = 'us', password = 'secret'"
            " WHERE name = 'sample-carrier'"
        )
        await world.routes_reloaded()
        await alice.register()
        await bob.register()
        await alice.call("102")
        invite = await bob.answer()
        await alice.connected()
        await bob.expect(Acknowledged)
        await asyncio.sleep(1.0)  # the lamps of the registrations
        assert "INVITE" in list(requests(*everybody))
        core.destinations = Closed()
        # in a dialog
        bob.perform(invite.session().bye(bob.now()))
        await asyncio.sleep(0.2)
        faults = core.faults
        assert faults
        # to a phone, its forward, its mailbox; to a carrier; to an application
        for target in ("102", OUTSIDE, "*98"):
            await alice.call(target)
            assert (await alice.expect(Failed)).response.status >= 480, target
        await answering(world, "102", mode="forward", follow_me=follow_me({"to": OUTSIDE}, {"to": "sip:x@127.0.0.2"}))
        await alice.call("102")
        assert (await alice.expect(Failed)).response.status >= 480
        # our registration at a carrier, and a question whether it lives
        world.switch.lines.retry()
        hop = Hop("udp", *gateway.local)
        rest = world.switch.outside.rests.failed("sample-carrier", hop, Response(408, "", []), 0.0, local=True)
        assert rest is not None
        world.switch.health._ask(rest)
        # a message, a lamp, a ping
        host, port = world.address
        message = alice.make("MESSAGE", f"sip:102@{host}:{port}", body=b"hello")
        assert (await alice.authenticated(message)).status >= 400
        world.switch.lamp._force("102")
        for flow in (alice.flow.back, bob.flow.back):
            world.switch.location._pings.add(flow, float("inf"))
        await asyncio.sleep(0.5)
        assert list(requests(*everybody)) == []
