# SPDX-License-Identifier: Apache-2.0
"""RFC 4475, all 49 messages: what is read from the valid ones and what is answered to the others."""

from __future__ import annotations

import pytest

from media import sdp
from switch.sip.message.address import NameAddr
from switch.sip.message.errors import ParseError
from switch.sip.message.framing import StreamFramer
from switch.sip.message.message import Request, Response
from switch.sip.message.parsing import BadMessageError, parse_message
from switch.sip.message.validate import error_reply, is_misrouted
from tests.sip.torture_messages import answer, names, read, request, response

RFC = "rfc4475"

# section 3.1.1 and those of 3.3 and 3.4 that a parser and the checks before routing let pass
PASSED = (
    "wsinv", "esc01", "escnull", "lwsdisp", "longreq", "dblreq", "semiuri", "transports", "mpart01",
    "badbranch", "baddate", "unksm2", "regaut01", "cparam01", "cparam02", "regescrt", "inv2543",
)  # fmt: skip
ANSWERED = {
    # 3.1.1: valid requests with methods that nobody knows
    "intmeth": 501, "esc02": 501,
    # 3.1.2
    "badinv01": 400, "clerr": 400, "ncl": 400, "scalar02": 400, "quotbal": 400, "ltgtruri": 400, "lwsruri": 400,
    "lwsstart": 400, "trws": 400, "escruri": 400, "regbadct": 400, "badaspec": 400, "baddn": 400, "badvers": 505,
    "mismatch01": 400, "mismatch02": 400,
    # 3.3
    "insuf": 400, "unkscm": 416, "novelsc": 416, "bext01": 420, "invut": 415, "multi01": 400, "mcl01": 400,
    "zeromf": 483, "sdp01": 406,
}  # fmt: skip
RESPONSES = ("unreason", "noreason", "bcast")
DROPPED = ("scalarlg", "bigcode")


def test_every_message_of_the_rfc_is_here_and_has_its_answer() -> None:
    stated = [*PASSED, *ANSWERED, *RESPONSES, *DROPPED]
    assert len(stated) == 49
    assert names(RFC) == sorted(stated)


@pytest.mark.parametrize("name", PASSED)
def test_passes(name: str) -> None:
    assert answer(read(RFC, name)) is None
    assert parse_message(request(RFC, name).to_bytes()).headers


@pytest.mark.parametrize(("name", "status"), ANSWERED.items())
def test_is_answered(name: str, status: int) -> None:
    reply = answer(read(RFC, name))
    assert reply is not None
    assert reply.status == status
    assert reply.get("Via") is not None
    assert reply.get("CSeq") is not None
    assert reply.get("Content-Length") is None  # made by to_bytes
    # what could not be read goes back as it came
    if name not in (
        "multi01",
        "badinv01",
        "quotbal",
        "badaspec",
        "baddn",
        "badvers",
        "insuf",
        "scalar02",
        "mismatch01",
    ):
        again = parse_message(reply.to_bytes())
        assert isinstance(again, Response)
        assert again.to_tag


