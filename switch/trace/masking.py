# SPDX-License-Identifier: Apache-2.0
"""Takes out of a SIP message what nobody may see later: credentials, digest responses, media keys, typed digits.

Pure. Header lines may change their length, bodies keep theirs, so that Content-Length stays true.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["MASK", "mask"]

MASK: Final = b"[masked]"

_FOLDED: Final = rb"(?:[^\r\n]|\r\n[ \t])*"
_CREDENTIALS: Final = re.compile(rb"(?im)^((?:proxy-)?authorization)[ \t]*:[ \t]*(" + _FOLDED + rb")")
_SHOWN: Final = re.compile(rb'(?i)\b(?:username|realm|algorithm|uri)[ \t]*=[ \t]*(?:"(?:[^"\\\r\n]|\\.)*"|[^\s,"]+)')
_INFO: Final = re.compile(rb"(?im)^(?:proxy-)?authentication-info[ \t]*:[ \t]*(" + _FOLDED + rb")")
_URI_PASSWORD: Final = re.compile(rb"(?i)(sips?:[^\s:@<>;?,\"]+:)[^\s@<>,\"]+(?=@)")
# the same in lower case, which is found five times as fast
_HAS_PASSWORD: Final = re.compile(rb"sips?:[^\s:@<>;?,\"]+:[^\s@<>,\"]+@")
_KEYS: Final = re.compile(
    rb"(?im)^(a=(?:crypto:[ \t]*\d+[ \t]+\S+[ \t]+\w+:|ice-pwd:|key-mgmt:\S+[ \t]+)|k=\w+:)([^\r\n]+)"
)
_DIGITS_TYPE: Final = re.compile(
    rb"(?m)^(?:content-type|c)[ \t]*:\s*(?:application/\S*(?:dtmf|digits|kpml)|audio/telephone-event)"
)
_DIGIT: Final = re.compile(rb"[0-9A-Da-d*#]")


def mask(data: bytes) -> bytes:
    """The message without its secrets; what cannot be understood is masked rather than shown."""
    head, separator, body = data.partition(b"\r\n\r\n")
    lowered = head.lower()
    if b"authorization" in lowered:
        head = _CREDENTIALS.sub(lambda found: found[1] + b": " + _credentials(found[2]), head)
    if b"authentication-info" in lowered:
        head = _INFO.sub(lambda found: found[0].replace(found[1], MASK), head)
    if _HAS_PASSWORD.search(lowered):
        head = _URI_PASSWORD.sub(rb"\1*", head)
    if body:
        is_typed = b"dtmf" in lowered or b"digits" in lowered or b"kpml" in lowered or b"telephone-event" in lowered
        if is_typed and _DIGITS_TYPE.search(lowered):
            body = _typed(body)
        elif b"crypto:" in body or b"ice-pwd:" in body or b"key-mgmt:" in body or b"\nk=" in body:
            body = _KEYS.sub(lambda found: found[1] + b"*" * len(found[2]), body)
    return head + separator + body


def _credentials(value: bytes) -> bytes:
    """Of a digest answer who it is for; of anything else the scheme alone."""
    scheme, _, rest = value.strip().partition(b" ")
    if scheme.lower() != b"digest":
        return scheme + b" " + MASK
    return b", ".join([b"Digest " + b", ".join(_SHOWN.findall(rest)), b"response=" + MASK])


def _typed(body: bytes) -> bytes:
    """A body that tells which key was pressed: `Signal=5`, or the digit alone."""
    lines = []
    for line in body.split(b"\r\n"):
        name, equals, value = line.partition(b"=")
        if not equals:
            lines.append(_DIGIT.sub(b"?", line))
        elif name.strip().lower() == b"duration":
            lines.append(line)
        else:
            lines.append(name + equals + _DIGIT.sub(b"?", value))
    return b"\r\n".join(lines)
