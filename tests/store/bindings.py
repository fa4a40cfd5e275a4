# SPDX-License-Identifier: Apache-2.0
"""Bindings for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from billing_client.bindings import BindingRow

__all__ = ["binding"]


def binding(aor: str, key: str = "a", **fields: Any) -> BindingRow:
    """A binding that expires in an hour, but for the given fields."""
    values: dict[str, Any] = {
        "contact": f"sip:{aor}@192.0.2.1:5060;ob", "received": "198.51.100.7:40000",
        "path": ("<sip:p1;lr>", "<sip:p2;lr>"),
        "expires_at": datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1), "q": 1.0, "call_id": "c1@phone",
        "cseq": 2**31, "instance": "<urn:uuid:1>", "reg_id": 1, "user_agent": "Phone 1.0", "node": "test",
        "socket": "udp:192.0.2.9:5060",
    }  # fmt: skip
    return BindingRow(aor=aor, key=key, **{**values, **fields})
