# SPDX-License-Identifier: Apache-2.0
"""What the processes write to standard error: a line for people, or a JSON object a line for machines.

Whatever a message carries (`extra={"call_id": ..., "account": ...}`) is written with it. Secrets are taken out of the
finished line, so that no message, argument or traceback can carry one to the log: passwords, credentials of SIP and
HTTP headers, digest responses, PINs, typed digits.
"""

from __future__ import annotations

import logging
import re
import sys
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from softswitch.shown import json_text, one_line, some_lines

if TYPE_CHECKING:
    from softswitch.config.model import Log

__all__ = ["JsonFormatter", "TextFormatter", "redact", "set_up"]

HIDDEN = "[hidden]"
SECRET_NAME = r"(?:password|passwd|pwd|secret|pin|digits|voucher_code|ha1|cnonce|api_key|token)"
AFTER_NAME = r"(?:[\"']?\s*[:=]|[\"']\s*,)\s*"
PATTERNS = (
    # a whole header, also with folded lines, and as bytes shown by repr()
    (re.compile(rf"(?i)(authorization{AFTER_NAME})(?:[^\r\n\\]|\\(?![rn]))+(?:\r?\n[ \t]+[^\r\n]+)*"), r"\1"),
    (re.compile(r"(?i)\b(response\s*=\s*)(?:\\?[\"'][^\"'\\]*\\?[\"']|[0-9a-f]{8,})"), r"\1"),
    (re.compile(rf"(?i)\b({SECRET_NAME}\\?[\"']?\s*[:=]\s*)(?:b?\\?[\"'][^\"']*[\"']|[^\s,;)}}]+)"), r"\1"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@/]+(?=@)"), r"\1"),
)
PLAIN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def redact(text: str) -> str:
    """The text without what must never reach a log."""
    for pattern, kept in PATTERNS:
        text = pattern.sub(rf"{kept}{HIDDEN}", text)
    return text


def _extras(record: logging.LogRecord) -> dict[str, object]:
    found = {key: value for key, value in record.__dict__.items() if key not in PLAIN}
    return {key: HIDDEN if _is_secret(key) else value for key, value in found.items()}


@lru_cache(maxsize=256)
def _is_secret(key: str) -> bool:
    """Whether what goes by this name is none of the log's business; the names are those of our own code."""
    return re.fullmatch(SECRET_NAME, key, re.IGNORECASE) is not None


class TextFormatter(logging.Formatter):
    """`12:30:05 switch warning  message  call_id=... account=...`; the local time of day."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self.process = process

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        extras = "".join(f"  {key}={value}" for key, value in _extras(record).items())
        line = one_line(f"{at} {self.process:<8}{level}{record.getMessage()}{extras}")
        return redact(f"{line}\n{some_lines(self.formatException(record.exc_info))}" if record.exc_info else line)


class JsonFormatter(logging.Formatter):
    """One object a line: `at` (UTC, ISO 8601), `level`, `process`, `logger`, `message` and what the message carries."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self.process = process

    def format(self, record: logging.LogRecord) -> str:
        written: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": self.process,
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        for key, value in _extras(record).items():
            written[key] = value if isinstance(value, (int, float, bool, type(None))) else redact(str(value))
        if record.exc_info:
            written["exception"] = redact(self.formatException(record.exc_info))
        return json_text(written)


def set_up(process: str, settings: Log) -> None:
    """Sends this process's log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(process) if settings.format == "json" else TextFormatter(process))
    logging.basicConfig(level=settings.level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
