# SPDX-License-Identifier: Apache-2.0
"""Header lines with letters beyond ASCII arrive as they were written (case K2)."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.post.mailheader import set_sender, set_text

words = st.text(
    st.characters(categories=["Lu", "Ll", "Nd", "Lo"]) | st.sampled_from("ŽďářúŮč (),:;@<>\"'\\=?_"), max_size=40
)


def arrived(message: EmailMessage, name: str) -> str:
    """What a reader finds; every line is as short as RFC 5322 2.1.1 and RFC 2047 2 want it."""
    data = bytes(message)
    assert all(len(line) <= 78 for line in data.splitlines())
    assert data.isascii()
    return str(message_from_bytes(data, policy=policy.default)[name])


@pytest.mark.parametrize(
    "subject",
    [
        "Hlasová zpráva, volal(a) Žďár Žďár úřad úřad (420777123456) (0:15)",
        "Voice message from " + "Žď " * 60,
        "Voice message from plain letters " * 5,
        "日本語の名前 " * 20,
        "=?utf-8?q?not_encoded?= é",
        "Ž",
    ],
)
def test_a_subject_keeps_its_spaces(subject: str) -> None:
    message = EmailMessage()
    set_text(message, "Subject", subject.strip())
    assert arrived(message, "Subject") == subject.strip()


@given(st.lists(words, min_size=1, max_size=12))
def test_any_words_arrive_as_they_were_written(written: list[str]) -> None:
    subject = " ".join(" ".join(written).split())
    if subject.isascii() and max(map(len, subject.split()), default=0) > 60:
        return  # one long word cannot be folded
    subject = f"é {subject}".strip()
    message = EmailMessage()
    set_text(message, "Subject", subject)
    assert arrived(message, "Subject") == subject


@pytest.mark.parametrize(
    "sender",
    [
        "Voicemail <voicemail@example.com>",
        "voicemail@example.com",
        "Žluťoučký kůň příšerně úpěl ďábelské ódy úřad <a@b.example>",
        '"Acme, Inc." <a@b.example>',
    ],
)
def test_a_sender_keeps_its_name_and_address(sender: str) -> None:
    message = EmailMessage()
    set_sender(message, sender)
    [raw] = [value for name, value in message_from_bytes(bytes(message)).items() if name == "From"]
    assert str(make_header(decode_header(raw))) == sender
    [address] = message_from_bytes(bytes(message), policy=policy.default)["From"].addresses
    assert address.addr_spec in sender
