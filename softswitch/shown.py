# SPDX-License-Identifier: Apache-2.0
"""How text from outside is shown: in a terminal, a log, a table, a spreadsheet.

Names, numbers, User-Agents and header values are written by strangers. What a terminal acts on (escape sequences, line
ends, marks that turn the direction of writing) is shown as an escape, so that it can forge neither a line nor a colour.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["json_text", "one_line", "some_lines"]

_ACTED_ON: Final = (
    "\x00-\x1f\x7f-\x9f"  # C0 with ESC, DEL, C1 with CSI
    "\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # unseen, line ends, direction
    "\ud800-\udfff"  # bytes that were no UTF-8
    "\U000e0000-\U000e0fff"  # unseen tags
)
_UNSAFE: Final = re.compile(f"[{_ACTED_ON}]")
_UNSAFE_BUT_LINE_ENDS: Final = re.compile(f"(?!\n)[{_ACTED_ON}]")


def one_line(text: str) -> str:
    r"""The text with everything that a terminal acts on as an escape: `\n`, `\x1b`, `\u202e`."""
    return text if text.isascii() and text.isprintable() else _UNSAFE.sub(_escape, text)


def some_lines(text: str) -> str:
    """The same, but for its line ends: for text of ours with several lines."""
    return _UNSAFE_BUT_LINE_ENDS.sub(_escape, text)


def json_text(value: object, *, indent: int | None = None, default: Callable[[object], object] = str) -> str:
    """JSON with letters as they are, but for those that a terminal acts on."""
    written = json.dumps(value, indent=indent, ensure_ascii=False, default=default)
    if written.isascii() and "\x7f" not in written:
        return written
    return _UNSAFE_BUT_LINE_ENDS.sub(lambda found: json.dumps(found[0])[1:-1].replace("\x7f", "\\u007f"), written)


def _escape(found: re.Match[str]) -> str:
    letter = found[0]
    if "\udc80" <= letter <= "\udcff":
        return f"\\x{ord(letter) - 0xDC00:02x}"  # surrogateescape: the byte that came
    return letter.encode("unicode_escape", "backslashreplace").decode("ascii")
