# SPDX-License-Identifier: Apache-2.0
"""The pages that a switch shows over HTTP: metrics, health, and what it holds."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from switch.metrics import metrics_page
from switch.relay.ng import NgRelay

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing_client.store import Store
    from switch.access.guesses import Guesses
    from switch.calls.control import CallControl
    from switch.http import Page
    from switch.lamp import Lamp
    from switch.registrar.bindings import Location
    from switch.relay.ng import Address, NoRelay
    from switch.settings import SwitchSettings
    from switch.sip.element.core import Core
    from switch.sip.transport import Transport
    from switch.sip.transport.flood import FloodGuard
    from switch.trace.recorder import Recorder

__all__ = ["Pages"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """What they look at."""

    settings: Callable[[], SwitchSettings]
    core: Core
    transport: Transport
    store: Store
    relay: NgRelay | NoRelay
    control: CallControl
    location: Location
    lamp: Lamp
    recorder: Recorder
    guesses: Guesses
    flood: FloodGuard

    def all(self) -> dict[str, Page]:
        """By path."""
        gauges = {
            "softswitch_store_connected": ("1 while the store answers", lambda: float(self.store.is_connected)),
            "softswitch_bindings": ("Contact bindings held here", lambda: float(len(self.location))),
            "softswitch_subscriptions": ("Subscriptions to message lamps", lambda: float(len(self.lamp))),
            "softswitch_lamp_notified": ("NOTIFY requests to subscribers", lambda: float(self.lamp.notified)),
            "softswitch_lamp_unsolicited": (
                "NOTIFY requests to registered phones that had not subscribed",
                lambda: float(self.lamp.unsolicited),
            ),
            "softswitch_traces_written": ("Records of calls written", lambda: float(self.recorder.written)),
            "softswitch_traces_dropped": ("Records of calls dropped", lambda: float(self.recorder.dropped)),
        }
        return {
            "/metrics": metrics_page(self.core, self.control, gauges),
            "/health": self.health,
            "/debug/state": self.state,
        }

    def health(self) -> tuple[int, str, bytes]:
        """200 where the switch can make calls."""
        state = {
            "node": self.settings().node,
            "store": self.store.is_connected,
            "draining": self.control.draining,
            "calls": len(self.control.calls),
            "unsettled_calls": self.control.unsettled,
            "relays_away": [f"{host}:{port}" for host, port in self._relays_away()],
        }
        has_relay = not self.relay.carries_media or len(self._relays_away()) < len(self.settings().relay.addresses)
        healthy = self.store.is_connected and has_relay and not self.control.draining
        return 200 if healthy else 503, "application/json", json.dumps(state).encode() + b"\n"

    def _relays_away(self) -> list[Address]:
        return self.relay.away if isinstance(self.relay, NgRelay) else []

    def state(self) -> tuple[int, str, bytes]:
        """What it holds at this moment."""
        state = {
            "transport": self.transport.dump(),
            "transactions": self.core.agent.layer.dump(),
            "subscriptions": self.lamp.dump(),
            "slowed_logins": self.guesses.slowed(time.monotonic()),
            "resting_carriers": [asdict(rest) for rest in self.control.shared.outside.rests.all(self.core.now())],
            "lines": [asdict(line) for line in self.control.shared.outside.lines.all()],
            "unanswered": self.flood.unanswered,
            "calls": [
                {"call": call.call_id, "state": call.state.value, "dialled": call.dialled, "trace": list(call.trace)}
                for call in self.control.calls.values()
            ],
        }
        return 200, "application/json", json.dumps(state, default=str).encode() + b"\n"
