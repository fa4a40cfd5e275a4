# SPDX-License-Identifier: Apache-2.0
"""How long tests wait for what must come: long, as it says nothing about how soon it comes.

On a machine that has much else to do a process stands still for seconds. What is to come soon is told by a clock of the
test's own, by the order of events, or by what came first.
"""

from __future__ import annotations

from typing import Final

__all__ = ["PATIENCE_SECONDS"]

PATIENCE_SECONDS: Final = 40.0
"""More than the 32 seconds that SIP tries to send something again (RFC 3261 17.1.2.2, 64 times T1)."""
