# SPDX-License-Identifier: Apache-2.0
"""Our credentials on one leg: the answers to the challenges of a peer (RFC 3261 section 22, RFC 7616). Pure.

A response may challenge for several realms, as UAS (401) and as proxies (407), and each realm by several algorithms:
all that can be answered are answered, each realm by its first algorithm that we know (RFC 8760 section 2.4). What was
refused is not tried again, unless the peer says that only the nonce was stale and gives a new one; and no request goes
on for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from switch.sip.digest import Challenge, answer_challenge, choose_challenge, parse_challenge, parse_credentials
from switch.sip.message.errors import ParseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from switch.sip.message.message import HeaderLines, Request, Response

__all__ = ["MOST_ROUNDS", "Login"]

MOST_ROUNDS: Final = 5
"""How often one request is sent again with credentials: a proxy, the server behind it, and stale nonces of both."""
_MOST_REALMS: Final = 8
_KINDS: Final = (("WWW-Authenticate", "Authorization"), ("Proxy-Authenticate", "Proxy-Authorization"))

_Key = tuple[str, str]
"""The header that answers, and the realm."""


@dataclass(slots=True)
class _Known:
    """A challenge that we have answered."""

    challenge: Challenge
    cnonce: str
    """One for each nonce: `-sess` algorithms make a session of both (RFC 7616 section 3.4.2)."""
    count: int = 0
    """Requests that were sent with this nonce."""


class Login:
    """A name and a password, and what the peer has asked for on this leg so far."""

    __slots__ = ("_known", "_new_token", "_password", "_realm", "_username")

    def __init__(self, username: str, password: str, new_token: Callable[[], str], realm: str = "") -> None:
        """`new_token` gives random text for cnonces; `realm` is the only one that is answered, where it is given."""
        self._realm = realm
        self._username = username
        self._password = password
        self._new_token = new_token
        self._known: dict[_Key, _Known] = {}

    def __repr__(self) -> str:
        """Without the password, so that it cannot reach a log."""
        return f"Login({self._username!r})"

    def answers(self, request: Request, response: Response, rounds: int) -> HeaderLines | None:
        """All credentials for `request`, which was refused by 401 or 407 after `rounds` answers; None: give up.

        They take the place of those that the request carried.
        """
        if rounds >= MOST_ROUNDS:
            return None
        carried = dict(_carried(request))
        asked = {key: challenge for key, challenge in _asked(response) if self._realm in ("", key[1])}
        for key, challenge in asked.items():
            nonce = carried.get(key)
            if nonce is not None and (not challenge.stale or challenge.nonce == nonce):
                return None  # what we said was refused
        if not asked:
            return None
        for key, challenge in asked.items():
            known = self._known.get(key)
            if known is None or known.challenge.nonce != challenge.nonce:
                self._remember(key, _Known(challenge, self._new_token()))
        wanted = dict.fromkeys((*carried, *asked))
        return [(key[0], self._line(request, self._known[key])) for key in wanted if key in self._known]

    def _remember(self, key: _Key, known: _Known) -> None:
        self._known.pop(key, None)
        while len(self._known) >= _MOST_REALMS:
            del self._known[next(iter(self._known))]
        self._known[key] = known

    def _line(self, request: Request, known: _Known) -> str:
        known.count += 1
        return answer_challenge(
            known.challenge,
            request.method,
            request.uri_text,
            self._username,
            self._password,
            nc=known.count,
            cnonce=known.cnonce,
        )


def _carried(request: Request) -> Iterator[tuple[_Key, str]]:
    """The nonces that a request has answered already, by kind and realm."""
    for _, name in _KINDS:
        for line in request.all(name):
            try:
                credentials = parse_credentials(line)
            except ParseError:
                continue
            yield (name, credentials.realm), credentials.nonce


def _asked(response: Response) -> Iterator[tuple[_Key, Challenge]]:
    """The challenges that we can answer, one for each kind and realm; at most so many."""
    for asks, name in _KINDS:
        for realm, lines in _by_realm(response.all(asks)).items():
            challenge = choose_challenge(lines)
            if challenge is not None:
                yield (name, realm), challenge


def _by_realm(lines: Iterable[str]) -> dict[str, list[str]]:
    realms: dict[str, list[str]] = {}
    for line in lines:
        try:
            realm = parse_challenge(line).realm
        except ParseError:
            continue  # another scheme, or nonsense
        if realm in realms or len(realms) < _MOST_REALMS // 2:
            realms.setdefault(realm, []).append(line)
    return realms
