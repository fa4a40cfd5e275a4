# SPDX-License-Identifier: Apache-2.0
"""URIs: RFC 3261 section 19.1 and RFC 3966."""

from __future__ import annotations

import string
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.sip.message.errors import ParseError
from switch.sip.message.uri import Uri

HOSTS = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9\-]{0,20}\.){0,3}[a-z]{1,10}", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)
NAMES = st.text(string.ascii_lowercase + string.digits + "-._;=%\r\n", min_size=1, max_size=12)
PARAMS = st.dictionaries(
    NAMES, st.none() | st.text(string.ascii_letters + string.digits + "-.", max_size=12), max_size=4
)
USERS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


@given(
    scheme=st.sampled_from(["sip", "sips"]),
    user=st.none() | USERS,
    host=HOSTS,
    port=st.none() | st.integers(0, 65_535),
    params=PARAMS,
)
def test_what_is_written_is_read_again(
    scheme: str, user: str | None, host: str, port: int | None, params: dict[str, str | None]
) -> None:
    uri = Uri(scheme, user, host, port, params)
    text = str(uri)
    assert Uri.parse(text) == uri
    assert not set(text) & set('\r\n\t <>"')


@given(st.binary(min_size=1, max_size=20))
def test_a_user_part_holds_any_bytes(data: bytes) -> None:
    user = data.decode("utf-8", "surrogateescape")
    assert Uri.parse(str(Uri("sip", user, "example.com"))).user == user


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("sip:alice@example.com", ("sip", "alice", None, "example.com", None, {}, "")),
        ("SIPS:alice:secret@example.com:5061", ("sips", "alice", "secret", "example.com", 5061, {}, "")),
        (
            "sip:example.com;transport=TCP;lr",
            ("sip", None, None, "example.com", None, {"transport": "TCP", "lr": None}, ""),
        ),
        ("sip:a@h?to=x&y=z", ("sip", "a", None, "h", None, {}, "to=x&y=z")),
        ("sip:+1-201;ext=2@h;user=phone", ("sip", "+1-201;ext=2", None, "h", None, {"user": "phone"}, "")),
        ("sip:a;b?c/d@h", ("sip", "a;b?c/d", None, "h", None, {}, "")),
        ("sip:[2001:db8::1]:5070", ("sip", None, None, "[2001:db8::1]", 5070, {}, "")),
        ("tel:+358-555-1234567;postd=pp22", ("tel", "+358-555-1234567", None, "", None, {"postd": "pp22"}, "")),
    ],
)
def test_parts(text: str, parts: tuple[object, ...]) -> None:
    uri = Uri.parse(text)
    assert (uri.scheme, uri.user, uri.password, uri.host, uri.port, dict(uri.params), uri.headers) == parts


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "sip:", "sip:@", "sip:@host", "sip::secret@host", "sip:a@", "sip:a@b@c", "sip:a b@c", "sip:a@b;\tc",
        "<sip:a@b>", "alice", "alice@example.com", "1sip:a@b", "sip:a@h:", "sip:a@h:x", "sip:a@h:65536", "sip:a@h:-1",
        "sip:a@h:٥", "sip:%zz@h", "sip:a@h;%z=1", "sip:a@[::1", "sip:a@[::g]", "sip:a@[1:2]", "sip:a@-host", "tel:",
        "sip:a@h\x00", "sip:a@h\r\nVia: x", 'sip:"a"@h', "sip:a@hö.example", "sip:a@" + "h" * 256,
    ],
)  # fmt: skip
def test_refuses(text: str) -> None:
    with pytest.raises(ParseError):
        Uri.parse(text)


def test_an_escaped_line_end_never_comes_out_again() -> None:
    uri = Uri.parse("sip:a%0d%0ab@h;x%0d%0aVia=1")
    assert uri.user == "a\r\nb"
    assert str(uri) == "sip:a%0D%0Ab@h;x%0D%0Avia=1"


def test_other_schemes_are_opaque() -> None:
    uri = Uri.parse("urn:service:sos")
    assert (uri.scheme, uri.opaque, uri.is_sip, str(uri)) == ("urn", "service:sos", False, "urn:service:sos")


def test_parameters_of_a_shared_uri_cannot_be_changed() -> None:
    uri = Uri.parse("sip:a@h;lr")
    with pytest.raises(TypeError):
        cast("Any", uri.params)["maddr"] = "192.0.2.66"
    assert Uri.parse("sip:a@h;lr").params == {"lr": None}


def test_long_uris_are_not_kept() -> None:
    Uri.forget()
    long = f"sip:{'a' * 300}@h"
    assert Uri.parse(long) is not Uri.parse(long)
    assert Uri.parse("sip:a@h") is Uri.parse("sip:a@h")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
    ],
)
def test_equivalent_as_in_section_19_1_4(one: str, other: str) -> None:
    assert Uri.parse(one).equivalent(Uri.parse(other))
    assert Uri.parse(other).equivalent(Uri.parse(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:a@h", "sips:a@h"),
    ],
)
def test_not_equivalent_as_in_section_19_1_4(one: str, other: str) -> None:
    assert not Uri.parse(one).equivalent(Uri.parse(other))
