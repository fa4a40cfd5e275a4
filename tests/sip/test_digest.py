# SPDX-License-Identifier: Apache-2.0
"""Digest authentication: challenges, credentials, verdicts and the client's half (RFC 7616, RFC 8760)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.sip.digest import (
    DigestServer,
    Verdict,
    answer_challenge,
    choose_challenge,
    parse_challenge,
    parse_credentials,
)
from switch.sip.message.errors import ParseError

SECRET = b"a secret that all nodes share"
NOW = 1_700_000_000.0
SOURCE = "192.0.2.10"
URI = "sip:example.com"


def server(**options: object) -> DigestServer:
    return DigestServer("example.com", SECRET, first_serial=7, **options)  # type: ignore[arg-type]


def answer(challenge: str, *, password: str = "secret", nc: int = 1, uri: str = URI, user: str = "alice") -> str:
    return answer_challenge(parse_challenge(challenge), "REGISTER", uri, user, password, nc=nc, cnonce="c0ffee")


def judge(
    digest: DigestServer, line: str, *, password: str | None = "secret", now: float = NOW, uri: str = URI
) -> Verdict:
    return digest.verify(parse_credentials(line), SOURCE, "REGISTER", uri, password, now)


# known answers ------------------------------------------------------------------------------------------------------
def test_computes_the_example_of_rfc_7616() -> None:
    challenge = parse_challenge(
        'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    line = answer_challenge(
        challenge,
        "GET",
        "/dir/index.html",
        "Mufasa",
        "Circle of Life",
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )
    assert 'response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"' in line
    assert 'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"' in line


def test_computes_the_example_of_rfc_2617() -> None:
    challenge = parse_challenge(
        'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'
    )
    line = answer_challenge(challenge, "GET", "/dir/index.html", "Mufasa", "Circle Of Life", cnonce="0a4f113b")
    assert parse_credentials(line).response == "6629fae49393a05397450978507c4ef1"


def test_computes_the_response_of_a_client_of_rfc_2069() -> None:
    challenge = parse_challenge('Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"')
    line = answer_challenge(challenge, "GET", "/dir/index.html", "Mufasa", "Circle Of Life", cnonce="")
    assert parse_credentials(line).response == "670fd8c2df070c60b045671b8b24ff02"


def test_session_variant_depends_on_the_client_nonce() -> None:
    challenge = parse_challenge('Digest realm="r", nonce="n", algorithm=MD5-sess, qop="auth"')
    first = parse_credentials(answer_challenge(challenge, "INVITE", URI, "u", "p", cnonce="one"))
    plain = parse_credentials(
        answer_challenge(replace(challenge, algorithm="MD5"), "INVITE", URI, "u", "p", cnonce="one")
    )
    assert first.response != plain.response


# parsing ------------------------------------------------------------------------------------------------------------
def test_reads_values_with_and_without_quotes() -> None:
    credentials = parse_credentials(
        'digest username = "al\\"ice" ,realm="a, b",nonce=abc, uri="sip:x",response="0F", algorithm="md5",'
        'qop="auth", nc="00000002", cnonce="x=y", opaque=""'
    )
    assert (credentials.username, credentials.realm, credentials.nonce) == ('al"ice', "a, b", "abc")
    assert (credentials.algorithm, credentials.qop, credentials.nc, credentials.cnonce) == ("MD5", "auth", 2, "x=y")


@pytest.mark.parametrize(
    "line",
    [
        "Basic Zm9v",
        "Digest",
        "Digest username=a",
        'Digest username="a',
        'Digest username="a", realm="r", nonce="n", uri="u", response="r", qop=auth',
        'Digest username="a", realm="r", nonce="n", uri="u", response="r", qop=auth, nc=zz',
        'Digest username="a", realm="r", nonce="n", uri="u", response="r", qop=auth, nc=100000000',
        "Digest " + "a=b," * 2000,
    ],
)
def test_refuses_what_is_not_complete_credentials(line: str) -> None:
    with pytest.raises(ParseError):
        parse_credentials(line)


@given(st.text(max_size=200))
def test_any_text_parses_or_is_refused(text: str) -> None:
    for line in (text, f"Digest {text}"):
        try:
            parse_credentials(line)
        except ParseError as error:
            assert error.status == 400  # noqa: PT017


def test_finds_the_credentials_of_our_realm_among_several_lines() -> None:
    digest = server()
    line = answer(digest.challenges(SOURCE, NOW)[0])
    other = line.replace('realm="example.com"', 'realm="elsewhere"')
    assert digest.find(["Basic Zm9v", other, line]) == parse_credentials(line)
    assert digest.find([other]) is None
    assert digest.find([]) is None


def test_strips_the_realm_that_some_phones_append_to_the_username() -> None:
    credentials = parse_credentials(answer(server().challenges(SOURCE, NOW)[0], user="alice@EXAMPLE.com"))
    assert credentials.user == "alice"
    assert replace(credentials, username="alice@pstn").user == "alice@pstn"


def test_credentials_do_not_show_the_response() -> None:
    credentials = parse_credentials(answer(server().challenges(SOURCE, NOW)[0]))
    assert credentials.response not in repr(credentials)


# challenges ---------------------------------------------------------------------------------------------------------
def test_offers_each_algorithm_in_a_line_of_its_own_md5_first() -> None:
    challenges = [parse_challenge(line) for line in server().challenges(SOURCE, NOW)]
    assert [challenge.algorithm for challenge in challenges] == ["MD5", "SHA-256"]
    assert all(challenge.qop == ("auth",) and not challenge.stale for challenge in challenges)


def test_order_and_choice_of_algorithms_are_the_operators() -> None:
    lines = server(algorithms=("SHA-256",)).challenges(SOURCE, NOW, stale=True)
    assert [(c.algorithm, c.stale) for c in map(parse_challenge, lines)] == [("SHA-256", True)]
    with pytest.raises(ValueError, match="algorithms"):
        server(algorithms=("ROT13",))


@pytest.mark.parametrize(
    ("user_agent", "offered"),
    [
        ("baresip v1.0.0 (x86_64/linux)", ["MD5"]),
        ("Baresip", ["MD5"]),
        ("phone", ["MD5", "SHA-256"]),
        (None, ["MD5", "SHA-256"]),
    ],
)
def test_phones_that_sha_256_confuses_are_spared_it(user_agent: str | None, offered: list[str]) -> None:
    lines = server(md5_user_agents=("baresip", "")).challenges(SOURCE, NOW, user_agent=user_agent)
    assert [parse_challenge(line).algorithm for line in lines] == offered


def test_an_operator_who_allows_sha_256_alone_makes_no_exception() -> None:
    lines = server(algorithms=("SHA-256",), md5_user_agents=("baresip",)).challenges(SOURCE, NOW, user_agent="baresip")
    assert [parse_challenge(line).algorithm for line in lines] == ["SHA-256"]


def test_nonces_are_never_repeated() -> None:
    digest = server()
    assert len({digest.challenges(SOURCE, NOW)[0] for _ in range(100)}) == 100


def test_client_takes_the_first_challenge_that_it_can_answer() -> None:
    lines = [
        'Digest realm="r", nonce="1", algorithm=WHIRLPOOL, qop="auth"',
        "Basic realm=r",
        'Digest realm="r", nonce="2", algorithm=SHA-256, qop="auth-int"',
        'Digest realm="r", nonce="3", algorithm=SHA-256, qop="auth-int,auth"',
        'Digest realm="r", nonce="4"',
    ]
    chosen = choose_challenge(lines)
    assert chosen is not None
    assert chosen.nonce == "3"
    assert choose_challenge(lines[:3]) is None
    with pytest.raises(ValueError, match="WHIRLPOOL"):
        answer(lines[0])


# verdicts -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("algorithm", [0, 1])
def test_accepts_the_right_password(algorithm: int) -> None:
    digest = server()
    assert judge(digest, answer(digest.challenges(SOURCE, NOW)[algorithm])) is Verdict.ACCEPTED


@pytest.mark.parametrize("password", ["wrong", None, ""])
def test_wrong_password_and_unknown_account_look_the_same(password: str | None) -> None:
    digest = server()
    assert judge(digest, answer(digest.challenges(SOURCE, NOW)[0], password=""), password=password) is Verdict.REFUSED
    assert judge(digest, answer(digest.challenges(SOURCE, NOW - 9999)[0]), password=password) is Verdict.STALE
    assert len(digest._used) == 0


def test_any_node_accepts_a_nonce_of_another() -> None:
    line = answer(server().challenges(SOURCE, NOW)[0])
    assert judge(server(), line) is Verdict.ACCEPTED


@pytest.mark.parametrize("nonce", ["", "x" * 40, "é" * 40, "0" * 40, "0" * 48, "0" * 3000])
@pytest.mark.parametrize("password", ["secret", "wrong"])
def test_an_invented_nonce_is_stale_before_anybody_looks_at_the_password(nonce: str, password: str) -> None:
    """Case G4: with invented credentials nothing is asked and nothing counted."""
    digest = server()
    line = answer(f'Digest realm="example.com", nonce="{nonce}", algorithm=MD5, qop="auth"', password=password)
    assert judge(digest, line) is Verdict.STALE
    assert not digest.is_current(parse_credentials(line), SOURCE, NOW)


def test_a_nonce_serves_only_where_it_was_sent() -> None:
    """Case G3: who forges an address has no nonce of it; a phone whose address changed is asked once more."""
    digest = server()
    credentials = parse_credentials(answer(digest.challenges(SOURCE, NOW)[0], password="wrong"))
    for source, verdict in (("198.51.100.7", Verdict.STALE), ("2001:db8::1", Verdict.STALE), (SOURCE, Verdict.REFUSED)):
        assert digest.is_current(credentials, source, NOW) is (source == SOURCE)
        assert digest.verify(credentials, source, "REGISTER", URI, "secret", NOW) is verdict


@pytest.mark.parametrize("count", ["0", "0x1", "1_0", "+1", " 1", "٣", "100000000", "f" * 5000])
def test_a_nonce_count_is_up_to_eight_hexadecimal_digits(count: str) -> None:
    line = answer(server().challenges(SOURCE, NOW)[0]).replace("nc=00000001", f'nc="{count}"')
    with pytest.raises(ParseError):
        parse_credentials(line)


@pytest.mark.parametrize(("name", "user"), [("a" * 64, "a" * 64), ("a" * 65, ""), ("a" * 4000, ""), ("", "")])
def test_what_is_too_long_for_a_name_is_nobody(name: str, user: str) -> None:
    """Case G5."""
    line = answer(server().challenges(SOURCE, NOW)[0], user=name)
    if len(line) <= 4096:
        assert parse_credentials(line).user == user


def test_expired_nonce_is_stale() -> None:
    digest = server(lifetime_seconds=300)
    line = answer(digest.challenges(SOURCE, NOW)[0])
    assert judge(digest, line, now=NOW + 301) is Verdict.STALE
    assert judge(digest, line, now=NOW + 299) is Verdict.ACCEPTED


def test_nonce_from_the_far_future_is_stale() -> None:
    digest = server()
    assert judge(digest, answer(digest.challenges(SOURCE, NOW)[0]), now=NOW - 100) is Verdict.STALE


def test_a_nonce_serves_many_requests_but_each_count_once() -> None:
    digest = server()
    challenge = digest.challenges(SOURCE, NOW)[0]
    lines = {nc: answer(challenge, nc=nc) for nc in (1, 2, 3, 5, 70)}
    assert [judge(digest, lines[nc]) for nc in (1, 3, 2)] == [Verdict.ACCEPTED] * 3
    assert [judge(digest, lines[nc]) for nc in (1, 2, 3)] == [Verdict.STALE] * 3
    assert judge(digest, lines[70]) is Verdict.ACCEPTED
    assert judge(digest, lines[3]) is Verdict.STALE
    assert judge(digest, lines[5]) is Verdict.STALE, "below the window"
    assert len(digest._used) == 1


def test_without_qop_a_nonce_serves_once() -> None:
    digest = server()
    plain = digest.challenges(SOURCE, NOW)[0].replace(', qop="auth"', "")
    assert judge(digest, answer(plain)) is Verdict.ACCEPTED
    assert judge(digest, answer(plain)) is Verdict.STALE
    counted = answer(plain + ', qop="auth"')
    assert judge(digest, counted) is Verdict.STALE


def test_a_counted_nonce_does_not_serve_without_count() -> None:
    digest = server()
    challenge = digest.challenges(SOURCE, NOW)[0]
    assert judge(digest, answer(challenge)) is Verdict.ACCEPTED
    assert judge(digest, answer(challenge.replace(', qop="auth"', ""))) is Verdict.STALE


def test_a_refused_attempt_uses_up_nothing() -> None:
    digest = server()
    challenge = digest.challenges(SOURCE, NOW)[0]
    assert judge(digest, answer(challenge, password="wrong")) is Verdict.REFUSED
    assert judge(digest, answer(challenge)) is Verdict.ACCEPTED


@pytest.mark.parametrize("change", [{"algorithm": "SHA-512-256"}, {"qop": "auth-int"}, {"response": "é"}])
def test_refuses_what_was_not_offered(change: dict[str, str]) -> None:
    digest = server()
    credentials = parse_credentials(answer(digest.challenges(SOURCE, NOW)[0]))
    assert digest.verify(replace(credentials, **change), SOURCE, "REGISTER", URI, "secret", NOW) is Verdict.REFUSED  # type: ignore[arg-type]


def test_response_of_one_method_does_not_serve_another() -> None:
    digest = server()
    credentials = parse_credentials(answer(digest.challenges(SOURCE, NOW)[0]))
    assert digest.verify(credentials, SOURCE, "INVITE", URI, "secret", NOW) is Verdict.REFUSED


@pytest.mark.parametrize(
    ("named", "requested", "fits"),
    [
        ("sip:100@example.com", "sip:100@example.com", True),
        ("sip:100@example.com:5060", "sip:100@192.0.2.1;transport=tcp", True),
        ("sip:example.com", "sip:192.0.2.1", True),
        ("sip:example.com", "sip:100@example.com", True),
        ("sip:100@example.com", "sip:900@example.com", False),
        ("<>", "sip:900@example.com", False),
    ],
)
def test_digest_uri_must_name_the_same_user(named: str, requested: str, fits: bool) -> None:
    digest = server()
    line = answer(digest.challenges(SOURCE, NOW)[0], uri=named)
    assert judge(digest, line, uri=requested) is (Verdict.ACCEPTED if fits else Verdict.REFUSED)


# memory -------------------------------------------------------------------------------------------------------------
def test_used_nonces_are_forgotten_when_they_have_expired() -> None:
    digest = server(lifetime_seconds=80)
    for second in range(400):
        now = NOW + second
        assert judge(digest, answer(digest.challenges(SOURCE, now)[0]), now=now) is Verdict.ACCEPTED
    assert len(digest._used) <= 81


def test_full_memory_makes_old_nonces_stale_instead_of_replayable() -> None:
    digest = server(lifetime_seconds=80, max_nonces=50)
    first = answer(digest.challenges(SOURCE, NOW)[0])
    assert judge(digest, first) is Verdict.ACCEPTED
    now = NOW + 40
    for step in range(50):
        assert (
            judge(digest, answer(digest.challenges(SOURCE, now + step / 10)[0]), now=now + step / 10)
            is Verdict.ACCEPTED
        )
    assert len(digest._used) == 50
    assert judge(digest, first, now=now + 5) is Verdict.STALE
    assert judge(digest, answer(digest.challenges(SOURCE, NOW)[0]), now=now + 5) is Verdict.STALE
    assert judge(digest, answer(digest.challenges(SOURCE, now + 5)[0]), now=now + 5) is Verdict.ACCEPTED
