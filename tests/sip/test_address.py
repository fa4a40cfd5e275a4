# SPDX-License-Identifier: Apache-2.0
"""Addresses, parameters and comma-separated lists: RFC 3261 sections 20.10, 7.3.1 and 25.1."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.sip.message.address import NameAddr
from switch.sip.message.errors import ParseError
from switch.sip.message.grammar import format_params, parse_params, quote, split_list, unquote

TOKENS = st.text(string.ascii_letters + string.digits + "-.!%*_+`'~", min_size=1, max_size=12)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=30)
VALUES = st.none() | TOKENS | TEXTS.map(quote)
PARAMS = st.dictionaries(TOKENS.map(str.lower), VALUES, max_size=5)
ADDRESSES = st.builds(
    NameAddr, TEXTS, st.sampled_from(["sip:a@b", "sip:a@b;lr", "sip:a,b;c@d?e=f", "tel:+1;x=y", "urn:x:y"]), PARAMS
)


@given(PARAMS)
def test_parameters_are_read_as_written(params: dict[str, str | None]) -> None:
    assert parse_params(format_params(params)) == params


@given(st.lists(st.tuples(TOKENS, VALUES), max_size=5), st.data())
def test_white_space_around_separators_changes_nothing(
    items: list[tuple[str, str | None]], data: st.DataObject
) -> None:
    space = st.text(" \t", max_size=3)
    text = ""
    for name, value in items:
        text += f"{data.draw(space)};{data.draw(space)}{name}{data.draw(space)}"
        text += "" if value is None else f"={data.draw(space)}{value}"
    tight = "".join(f";{name}" if value is None else f";{name}={value}" for name, value in items)
    assert parse_params(text) == parse_params(tight)


@given(TEXTS)
def test_quoting_is_undone(text: str) -> None:
    assert unquote(quote(text)) == text


@given(ADDRESSES)
def test_an_address_is_read_as_written(address: NameAddr) -> None:
    assert NameAddr.parse(str(address)) == address


@given(st.lists(ADDRESSES, max_size=5))
def test_several_addresses_in_one_line_stay_apart(addresses: list[NameAddr]) -> None:
    parts = split_list(", ".join(map(str, addresses)))
    assert [NameAddr.parse(part) for part in parts] == addresses


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("sip:a@b;tag=1", ("", "sip:a@b", {"tag": "1"})),
        ("<sip:a@b;lr>;tag=1", ("", "sip:a@b;lr", {"tag": "1"})),
        ("Bob Smith <sip:a@b>", ("Bob Smith", "sip:a@b", {})),
        ("Jürgen<sip:a@b>", ("Jürgen", "sip:a@b", {})),
        (
            r'"a \"b\" <c>, d\\" <sip:a@b> ; Tag = "x;y" ; lr',
            ('a "b" <c>, d\\', "sip:a@b", {"tag": '"x;y"', "lr": None}),
        ),
        ("<sip:a@b>;tag=MTIz==;x=a/b:c@d", ("", "sip:a@b", {"tag": "MTIz==", "x": "a/b:c@d"})),
        ("<sip:a@b>;", ("", "sip:a@b", {})),
        ("<sip:a@b>;expires=", ("", "sip:a@b", {"expires": ""})),
        ("<sip:a@b>;tag=1;TAG=2", ("", "sip:a@b", {"tag": "1"})),
        ('<sip:a@b>;+sip.instance="<urn:uuid:1>"', ("", "sip:a@b", {"+sip.instance": '"<urn:uuid:1>"'})),
    ],
)
def test_parts(text: str, parts: tuple[str, str, dict[str, str | None]]) -> None:
    assert NameAddr.parse(text) == NameAddr(*parts)


@pytest.mark.parametrize(
    "text",
    [
        "", "<>", "<sip:a@b", "sip:a@b>", "< sip:a@b >", '"Bob <sip:a@b>', 'Bob" <sip:a@b>', "Bob, Jr <sip:a@b>",
        "Jürgen, x <sip:a@b>", "sip:a@b?x=y", "sip:a,b@c", "<sip:a@b>;;x", "<sip:a@b>;=1", "<sip:a@b>;a=b,c",
        "<sip:a@b>tag=1", "<sip:a@b>;a=<x>", '<sip:a@b>;a="b', "<sip:a@b>;a\x00", "<sip:a@b> <sip:c@d>",
        '"a" "b" <sip:a@b>',
    ],
)  # fmt: skip
def test_refuses(text: str) -> None:
    with pytest.raises(ParseError):
        NameAddr.parse(text)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("", []),
        ("a", ["a"]),
        (" a , b ,, c ", ["a", "b", "c"]),
        ('"x,y" <sip:a,b@c>;p="1,2" , <sip:d>', ['"x,y" <sip:a,b@c>;p="1,2"', "<sip:d>"]),
        (r'"a\",b", c', [r'"a\",b"', "c"]),
    ],
)
def test_lists(text: str, items: list[str]) -> None:
    assert split_list(text) == items


@pytest.mark.parametrize("text", ['"a, b', "<a, b", 'a, "b\\"'])
def test_a_list_with_an_open_end_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        split_list(text)


def test_a_tag_is_added_to_a_copy() -> None:
    address = NameAddr.parse("<sip:a@b>;x=1")
    assert str(address.with_tag("t")) == "<sip:a@b>;x=1;tag=t"
    assert NameAddr.parse("<sip:a@b>;x=1").tag is None
