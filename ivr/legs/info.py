# SPDX-License-Identifier: Apache-2.0
"""Keys in SIP INFO requests, in the three forms that phones and gateways send."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ivr.legs.keys import KEYS
from switch.sip.message.grammar import whole_number

if TYPE_CHECKING:
    from switch.sip.message.message import Request

__all__ = ["info_keys"]

_SIGNAL: Final = re.compile(r"^\s*Signal\s*=\s*([0-9A-Da-d*#]+)", re.IGNORECASE | re.MULTILINE)
_EVENT: Final = re.compile(r"^\s*(?:d\s*=|event\s*=)?\s*([0-9]{1,2}|[A-D*#])(?=\s|;|$)", re.IGNORECASE)


def info_keys(request: Request) -> str | None:
    """The keys in an INFO; "" where it is one of keys but has none, None where it is about something else.

    `application/dtmf-relay` has lines Signal= and Duration=; `application/dtmf` the key alone, or the number of the
    event (10 is the star, 11 the hash); `audio/telephone-event` the number of the event (RFC 4733 section 3.2).
    """
    kind = request.content_type
    text = request.body.decode("utf-8", "replace")
    if kind == "application/dtmf-relay":
        found = _SIGNAL.search(text)
        return _key(found.group(1)) if found else ""
    if kind in ("application/dtmf", "audio/telephone-event"):
        found = _EVENT.match(text) or _SIGNAL.search(text)
        return _key(found.group(1)) if found else ""
    return None


def _key(written: str) -> str:
    if len(written) == 2 and whole_number(written, 2) is not None:
        event = int(written)
        return KEYS[event] if event < len(KEYS) else ""
    return written[0].upper()
