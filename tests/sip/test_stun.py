# SPDX-License-Identifier: Apache-2.0
"""STUN on the SIP port: RFC 8489, RFC 5626 section 4.4.2, with the test vectors of RFC 5769."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.sip.transport.stun import answer_binding, is_stun

TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
COOKIE = bytes.fromhex("2112a442")
# RFC 5769 2.1: with SOFTWARE, PRIORITY, ICE-CONTROLLED, USERNAME, MESSAGE-INTEGRITY, FINGERPRINT
SAMPLE_REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74"
    "002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020"
    "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf"
)


def request(attributes: bytes = b"", kind: int = 1) -> bytes:
    """A STUN message."""
    return kind.to_bytes(2, "big") + len(attributes).to_bytes(2, "big") + COOKIE + TRANSACTION + attributes


def test_a_binding_request_learns_its_ipv4_address() -> None:
    # the address and its XOR form are those of RFC 5769 2.2
    assert answer_binding(request(), ("192.0.2.1", 32853)) == (
        bytes.fromhex("0101000c") + COOKIE + TRANSACTION + bytes.fromhex("002000080001a147e112a643")
    )


def test_a_binding_request_learns_its_ipv6_address() -> None:
    # RFC 5769 2.3
    assert answer_binding(request(), ("2001:db8:1234:5678:11:2233:4455:6677", 32853)) == (
        bytes.fromhex("01010018") + COOKIE + TRANSACTION
        + bytes.fromhex("002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9")
    )  # fmt: skip


def test_a_fingerprint_is_answered_with_a_fingerprint() -> None:
    answer = answer_binding(request(bytes.fromhex("80280004e57a3bcf")), ("192.0.2.1", 32853))
    assert answer is not None
    assert len(answer) == 20 + 12 + 8
    assert answer[2:4] == (20).to_bytes(2, "big")
    assert answer[-8:-4] == bytes.fromhex("80280004")


def test_unknown_attributes_that_must_be_understood_are_named() -> None:
    # PRIORITY (0x0024) means nothing to us
    answer = answer_binding(SAMPLE_REQUEST, ("192.0.2.1", 32853))
    assert answer is not None
    assert answer[:2] == bytes.fromhex("0111")
    assert b"\0\0\x04\x14Unknown Attribute" in answer
    assert bytes.fromhex("000a00020024") in answer
    assert int.from_bytes(answer[2:4], "big") == len(answer) - 20


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\0\0\0\0",
        b"\r\n\r\n",
        b"OPTIONS sip:a@b SIP/2.0\r\n\r\n",
        request()[:-1],
        request() + b"\0",
        request(b"\0\0"),
        request(bytes.fromhex("80220009")),
        request(kind=0x0011),
        request(kind=0x0101),
        request(kind=0x0003),
        request().replace(COOKIE, bytes(4)),
        request(bytes.fromhex("80220400") + bytes(1024)),
    ],
)
def test_nothing_else_is_answered(data: bytes) -> None:
    assert answer_binding(data, ("192.0.2.1", 5060)) is None


def test_sip_is_not_stun() -> None:
    assert is_stun(request())
    assert not is_stun(b"REGISTER sip:example.com SIP/2.0\r\n\r\n")


@given(st.binary(max_size=60))
def test_any_attributes_survive(data: bytes) -> None:
    answer = answer_binding(request(data), ("192.0.2.1", 5060))
    assert answer is None or answer[8:20] == TRANSACTION
