# SPDX-License-Identifier: Apache-2.0
"""A call as a text that may be sent to a carrier: times, ladder and messages, with telephone numbers masked.

Reasons and money stay at home.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from softswitch.explaining.ladder import address, ladder, legs
from softswitch.shown import one_line, some_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from switch.trace.ladder import Crossing

__all__ = ["mask_number", "mask_numbers", "ticket"]

KEPT_FIRST: Final = 5
KEPT_LAST: Final = 2
RULE: Final = "-" * 100

_USER: Final = re.compile(r"(?i)(\bsips?:\+?)([^\s@:;?<>,\"]+)(?=[^\s<>,\"]*@)")
_TEL: Final = re.compile(r"(?i)(\btel:\+?)([^\s;?<>,\"]+)")
_NAME: Final = re.compile(r'"((?:[^"\\\r\n]|\\.)*)"(?=[ \t]*<)')
_USERNAME: Final = re.compile(r'(?i)(\busername=")([^"]*)')
_LONG: Final = re.compile(r"(?<![\w.:@-])\+?\d{7,}(?![\w.:-])")


def ticket(call: Mapping[str, object], crossings: Sequence[Crossing]) -> str:
    """The whole text; `call` is a row of `billing.traces.queries`."""
    return some_lines("\n".join(_lines(call, crossings))) + "\n"


def _lines(call: Mapping[str, object], crossings: Sequence[Crossing]) -> Iterator[str]:
    numbers = [str(call[name]) for name in ("caller", "dialled", "account") if call[name]]
    yield f"Call {call['call_id']}"
    yield one_line(f"from {mask_number(str(call['caller']))} to {mask_number(str(call['dialled']))}")
    yield f"started {call['started_at']}, answered {call['answered_at'] or 'not'}, ended {call['ended_at']}"
    yield f"Q.850 cause {call['cause']}, SIP status {call['sip_status'] or '-'}, ended by {call['ended_by']}"
    yield ""
    yield mask_numbers("\n".join(legs(crossings)), numbers)
    yield ""
    yield ladder(crossings)
    for crossing in crossings:
        flow = crossing.flow
        ends = (address(flow.local), address(flow.remote))
        source, target = ends if crossing.is_sent else ends[::-1]
        yield RULE
        yield f"{crossing.at:.3f} s  leg {crossing.leg}  {source} to {target} by {flow.transport}"
        yield ""
        text = crossing.data.decode("utf-8", "replace").replace("\r\n", "\n").rstrip("\n")
        yield mask_numbers(text, numbers)


def mask_number(number: str) -> str:
    """Enough of a number to tell which network it is in; of a short one the first character."""
    first, last = (KEPT_FIRST, KEPT_LAST) if len(number) >= KEPT_FIRST + KEPT_LAST + 2 else (1, 0)
    return number[:first] + "x" * max(len(number) - first - last, 0) + number[len(number) - last :]


def mask_numbers(text: str, numbers: Iterable[str]) -> str:
    """Masks users of SIP and tel URIs, names shown with them, long numbers, and `numbers` wherever they stand alone."""
    for uri in (_USER, _TEL):
        text = uri.sub(lambda found: found[1] + mask_number(found[2]), text)
    text = _NAME.sub(lambda found: f'"{"x" * len(found[1])}"', text)
    text = _USERNAME.sub(lambda found: found[1] + mask_number(found[2]), text)
    for number in sorted(numbers, key=len, reverse=True):
        text = re.sub(rf"(?<![\w.:-]){re.escape(number)}(?![\w.:-])", mask_number(number), text)
    return _LONG.sub(lambda found: mask_number(found[0]), text)
