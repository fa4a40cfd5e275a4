# SPDX-License-Identifier: Apache-2.0
"""Bencoding: what goes out comes back, and nothing but one well-formed value within the limits is taken."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.relay.bencode import MAX_DEPTH, MAX_ITEMS, BencodeError, Value, decode, encode

VALUES: st.SearchStrategy[Value] = st.recursive(
    st.integers(-(10**18), 10**18) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_encoded_is_decoded_again(value: Value) -> None:
    assert decode(encode(value)) == value


@given(st.binary(max_size=200))
def test_any_octets_are_decoded_or_refused(octets: bytes) -> None:
    with contextlib.suppress(BencodeError):
        decode(octets)


@given(VALUES, st.integers(0, 300), st.binary(min_size=1, max_size=3))
def test_a_damaged_message_is_decoded_or_refused(value: Value, at: int, damage: bytes) -> None:
    octets = encode(value)
    at %= len(octets)
    with contextlib.suppress(BencodeError):
        decode(octets[:at] + damage + octets[at + 1 :])


@given(st.binary(max_size=40))
def test_octets_that_are_no_text_survive(octets: bytes) -> None:
    text = decode(encode(octets))
    assert isinstance(text, str)
    assert text.encode("utf-8", "surrogateescape") == octets


def test_keys_go_out_sorted_and_come_in_in_any_order() -> None:
    assert encode({"b": 1, "a": ["x", -2]}) == b"d1:al1:xi-2ee1:bi1ee"
    assert decode(b"d1:bi1e1:al1:xi-2eee") == {"a": ["x", -2], "b": 1}


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"i1e ", id="octets after the value"),
        pytest.param(b"i01e", id="leading zero"),
        pytest.param(b"i-0e", id="minus zero"),
        pytest.param(b"ie", id="no digits"),
        pytest.param(b"i1", id="integer without end"),
        pytest.param(b"i" + b"9" * 40 + b"e", id="integer too long"),
        pytest.param("i٣e".encode(), id="digits of another script"),
        pytest.param(b"5:abc", id="string cut short"),
        pytest.param(b"-1:a", id="negative size"),
        pytest.param(b"99999999999999999999:a", id="size beyond all messages"),
        pytest.param(b"l1:a", id="list without end"),
        pytest.param(b"d1:ae", id="key without value"),
        pytest.param(b"di1e1:ae", id="key that is no string"),
        pytest.param(b"d1:ai1e1:ai2ee", id="key twice"),
        pytest.param(b"l" * 1000, id="too deep"),
        pytest.param(b"l" + b"0:" * (MAX_ITEMS + 1) + b"e", id="too many values"),
    ],
)
def test_malformed_octets_are_refused(octets: bytes) -> None:
    with pytest.raises(BencodeError):
        decode(octets)


def test_nesting_up_to_the_limit_is_taken() -> None:
    assert decode(b"l" * MAX_DEPTH + b"e" * MAX_DEPTH)
