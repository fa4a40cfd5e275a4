# SPDX-License-Identifier: Apache-2.0
"""The sockets of SIP: UDP and TCP on asyncio, thin enough to hold no protocol state."""

from __future__ import annotations

from switch.sip.transport.listeners import Transport
from switch.sip.transport.tcp import StreamLimits

__all__ = ["StreamLimits", "Transport"]
