# SPDX-License-Identifier: Apache-2.0
"""Via: RFC 3261 section 20.42, RFC 3581, RFC 5118 section 4.5."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.sip.message.address import Via
from switch.sip.message.errors import ParseError
from tests.sip.test_address import PARAMS, TOKENS
from tests.sip.test_uri import HOSTS


@given(st.builds(Via, TOKENS.map(str.upper), HOSTS, st.none() | st.integers(0, 65_535), PARAMS))
def test_what_is_written_is_read_again(via: Via) -> None:
    assert Via.parse(str(via)) == via


def test_parts() -> None:
    via = Via.parse("sip / 2.0/ udp  Erlang.Example.COM : 5080 ; received=192.0.2.207 ;branch=z9hG4bK77;RPORT")
    assert (via.transport, via.host, via.port, via.branch) == ("UDP", "Erlang.Example.COM", 5080, "z9hG4bK77")
    assert (via.received, via.params["rport"], via.sent_by) == ("192.0.2.207", None, "erlang.example.com:5080")
    assert not via.is_reliable


@pytest.mark.parametrize(
    ("text", "sent_by"),
    [("UDP h", "h:5060"), ("TCP h", "h:5060"), ("TLS h", "h:5061"), ("WSS h", "h:5061"), ("UDP [::1]", "[::1]:5060")],
)
def test_the_default_port_is_that_of_the_transport(text: str, sent_by: str) -> None:
    assert Via.parse(f"SIP/2.0/{text}").sent_by == sent_by


@pytest.mark.parametrize(
    "text",
    [
        "", "SIP/2.0/UDP", "SIP/2.0 UDP h", "SIP/3.0/UDP h", "HTTP/2.0/UDP h", "SIP/2.0/UDP h:", "SIP/2.0/UDP h:65536",
        "SIP/2.0/UDP h:x", "SIP/2.0/UDP h:٥", "SIP/2.0/UDP [::g]", "SIP/2.0/UDP 2001:db8::1", "SIP/2.0/UDP h,",
        "SIP/2.0/UDP h;a,b", "SIP/2.0/UDP h;;a", "SIP/2.0/UDP h x", "ſIP/2.0/UDP h", "SIP/2.0/UDP h;a\x00",
    ],
)  # fmt: skip
def test_refuses(text: str) -> None:
    with pytest.raises(ParseError):
        Via.parse(text)
