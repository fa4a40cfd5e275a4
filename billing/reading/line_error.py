# SPDX-License-Identifier: Apache-2.0
"""A mistake in a file beside a document."""

from __future__ import annotations

__all__ = ["LineError"]


class LineError(str):
    """Begins with the file's name and the line; other mistakes begin with their path in the document."""

    __slots__ = ()
