# SPDX-License-Identifier: Apache-2.0
"""No secret reaches a log line, however it gets into the message; what a message carries is written with it."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from softswitch.processes.logs import JsonFormatter, TextFormatter, redact

SECRET = "s3cr3t-value"
RESPONSE = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    "text",
    [
        f"password={SECRET}",
        f"password: {SECRET}, number: 101",
        f"{{'number': '101', 'password': '{SECRET}'}}",
        f'{{"password": "{SECRET}", "number": "101"}}',
        f"PIN={SECRET}",
        f"digits='{SECRET}'",
        f"connecting to postgresql://switch:{SECRET}@db1,db2/softswitch",
        f'REGISTER sip:x SIP/2.0\r\nAuthorization: Digest username="101", response="{SECRET}"\r\nTo: <sip:101@x>',
        f'Proxy-Authorization: Digest username="101",\r\n response="{SECRET}"\r\nTo: <sip:101@x>',
        repr(f'Authorization: Digest response="{SECRET}"\r\nTo: <sip:101@x>'.encode()),
        f"('Proxy-Authorization', 'Digest response=\"{SECRET}\"')",
        f"Authorization: Basic {SECRET}",
    ],
)
def test_secrets_are_taken_out_of_any_text(text: str) -> None:
    assert SECRET not in redact(text)


@pytest.mark.parametrize(
    "text", [f'response="{RESPONSE}"', f"response={RESPONSE}", f'x, response = "{RESPONSE}", qop=auth']
)
def test_a_digest_response_is_taken_out_without_its_header(text: str) -> None:
    assert RESPONSE not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "call to 420600000001 answered with response 200 OK",
        "the response came from 192.0.2.1:5060",
        "account 101 registered from sip:101@192.0.2.7:5060;transport=tcp",
        "To: <sip:101@sip.example.com>\r\nAuthentication-Info: nextnonce",
        "opinion: none",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_the_rest_of_a_message_stays_readable_beside_a_hidden_header() -> None:
    shown = redact("Via: a\r\nAuthorization: Digest x\r\nCall-ID: abc")
    assert shown == "Via: a\r\nAuthorization: [hidden]\r\nCall-ID: abc"


def record(message: str, *arguments: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("switch.calls", logging.WARNING, __file__, 1, message, arguments, None)
    made.__dict__.update(extra)
    return made


def test_a_text_line_carries_process_level_and_extras() -> None:
    line = TextFormatter("switch").format(record("call %s ended", 7, call_id="abc", account="101"))
    assert line.endswith("switch  warning: call 7 ended  call_id=abc  account=101")


def test_a_json_line_is_an_object_with_what_the_message_carries() -> None:
    written = json.loads(JsonFormatter("switch").format(record("ended", call_id="abc", seconds=3, password=SECRET)))
    assert written["message"] == "ended"
    assert (written["call_id"], written["seconds"], written["password"]) == ("abc", 3, "[hidden]")
    assert (written["process"], written["level"], written["logger"]) == ("switch", "warning", "switch.calls")
    assert written["at"].endswith("+00:00")


@pytest.mark.parametrize("formatter", [TextFormatter("switch"), JsonFormatter("switch")])
def test_a_traceback_is_shown_without_its_secrets(formatter: logging.Formatter) -> None:
    try:
        raise ValueError(f"password={SECRET}")
    except ValueError:
        made = record("failed")
        made.exc_info = sys.exc_info()
    shown = formatter.format(made)
    assert "ValueError" in shown
    assert SECRET not in shown
