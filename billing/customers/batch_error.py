# SPDX-License-Identifier: Apache-2.0
"""What is refused of a batch; apart from the models, so that it can be named before they are loaded."""

from __future__ import annotations

from billing.audit_log.actor import ActionError

__all__ = ["BatchError"]


class BatchError(ActionError):
    """What was asked of a batch cannot be done; the text says why."""
