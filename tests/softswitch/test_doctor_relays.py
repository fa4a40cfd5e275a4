# SPDX-License-Identifier: Apache-2.0
"""What the doctor says of media relays: silent ones, and ones that know less than others (case H7)."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from softswitch.config import load
from softswitch.doctor import Finding, Verdict, relay_findings
from switch.relay.abilities import COMMANDS
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def relay(*unknown: bytes) -> Iterator[int]:
    """A relay that does not know some commands; yields its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as answering:
        answering.bind(("127.0.0.1", 0))

        def answer() -> None:
            while (received := answering.recvfrom(2000))[0] != b"end":
                cookie, _, command = received[0].partition(b" ")
                reason = b"Unrecognized command" if any(name in command for name in unknown) else b"Unknown call-ID"
                text = b"%s d12:error-reason%d:%s6:result5:errore" % (cookie, len(reason), reason)
                answering.sendto(text, received[1])

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield answering.getsockname()[1]
        finally:
            answering.sendto(b"end", answering.getsockname())
            thread.join()


def findings(tmp_path: Path, *ports: int) -> list[Finding]:
    file = tmp_path / "config.yaml"
    addresses = ", ".join(f"'udp:127.0.0.1:{port}'" for port in ports)
    file.write_text(f"media: {{relay: [{addresses}]}}\n")
    return list(relay_findings(load(file)))


@pytest.mark.parametrize("name", ["play media", "block media", "block DTMF"])
def test_a_command_that_a_relay_does_not_know_is_told_with_what_is_missed(tmp_path: Path, name: str) -> None:
    with relay(name.encode()) as old, relay() as new:
        told = findings(tmp_path, old, new)
    assert [finding.verdict for finding in told] == [Verdict.WARNING, Verdict.GOOD]
    assert told[0].text == f"127.0.0.1:{old} does not know {name}: {COMMANDS[name]}"
    assert told[1].text == f"127.0.0.1:{new} answers"


def test_a_relay_that_does_not_answer_is_bad(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, free_port())
    assert finding.verdict is Verdict.BAD
    assert "does not answer" in finding.text
