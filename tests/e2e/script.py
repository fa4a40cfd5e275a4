# SPDX-License-Identifier: Apache-2.0
"""Scenarios for SIPp, written as what one side of a call does, step by step.

    caller = Script.caller(audio(0)).receive(200).ack().bye()
    callee = Script.callee().answer(200, audio(0)).receive("ACK").receive("BYE").respond(200)

SIPp's own XML says the same in forty lines a side, thirty of them headers; `Script.xml` writes them. A step that does
not happen as written fails the scenario.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self
from xml.sax.saxutils import quoteattr

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Script", "audio", "fax"]

CAPTURED: Final = {"via": "Via:", "from": "From:", "to": "To:", "call": "Call-ID:", "sequence": "CSeq:"}
FIRST_CALLEE_SEQUENCE: Final = 101
REASONS: Final = {100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 302: "Moved Temporarily"}


def _description(medias: str, version: int) -> str:
    return f"v=0\no=sipp 1 {version} IN IP4 [local_ip]\ns=-\nc=IN IP4 [local_ip]\nt=0 0\n{medias}"


def audio(*payloads: int, port: int = 40000, version: int = 1, direction: str = "sendrecv") -> str:
    """A session description with one audio stream."""
    formats = " ".join(map(str, payloads))
    return _description(f"m=audio {port} RTP/AVP {formats}\na={direction}\n", version)


def fax(*, port: int = 40010, version: int = 2) -> str:
    """A session description with one T.38 stream (RFC 3362)."""
    return _description(f"m=image {port} udptl t38\na=T38FaxVersion:0\na=T38MaxBitRate:14400\n", version)


@dataclass(slots=True)
class Script:
    """One side of a call."""

    steps: list[str] = field(default_factory=list)
    is_caller: bool = True
    _sequence: int = 0
    _invite_sequence: int = 0
    _invite_step: int = 0
    _variables: dict[str, None] = field(default_factory=dict)
    _checks: int = 0

    # beginnings -------------------------------------------------------------------------------------------------
    @classmethod
    def caller(cls, body: str = "", *, headers: Sequence[str] = (), is_challenged: bool = True) -> Self:
        """Calls from an account: INVITE, the challenge, INVITE with credentials."""
        script = cls()
        script._invite(body, headers)
        if is_challenged:
            script.receive(100, optional=True)
            script.steps.append('<recv response="407" auth="true"/>')
            script._acknowledge_refusal()
            script._invite(body, [*headers, "[authentication]"])
        return script.receive(100, optional=True)

    @classmethod
    def callee(cls, *, contains: str = "") -> Self:
        """Waits for a call, and remembers of its INVITE what later messages need."""
        script = cls(is_caller=False, _sequence=FIRST_CALLEE_SEQUENCE - 1)
        return script.receive("INVITE", contains=contains, keep=CAPTURED)

    def _invite(self, body: str, headers: Sequence[str]) -> None:
        self._sequence += 1
        self._invite_sequence, self._invite_step = self._sequence, len(self.steps)
        self._request("INVITE", self._sequence, "[service]", body=body, headers=headers)

    @property
    def _invite_branch(self) -> str:
        """The branch of the last INVITE, for its CANCEL or the ACK to its refusal: SIPp counts steps backwards."""
        return f"[branch-{len(self.steps) - self._invite_step}]"

    # steps ------------------------------------------------------------------------------------------------------
    def receive(
        self,
        what: int | str,
        *,
        contains: str = "",
        keep: Mapping[str, str] | None = None,
        optional: bool = False,
    ) -> Self:
        """A response (by status) or request (by method) must come.

        `contains`: a regular expression that it must match; `keep`: headers to keep, by the name of a variable.
        """
        actions = []
        for variable, header in (keep or {}).items():
            self._variables[variable] = None
            actions.append(f'<ereg regexp=".*" search_in="hdr" header="{header}" assign_to="{variable}"/>')
        if contains:
            self._checks += 1
            variable = f"check{self._checks}"
            self._variables[variable] = None
            expression = quoteattr(contains)
            actions.append(f'<ereg regexp={expression} search_in="msg" check_it="true" assign_to="{variable}"/>')
        kind = "response" if isinstance(what, int) else "request"
        extra = ' optional="true"' if optional else ' rrs="true"'
        self.steps.append(f'<recv {kind}="{what}"{extra}><action>{"".join(actions)}</action></recv>')
        return self

    def receive_again(self, *, contains: str = "") -> Self:
        """The INVITE must come once more, changed as our answer to the first one asked for."""
        return self.receive("INVITE", contains=contains, keep=CAPTURED)

    def refused(self, status: int, *, contains: str = "") -> Self:
        """The first INVITE must be refused; that is acknowledged."""
        self.receive(status, contains=contains)
        return self._acknowledge_refusal()

    def _acknowledge_refusal(self) -> Self:
        return self._request("ACK", self._invite_sequence, "[service]", branch=self._invite_branch)

    def ack_refusal(self) -> Self:
        """Acknowledges that a re-INVITE was refused: the same branch as the INVITE (RFC 3261 17.1.1.3)."""
        return self._request("ACK", self._invite_sequence, "", branch=self._invite_branch)

    def answer(
        self, status: int, body: str = "", *, headers: Sequence[str] = (), tag: str = "1", contact: str = ""
    ) -> Self:
        """A response to the INVITE that the script began with; `tag` tells forks apart."""
        lines = [
            f"SIP/2.0 {status} {REASONS.get(status, 'Refused')}",
            "Via:[$via]",
            "From:[$from]",
            f"To:[$to];tag=[pid]-{tag}",
            "Call-ID:[$call]",
            "CSeq:[$sequence]",
            f"Contact: <{contact or 'sip:sipp@[local_ip]:[local_port]'}>",
            *headers,
        ]
        return self._send(lines, body)

    def respond(self, status: int, body: str = "", *, headers: Sequence[str] = ()) -> Self:
        """A response to the request that came last."""
        lines = [
            f"SIP/2.0 {status} {REASONS.get(status, 'Refused')}",
            *(f"[last_{name}:]" for name in ("Via", "From", "To", "Call-ID", "CSeq")),
            "Contact: <sip:sipp@[local_ip]:[local_port]>",
            *headers,
        ]
        return self._send(lines, body)

    def request(self, method: str, body: str = "", *, headers: Sequence[str] = (), kind: str = "") -> Self:
        """A request within the dialog; `kind`: the body's type if it is no session description."""
        self._sequence += 1
        if method == "INVITE":
            self._invite_sequence, self._invite_step = self._sequence, len(self.steps)
        return self._request(method, self._sequence, "", body=body, headers=headers, kind=kind)

    def ack(self, body: str = "") -> Self:
        """Acknowledges the answer to the last INVITE."""
        return self._request("ACK", self._invite_sequence, "", body=body)

    def prack(self, body: str = "") -> Self:
        """Acknowledges the provisional response whose RSeq is kept as `rseq` (RFC 3262)."""
        headers = [f"RAck:[$rseq] {self._invite_sequence} INVITE"]
        return self.request("PRACK", body, headers=headers).receive(200)

    def bye(self) -> Self:
        """Hangs up."""
        return self.request("BYE").receive(200)

    def hung_up(self) -> Self:
        """The other side hangs up."""
        return self.receive("BYE").respond(200)

    def pause(self, milliseconds: int) -> Self:
        """Does nothing for a while."""
        self.steps.append(f'<pause milliseconds="{milliseconds}"/>')
        return self

    # wire -------------------------------------------------------------------------------------------------------
    def _request(
        self,
        method: str,
        sequence: int,
        user: str,
        *,
        body: str = "",
        headers: Sequence[str] = (),
        kind: str = "",
        branch: str = "[branch]",
    ) -> Self:
        """A request; `user` is dialled, without one it goes to the other side's Contact."""
        is_first = method == "INVITE" and bool(user)
        if self.is_caller:
            sender = "From: <sip:[caller]@sip.example.com>;tag=[pid]-[call_number]"
            receiver = f"To: <sip:[service]@sip.example.com>{'' if is_first else '[peer_tag_param]'}"
            identity = "Call-ID: [call_id]"
        else:
            sender, receiver, identity = "From:[$to];tag=[pid]-1", "To:[$from]", "Call-ID:[$call]"
        lines = [
            f"{method} {f'sip:{user}@[remote_ip]:[remote_port]' if user else '[next_url]'} SIP/2.0",
            f"Via: SIP/2.0/[transport] [local_ip]:[local_port];branch={branch}",
            "Max-Forwards: 70",
            sender,
            receiver,
            identity,
            f"CSeq: {sequence} {method}",
            "Contact: <sip:sipp@[local_ip]:[local_port]>",
            *headers,
        ]
        return self._send(lines, body, kind)

    def _send(self, lines: Sequence[str], body: str, kind: str = "") -> Self:
        lines = [*lines, *([f"Content-Type: {kind or 'application/sdp'}"] if body else []), "Content-Length: [len]"]
        message = "\n".join([*lines, "", body])
        self.steps.append(f"<send><![CDATA[\n{message}\n]]></send>")
        return self

    def xml(self) -> str:
        """The scenario as SIPp reads it."""
        reference = f'<Reference variables="{",".join(self._variables)}"/>' if self._variables else ""
        steps = "\n".join([*self.steps, reference])
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="softswitch">\n{steps}\n</scenario>\n'
