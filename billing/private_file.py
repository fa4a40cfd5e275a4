# SPDX-License-Identifier: Apache-2.0
"""Files with secrets in them, for the printer."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO

__all__ = ["private_file"]


@contextmanager
def private_file(path: Path) -> Iterator[TextIO]:
    """A new file that only its owner may read; on the disk when it is left. Raises FileExistsError, OSError."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as lines:
        yield lines
        lines.flush()
        os.fsync(lines.fileno())