@pytest.mark.parametrize("name", DROPPED)
def test_a_malformed_response_is_dropped(name: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_message(read(RFC, name))
    assert error_reply(caught.value) is None


# 3.1.1 ------------------------------------------------------------------------------------------------------------
def test_wsinv_is_read_through_all_its_white_space() -> None:
    invite = request(RFC, "wsinv")
    assert invite.uri.params == {"unknownparam": None}
    assert (invite.to.uri_text, invite.to_tag) == ("sip:vivekg@chair-dnrc.example.com", "1918181833n")
    assert (invite.from_.display, invite.from_tag) == ('J Rosenberg \\"', "98asjd8")
    assert invite.max_forwards == 68
    assert invite.call_id == "wsinv.ndaksdj@192.0.2.1"
    assert (invite.cseq, invite.cseq_method) == (9, "INVITE")
    assert (invite.via.transport, invite.via.host, invite.via.branch) == ("UDP", "192.0.2.2", "390skdjuw")
    assert len(invite.values("Via")) == 3
    assert invite.get("Subject") == ""
    assert " ".join((invite.get("newfangledheader") or "").split()) == "newfangled value continued newfangled value"
    assert invite.get("UnknownHeaderWithUnusualValue") == ";;,,;;,;"
    (route,) = invite.values("Route")
    assert NameAddr.parse(route).uri.params == {"lr": None, "unknownwith": "value", "unknown-no-value": None}
    assert invite.contact == NameAddr(
        'Quoted string ""', "sip:jdrosen@example.com", {"newparam": "newvalue", "secondparam": None, "q": "0.33"}
    )
    assert len(invite.body) == 150
    assert [media.kind for media in sdp.parse(invite.body).media] == ["audio", "video"]


def test_intmeth_keeps_every_character() -> None:
    message = request(RFC, "intmeth")
    assert message.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert message.uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert message.uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert message.uri.host == "example.com"
    assert message.to.display == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert message.from_.display == "token1~` token2'+_ token3*%!.-"
    assert message.from_.params["fromparam''~+*_!.-%"] == '"работающий"'
    assert message.from_tag == "_token~1'+`*%!-."
    assert message.call_id == "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"
    assert message.via.branch == "z9hG4bK-.!%66*_+`'~"
    assert message.max_forwards == 255
    assert message.get("extensionHeader-!.%*+_`'~") == "\ufeff大停電"
    assert message.to_bytes().count("大停電".encode()) == 1


def test_esc01_reads_escapes_where_they_are_escapes() -> None:
    invite = request(RFC, "esc01")
    assert (invite.uri.user, invite.uri.host) == ("sips:user@example.com", "example.net")
    assert str(invite.uri) == "sip:sips%3Auser%40example.com@example.net"
    assert invite.to.uri.user == "user"
    assert invite.from_.uri.user == "I have spaces"
    assert invite.contact is not None
    assert invite.contact.uri.user == "caller"
    assert invite.contact.uri.params == {"lr": None, "name": "v%61lue%25%34%31"}


def test_escnull_holds_nul_in_user_parts() -> None:
    register = request(RFC, "escnull")
    assert register.to.uri.user == "null-\x00-null"
    assert [NameAddr.parse(each).uri.user for each in register.values("Contact")] == ["\x00", "\x00\x00"]
    assert str(register.to.uri) == "sip:null-%00-null@example.com"


def test_esc02_takes_percent_for_itself_in_tokens() -> None:
    message = request(RFC, "esc02")
    assert message.method == "RE%47IST%45R"
    assert message.to.display == "%Z%45"
    assert message.via.branch == "z9hG4bK209%fzsnel234"
    assert len(message.values("Contact")) == 2
    assert message.get("C%6Fntact") == "<sip:alias2@host2.example.com>"
    reply = answer(read(RFC, "esc02"))
    assert reply is not None
    assert "REGISTER" in (reply.get("Allow") or "")


def test_lwsdisp_needs_no_space_before_the_bracket() -> None:
    assert request(RFC, "lwsdisp").from_ == NameAddr("caller", "sip:caller@example.com", {"tag": "323"})


def test_longreq_keeps_long_values_whole() -> None:
    invite = request(RFC, "longreq")
    assert invite.to.uri.port == 6000
    assert invite.to.uri.params["unknownparam1"] == f"very{'long' * 20}value"
    assert invite.from_tag == f"12{'982' * 50}424"
    assert len(invite.values("Via")) == 34
    assert invite.via.host == "sip33.example.com"
    assert invite.call_id == f"longreq.one{'really' * 20}longcallid"


def test_dblreq_ends_where_its_content_length_says() -> None:
    register = request(RFC, "dblreq")
    assert (register.method, register.body) == ("REGISTER", b"")
    pieces = StreamFramer().feed(read(RFC, "dblreq"))
    assert [parse_message(next(pieces)).cseq_method for _ in range(2)] == ["REGISTER", "INVITE"]
    with pytest.raises(ParseError):
        next(pieces)  # the INVITE has three bytes more than it says


def test_semiuri_has_its_semicolon_in_the_user_part() -> None:
    options = request(RFC, "semiuri")
    assert (options.uri.user, options.uri.host) == ("user;par=u@example.net", "example.com")
    assert options.uri.params == {}
    assert len(options.values("Accept")) == 6


def test_transports_may_be_any_token() -> None:
    assert [value.split("/")[2].split()[0] for value in request(RFC, "transports").values("Via")] == [
        "UDP", "SCTP", "TLS", "UNKNOWN", "TCP",
    ]  # fmt: skip


def test_mpart01_carries_its_binary_body_untouched() -> None:
    message = request(RFC, "mpart01")
    assert message.content_type == "multipart/mixed"
    assert len(message.body) == 553
    assert parse_message(message.to_bytes()).body == message.body


def test_unreason_and_noreason_have_the_reason_phrase_of_the_wire() -> None:
    assert response(RFC, "unreason").reason == "= 2**3 * 5**2 но сто девяносто девять - простое"
    assert (response(RFC, "noreason").status, response(RFC, "noreason").reason) == (100, "")
    assert response(RFC, "noreason").to_bytes().startswith(b"SIP/2.0 100 \r\n")


# 3.1.2 ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("badinv01", "Via: malformed parameters"),
        ("clerr", "body shorter than Content-Length"),
        ("ncl", "malformed Content-Length"),
        ("scalar02", "CSeq: malformed CSeq"),
        ("quotbal", "To: malformed address"),
        ("ltgtruri", "Request-URI: not a URI"),
        ("lwsruri", "malformed start line"),
        ("lwsstart", "malformed start line"),
        ("trws", "malformed start line"),
        ("escruri", "Request-URI: headers in it"),
        ("regbadct", "Contact: malformed address"),
        ("badaspec", "To: malformed address"),
        ("baddn", "From: display name needs quotes"),
        ("badvers", "unsupported version"),
        ("mismatch01", "Request-URI: method differs from that of CSeq"),
        ("insuf", "missing From"),
        ("multi01", "header: repeated CSeq"),
        ("mcl01", "header: differing Content-Length"),
    ],
)
def test_says_what_is_wrong(name: str, reason: str) -> None:
    with pytest.raises(BadMessageError) as caught:
        parse_message(read(RFC, name))
    assert caught.value.reason == reason
    assert isinstance(caught.value.message, Request)


