# SPDX-License-Identifier: Apache-2.0
"""The small provider of `tests/store`, for the tests of what the back office does with it."""

from __future__ import annotations

from tests.store.conftest import desk, mailboxes, press, sql, tenant, vouchers

__all__ = ["desk", "mailboxes", "press", "sql", "tenant", "vouchers"]
