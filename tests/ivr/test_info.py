# SPDX-License-Identifier: Apache-2.0
"""Keys in SIP INFO, as phones and gateways write them."""

from __future__ import annotations

import pytest

from ivr.legs.info import info_keys
from switch.sip.message.message import Request


def info(kind: str, body: str) -> Request:
    return Request("INFO", "sip:x@127.0.0.1", [("Content-Type", kind)] if kind else [], body.encode())


@pytest.mark.parametrize(
    ("kind", "body", "key"),
    [
        ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", "5"),
        ("application/dtmf-relay", "Signal= *\r\nDuration= 250\r\n", "*"),
        ("application/dtmf-relay", "Duration=250\nsignal=#\n", "#"),
        ("application/dtmf-relay", "Signal=11\r\nDuration=250\r\n", "#"),
        ("application/dtmf-relay;charset=utf-8", "Signal=d\r\n", "D"),
        ("application/dtmf", "7", "7"),
        ("application/dtmf", "*", "*"),
        ("application/dtmf", " 10\r\n", "*"),
        ("application/dtmf", "99", ""),
        ("audio/telephone-event", "d=11;duration=1600", "#"),
        ("audio/telephone-event", "3", "3"),
        ("application/dtmf-relay", "Signal=hello", ""),
        ("application/dtmf-relay", "", ""),
        ("application/media_control+xml", "<x/>", None),
        ("", "", None),
    ],
)
def test_a_key_is_read_in_every_form(kind: str, body: str, key: str | None) -> None:
    assert info_keys(info(kind, body)) == key
