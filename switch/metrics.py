# SPDX-License-Identifier: Apache-2.0
"""What the switch tells Prometheus: read from the live objects when it is asked for, so that counting costs nothing."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from prometheus_client import Metric

    from switch.calls.control import CallControl
    from switch.sip.element.core import Core

__all__ = ["metrics_page"]


class _SwitchCollector(Collector):
    def __init__(self, core: Core, control: CallControl, gauges: Mapping[str, tuple[str, Callable[[], float]]]) -> None:
        self._core = core
        self._control = control
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        states = GaugeMetricFamily("softswitch_calls", "Calls by state", labels=["state"])
        counts: dict[str, int] = {"setup": 0, "ringing": 0, "answered": 0}
        for call in self._control.calls.values():
            counts[call.state.value] = counts.get(call.state.value, 0) + 1
        for state, count in counts.items():
            states.add_metric([state], count)
        yield states
        yield CounterMetricFamily("softswitch_call_attempts", "INVITEs that became calls", self._control.attempts)
        ended = CounterMetricFamily("softswitch_calls_ended", "Calls by who or what ended them", labels=["by"])
        for by, count in self._control.ended.items():
            ended.add_metric([by], count)
        yield ended
        yield GaugeMetricFamily(
            "softswitch_unsettled_calls", "Finished calls that the store does not have yet", self._control.unsettled
        )
        shared = self._control.shared
        text = "Calls in which a callee was heard for long and did not answer"
        yield CounterMetricFamily("softswitch_long_unanswered_sounds", text, shared.unanswered.count)
        text = "Emergency calls, those that were refused too"
        yield CounterMetricFamily("softswitch_emergency_calls", text, shared.emergencies.count)
        text = "Emergency calls of who makes many of them"
        yield CounterMetricFamily("softswitch_emergency_alarms", text, shared.emergencies.alarms)
        resting = GaugeMetricFamily(
            "softswitch_carrier_rest_seconds",
            "How much longer an address of a carrier is asked last",
            labels=["gateway", "address"],
        )
        now = self._core.now()
        for rest in shared.outside.rests.all(now):
            resting.add_metric([rest.gateway, rest.address], max(0.0, rest.until - now))
        yield resting
        registered = GaugeMetricFamily(
            "softswitch_carrier_registered", "1 while a carrier has us registered", labels=["gateway"]
        )
        for line in shared.outside.lines.all():
            registered.add_metric([line.gateway], float(line.registered))
        yield registered
        yield GaugeMetricFamily("softswitch_dialogs", "SIP dialogs held", self._core.agent.session_count)
        yield GaugeMetricFamily("softswitch_transactions", "SIP transactions held", len(self._core.agent.layer))
        yield CounterMetricFamily(
            "softswitch_gateway_faults",
            "Requests that were not sent: to a carrier without a call in the store, or to ourselves",
            self._core.faults,
        )
        for field in dataclasses.fields(self._core.agent.layer.counters):
            value = getattr(self._core.agent.layer.counters, field.name)
            yield CounterMetricFamily(f"softswitch_sip_{field.name}", f"SIP: {field.name.replace('_', ' ')}", value)
        for name, (text, read) in self._gauges.items():
            yield GaugeMetricFamily(name, text, read())


def metrics_page(
    core: Core, control: CallControl, gauges: Mapping[str, tuple[str, Callable[[], float]]]
) -> Callable[[], tuple[int, str, bytes]]:
    """The page /metrics; `gauges` are further values as name: (help, reader)."""
    registry = CollectorRegistry()
    registry.register(_SwitchCollector(core, control, gauges))

    def page() -> tuple[int, str, bytes]:
        return 200, "text/plain; version=0.0.4; charset=utf-8", generate_latest(registry)

    return page
