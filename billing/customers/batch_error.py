# SPDX-License-Identifier: Apache-2.0
"""What is refused of a batch; apart from the models, so that it can be named before they are loaded."""

from __future__ import annotations

__all__ = ["BatchError"]


class BatchError(Exception):
    """What was asked of a batch cannot be done; the text says why."""
