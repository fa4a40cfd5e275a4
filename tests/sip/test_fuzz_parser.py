# SPDX-License-Identifier: Apache-2.0
"""Whatever comes, it parses or raises ParseError, in a time in proportion to its length; nothing else ever happens."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media import sdp
from media.sdp import Endpoint, SdpError
from media.session.negotiation import Ground, NoCodecError, answer_to
from media.sound.codec import CODECS
from switch.routing.number import asserted, number_of
from switch.sip.digest import DigestServer, Verdict
from switch.sip.message.address import NameAddr, Via
from switch.sip.message.errors import LocalProtocolError, ParseError
from switch.sip.message.framing import StreamFramer
from switch.sip.message.grammar import parse_params, split_list, whole_number
from switch.sip.message.message import Request
from switch.sip.message.parsing import parse_message
from switch.sip.message.reason import reason_cause
from switch.sip.message.uri import Uri
from switch.sip.message.validate import error_reply, validate_request
from switch.sip.transport.stun import answer_binding
from tests.sip.torture_messages import EXTENSIONS, METHODS, TORTURE

if TYPE_CHECKING:
    from collections.abc import Callable

CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())
SEEDS = [path.read_bytes() for path in (*sorted(TORTURE.glob("*/*.sip")), *CORPUS)]
MARKS = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b'"',
    b"\\",
    b"<",
    b">",
    b",",
    b";",
    b"=",
    b":",
    b"@",
    b"[",
    b"]",
    b"%",
    b" ",
    b"\t",
    b"\xff",
    # digits that int() does not read, or reads and should not, and white space that is none of SIP
    "\u00b2".encode(),
    "\u0663".encode(),
    "\uff11".encode(),
    "\u00a0".encode(),
    "\u2028".encode(),
    b"%0d%0a",
    b"%D9%A3",
    b"%3Bnpdi",
    b"9" * 5000,
    b"\x0b",
    b"\x85",
]


OURS = Endpoint(ip_address("192.0.2.1"), 20000, 20001)
GROUND = Ground(address=OURS.address, port=20000, codecs=tuple(CODECS.values()), session_id=1, version=0)


def describes(body: bytes) -> None:
    """What relay and media server do with a session description: read it and write it anew, answer it, or refuse it."""
    with suppress(SdpError):
        session = sdp.parse(body)
        again = sdp.rewrite(session, [OURS if media.relayed else None for media in session.media], replace_origin=True)
        assert len(sdp.parse(again).media) == len(session.media)
    with suppress(SdpError, NoCodecError):
        answer, _ = answer_to(body, GROUND)
        assert len(sdp.parse(answer).media) == len(session.media)


def survives(data: bytes) -> None:
    """The invariant, over everything that looks at bytes from the wire."""
    try:
        message = parse_message(data)
    except ParseError as error:
        reply = error_reply(error)
        if reply is not None:
            assert reply.to_bytes().startswith(b"SIP/2.0 ")
    else:
        # what parse_message promises cannot fail
        assert message.via.host
        assert message.from_.uri.scheme
        assert message.to.uri.scheme
        assert message.call_id is not None
        assert message.cseq >= 0
        assert message.contact is None or message.contact.uri.scheme
        if isinstance(message, Request):
            assert message.uri.scheme
            validate_request(message, methods=METHODS, extensions=EXTENSIONS)
            assert number_of(message.uri).text.isprintable()
            assert asserted(message).number.isprintable()
            message.response(200, to_tag="x").to_bytes()
        reason_cause(message.all("Reason"))
        assert parse_message(message.to_bytes()).body == message.body
        describes(message.body)
    with suppress(ParseError):
        list(StreamFramer().feed(data))
    describes(data)
    answer_binding(data, ("192.0.2.1", 5060))


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_the_corpus_survives(path: Path) -> None:
    survives(path.read_bytes())


@given(st.binary(max_size=300))
def test_any_bytes_survive(data: bytes) -> None:
    survives(data)


@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 2000), st.sampled_from(MARKS) | st.binary(max_size=3)), max_size=4),
)
def test_messages_with_something_put_in_survive(seed: bytes, changes: list[tuple[int, bytes]]) -> None:
    for at, insert in changes:
        at %= len(seed) + 1
        seed = seed[:at] + insert + seed[at:]
    survives(seed)


@given(st.sampled_from(SEEDS), st.sampled_from(SEEDS), st.integers(0, 2000), st.integers(0, 2000))
def test_messages_cut_and_joined_survive(one: bytes, other: bytes, end: int, start: int) -> None:
    survives(one[: end % (len(one) + 1)] + other[start % (len(other) + 1) :])


@given(st.sampled_from([Uri.parse, NameAddr.parse, Via.parse, parse_params, split_list]), st.text(max_size=60))
def test_any_text_survives(parse: Callable[[str], object], text: str) -> None:
    try:
        value = parse(text)
    except ParseError:
        return
    if isinstance(value, (Uri, NameAddr, Via)):
        assert type(value).parse(str(value)) == value


HOSTILE = [
    "sip:" + "a" * 60_000, "sip:" + "%41" * 20_000 + "@h", "sip:a@h" + ";a" * 30_000, "sip:a@h?" + "a=b&" * 15_000,
    "sip:" + "a@" * 30_000, "sip:a@h" + "." * 60_000, "<" * 60_000, ">" * 60_000, '"' * 60_001, '"' + "\\" * 60_000,
    '"' + '\\"' * 30_000, " " * 60_000, "\t" * 60_000 + "x", "a " * 30_000, "a" + " " * 60_000 + "<", ";" * 60_000,
    ";a=" * 20_000, ';a="' * 15_001, ";a" + " " * 60_000 + "=", "<sip:a@b>" + ";a " * 20_000, "," * 60_000,
    '"a",' * 15_000, "<a>," * 15_000, '"a' * 20_001 + ",", "<," * 30_000, "SIP/2.0/UDP " + "a" * 60_000,
    "SIP" + " " * 60_000 + "/2.0", "SIP/2.0/UDP h" + " " * 60_000 + "x", "SIP/2.0/UDP h;" + "a;" * 30_000,
    "SIP/2.0/" + "a" * 60_000, "[" + ":" * 60_000 + "]", "sip:[" + ":" * 60_000 + "]", "\u0661" * 30_000,
]  # fmt: skip


def parse_each(text: str) -> object:
    return [NameAddr.parse(part) for part in split_list(text)]


@pytest.mark.parametrize("parse", [Uri.parse, NameAddr.parse, parse_each, Via.parse, parse_params, split_list])
def test_no_text_costs_more_than_its_length(parse: Callable[[str], object]) -> None:
    for text in HOSTILE:
        started_at = process_time()
        with suppress(ParseError):
            parse(text)
        assert process_time() - started_at < 0.5, text[:20]  # at most some 20 ms; a quadratic search takes minutes


@pytest.mark.parametrize("text", ["\u00b2", "\u0663", "\uff11", "1e3", "0x1", "-1", "+1", " 1", "1_0", "9" * 5000, ""])
def test_a_number_of_a_header_is_ascii_digits_of_a_bounded_length(text: str) -> None:
    assert whole_number(text, 10) is None
    assert whole_number("0123", 10) == 123


@pytest.mark.parametrize(
    "filler", ["\r\n ", "\r\n\t", " ", "a\r\n", "a:\r\n", "a:b\r\n", "Via:\r\n", ",", "\x00", '"', "<", "v:<,\r\n"]
)
def test_no_message_costs_more_than_its_length(filler: str) -> None:
    start = "OPTIONS sip:a@b SIP/2.0\r\n"
    mandatory = "f: <sip:a@b>\r\nt: <sip:a@b>\r\ni: 1\r\nCSeq: 1 OPTIONS\r\n"
    flood = filler * (60_000 // len(filler))
    for text in (
        start + flood + "\r\n\r\n",
        start + "Via: " + flood[:8000] + "\r\n" + mandatory + "\r\n",
        start + "v: SIP/2.0/UDP h\r\n" + mandatory + "m: " + flood[:8000] + "\r\n\r\n",
        start[:12] + flood + start[12:] + mandatory + "\r\n",
    ):
        started_at = process_time()
        survives(text.encode())
        assert process_time() - started_at < 1.0


GOOD = 'Digest username="101", realm="r", nonce="n", uri="sip:r", response="f"'
AUTHORIZATIONS = [
    "", "Digest", "Digest ", "digest,", "Basic", "Digest username=", 'Digest username="', 'Digest username="101',
    'Digest username="101", realm="r', "Digest " + "a=b," * 10_000, "Digest " + GOOD, GOOD + GOOD[6:],
    GOOD + "," * 3000,
    GOOD.replace("101", "\u0661" * 50), GOOD.replace('"n"', '"' + "n" * 3000 + '"'), GOOD.replace("sip:r", "<>"),
    GOOD.replace('username="101", ', ""), GOOD.replace('realm="r", ', ""), GOOD.replace('nonce="n", ', ""),
    GOOD + ", qop=auth", GOOD + ", qop=auth, nc=" + "9" * 3000, GOOD + ", qop=auth, nc=-1",
    GOOD + ", qop=auth, nc=\u0661",
    GOOD + ", qop=auth-int, nc=00000001", GOOD + ", algorithm=ROT13", GOOD + ", algorithm=" + "M" * 3000,
    GOOD + ", algorithm=MD5-sess", GOOD.replace('"f"', '"\udcff"'), GOOD.replace("101", "\\"), GOOD + ', x="\\',
    "Digest " + "=" * 4000, "Digest " + '"' * 4000, "Digest " + "a " * 2000, "Digest" + " " * 4000 + "x", "\t" * 4000,
]  # fmt: skip


@pytest.mark.parametrize("line", AUTHORIZATIONS)
def test_any_authorization_is_refused_without_harm(line: str) -> None:
    """Nothing but 400 and a challenge, whatever stands there."""
    digest = DigestServer("r", b"secret", first_serial=1)
    started_at = process_time()
    for lines in ([line], [line] * 100, ["Basic x", line, line + "x"]):
        try:
            credentials = digest.find(lines)
        except ParseError as error:
            assert error.status == 400  # noqa: PT017
            continue
        if credentials is not None:
            assert not digest.is_current(credentials, "192.0.2.1", 1.0)
            assert digest.verify(credentials, "192.0.2.1", "REGISTER", "sip:r", "x", 1.0) is Verdict.STALE
            assert len(credentials.user) <= 64
    assert process_time() - started_at < 1.0


@given(st.sampled_from(AUTHORIZATIONS), st.text(max_size=30), st.integers(0, 200), st.integers(0, 20))
def test_any_change_of_an_authorization_is_survived(line: str, text: str, start: int, cut: int) -> None:
    digest = DigestServer("r", b"secret", first_serial=1)
    nonce = digest.challenges("192.0.2.1", 1.0)[0].split('nonce="')[1].split('"')[0]
    changed = (line[:start] + text + line[start + cut :]).replace('"n"', f'"{nonce}"')
    with suppress(ParseError):
        credentials = digest.find([changed])
        if credentials is not None:
            verdict = digest.verify(credentials, "192.0.2.1", "REGISTER", "sip:r", "x", 1.0)
            assert verdict in (Verdict.STALE, Verdict.REFUSED)


def test_our_own_mistakes_are_told_from_theirs() -> None:
    assert not issubclass(LocalProtocolError, ParseError)