def test_a_stream_waits_for_the_body_of_clerr_and_breaks_at_ncl() -> None:
    framer = StreamFramer()
    assert list(framer.feed(read(RFC, "clerr"))) == []
    assert framer.is_incomplete
    with pytest.raises(ParseError) as caught:
        list(StreamFramer().feed(read(RFC, "ncl")))
    reply = error_reply(caught.value)
    assert reply is not None
    assert reply.status == 400


def test_baddate_is_nobody_elses_concern() -> None:
    assert request(RFC, "baddate").get("Date") == "Fri, 01 Jan 2010 16:00:00 EST"


# 3.2, 3.3, 3.4 ----------------------------------------------------------------------------------------------------
def test_badbranch_has_a_branch_of_nothing_but_the_cookie() -> None:
    assert request(RFC, "badbranch").via.branch == "z9hG4bK"


def test_insuf_is_answered_with_what_there_is() -> None:
    reply = answer(read(RFC, "insuf"))
    assert reply is not None
    assert [name for name, _ in reply.headers] == ["CSeq", "Via"]


def test_unksm2_addresses_are_opaque() -> None:
    register = request(RFC, "unksm2")
    assert [register.to.uri.scheme, register.from_.uri.scheme] == ["isbn", "http"]
    assert register.contact is not None
    assert (register.contact.uri.scheme, register.contact.uri.opaque) == ("name", "John_Smith")


def test_bext01_names_what_is_not_supported() -> None:
    reply = answer(read(RFC, "bext01"))
    assert reply is not None
    assert reply.values("Unsupported") == [
        "nothingSupportsThis", "nothingSupportsThisEither", "noProxiesSupportThis", "norDoAnyProxiesSupportThis",
    ]  # fmt: skip


def test_invut_and_sdp01_learn_what_we_take() -> None:
    for name in ("invut", "sdp01"):
        reply = answer(read(RFC, name))
        assert reply is not None
        assert reply.get("Accept") == "application/sdp"


def test_bcast_was_meant_for_somebody_else() -> None:
    assert is_misrouted(response(RFC, "bcast"))
    assert not is_misrouted(response(RFC, "unreason"))


def test_cparam01_and_cparam02_differ_in_whose_parameter_it_is() -> None:
    bare, bracketed = (request(RFC, name).contact for name in ("cparam01", "cparam02"))
    assert bare is not None
    assert bracketed is not None
    assert (dict(bare.params), dict(bare.uri.params)) == ({"unknownparam": None}, {})
    assert (dict(bracketed.params), dict(bracketed.uri.params)) == ({}, {"unknownparam": None})


def test_regescrt_keeps_the_headers_of_the_contact() -> None:
    contact = request(RFC, "regescrt").contact
    assert contact is not None
    assert contact.uri.headers == "Route=%3Csip:sip.example.com%3E"


def test_inv2543_has_neither_tag_nor_branch_nor_length() -> None:
    invite = request(RFC, "inv2543")
    assert (invite.from_tag, invite.via.branch, invite.max_forwards) == (None, "", None)
    assert sdp.parse(invite.body).media[0].port == 49217
