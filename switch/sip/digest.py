# SPDX-License-Identifier: Apache-2.0
"""Digest authentication for SIP (RFC 3261 section 22, RFC 7616, RFC 8760), both sides, without I/O.

`DigestServer` challenges and verifies; `answer_challenge` is the client's half, for carriers that challenge us.

A nonce is stateless: the instant of its issue, a serial number and a MAC over both and over the address that it was
sent to, under a secret that all nodes share, so that any node accepts the challenge of another. So whoever answers with
a nonce of ours receives what is sent to his address: until then a request says nothing of anybody (see docs/adr/
0021-strangers-cost-nothing.md). The instant is Unix time, hence `now` is Unix time in this module (nodes share no
monotonic clock). Only nonces that were *used* are remembered, for as long as they are valid, with a window of their
nonce counts; see docs/adr/0006-digest-and-nonces.md.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from switch.sip.message.errors import ParseError
from switch.sip.message.grammar import quote, unquote
from switch.sip.message.uri import Uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = [
    "Challenge",
    "Credentials",
    "DigestServer",
    "Verdict",
    "answer_challenge",
    "choose_challenge",
    "parse_challenge",
    "parse_credentials",
]

_SCHEME = re.compile(r"\s*Digest\s+", re.IGNORECASE)
# RFC 3261 25.1 dig-resp; phones also leave out quotes where they belong and write them where they do not
_PARAM = re.compile(r'([A-Za-z0-9_-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,"]+)', re.DOTALL)

_MAX_LINE: Final = 4096
_LONGEST_NAME: Final = 64
_COUNT: Final = re.compile(r"[0-9A-Fa-f]{1,8}", re.ASCII)
_NONCE_LENGTH: Final = 40
_SIGNED_LENGTH: Final = 20
"""48 bits of milliseconds and 32 bits of serial number, in hexadecimal digits; 80 bits of signature follow: short,
since a challenge shall not be larger than the request that it answers."""
_SIGNATURE_OCTETS: Final = (_NONCE_LENGTH - _SIGNED_LENGTH) // 2
_CLOCK_SKEW_SECONDS: Final = 10.0
"""How far the clock of another node may be before ours."""
_WINDOW: Final = 64
"""Nonce counts that may still arrive out of order behind the highest (forked or reordered requests)."""
_ALL_USED: Final = 1 << 32
"""A nonce count that no client can exceed: the mark of a nonce that serves once."""


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sha512_256(data: bytes) -> str:
    return hashlib.new("sha512_256", data).hexdigest()


_HASHES: Final[dict[str, Callable[[bytes], str]]] = {"MD5": _md5, "SHA-256": _sha256, "SHA-512-256": _sha512_256}


class Verdict(Enum):
    """What the credentials of a request are worth."""

    ACCEPTED = "accepted"
    STALE = "stale"
    """The nonce is expired, used up, or not one that we sent there: challenge again with stale=true. Nobody has been
    asked for the password."""
    REFUSED = "refused"
    """Wrong password, unknown account, or credentials that do not belong to this request."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The parameters of an Authorization or Proxy-Authorization header, without quotes."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str = "MD5"
    """Upper case."""
    qop: str | None = None
    """Lower case; None for a client of RFC 2069."""
    nc: int = 0
    nc_text: str = ""
    cnonce: str = ""

    @property
    def user(self) -> str:
        """The username without the `@realm` that some phones append; empty, which nobody is called, for what is too
        long to be a name: such names are one, wherever anything is kept or counted by the name."""
        user, at, host = self.username.rpartition("@")
        name = user if at and host.lower() == self.realm.lower() else self.username
        return name if len(name) <= _LONGEST_NAME else ""

    def __repr__(self) -> str:
        """Without the response, so that it cannot reach a log."""
        return f"Credentials({self.username!r}, realm {self.realm!r}, {self.algorithm})"


@dataclass(frozen=True, slots=True)
class Challenge:
    """The parameters of a WWW-Authenticate or Proxy-Authenticate header, without quotes."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    """As received."""
    qop: tuple[str, ...] = ()
    """Lower case."""
    opaque: str | None = None
    stale: bool = False


def _parse_params(line: str) -> dict[str, str]:
    """Parameters by lower-case name, without quotes; what is no parameter is skipped, of two alike the first counts."""
    if _SCHEME.match(line) is None or len(line) > _MAX_LINE:
        raise ParseError("not digest parameters")
    return {
        name.lower(): value[1:-1] if value[0] == '"' and "\\" not in value else unquote(value)
        for name, value in reversed(_PARAM.findall(line))
    }


def parse_credentials(line: str) -> Credentials:
    """Read one Authorization line; raises ParseError (400) for anything but complete Digest credentials."""
    params = _parse_params(line)
    try:
        username, realm, nonce = params["username"], params["realm"], params["nonce"]
        uri, response = params["uri"], params["response"]
        qop = params.get("qop")
        nc_text = params["nc"] if qop else "0"
    except KeyError:
        raise ParseError("incomplete digest credentials") from None
    algorithm = params.get("algorithm", "MD5").upper()
    if not qop:
        return Credentials(username, realm, nonce, uri, response, algorithm)
    # RFC 7616 3.4: digits of ASCII; `int` would take a sign, underscores and the digits of other scripts
    nc = int(nc_text, 16) if _COUNT.fullmatch(nc_text) else 0
    if not nc:
        raise ParseError("malformed nonce count")
    return Credentials(
        username, realm, nonce, uri, response, algorithm, qop.lower(), nc, nc_text, params.get("cnonce", "")
    )


def parse_challenge(line: str) -> Challenge:
    """Read one WWW-Authenticate line; raises ParseError for anything but a complete Digest challenge."""
    params = _parse_params(line)
    if "realm" not in params or "nonce" not in params:
        raise ParseError("incomplete digest challenge")
    qop = tuple(item for part in params.get("qop", "").lower().split(",") if (item := part.strip()))
    return Challenge(
        params["realm"],
        params["nonce"],
        params.get("algorithm") or "MD5",
        qop,
        params.get("opaque"),
        params.get("stale", "").lower() == "true",
    )


def _hashed(hashed: Callable[[bytes], str], *parts: str) -> str:
    return hashed(":".join(parts).encode("utf-8", "surrogateescape"))


def _request_digest(hashed: Callable[[bytes], str], ha1: str, nonce: str, counted: str, ha2: str) -> str:
    """RFC 7616 section 3.4.1; `counted` is "nc:cnonce:qop", empty for RFC 2069."""
    return _hashed(hashed, ha1, nonce, counted, ha2) if counted else _hashed(hashed, ha1, nonce, ha2)


class DigestServer:
    """Challenges requests and verifies their credentials for one realm.

    `first_serial` starts the serial numbers of the nonces: any random number below 2**32, so that nodes and restarts
    do not repeat each other. `max_nonces` bounds the memory for replay protection: when it is reached, the oldest
    nonces stop being valid early (their clients see stale=true once) rather than being forgotten, which would let
    them be replayed.
    """

    def __init__(
        self,
        realm: str,
        secret: bytes,
        *,
        first_serial: int,
        lifetime_seconds: float = 300.0,
        algorithms: Sequence[str] = ("MD5", "SHA-256"),
        max_nonces: int = 200_000,
        md5_user_agents: Iterable[str] = (),
    ) -> None:
        unknown = [name for name in algorithms if name not in _HASHES]
        if unknown or not algorithms:
            raise ValueError(f"algorithms must be of {', '.join(_HASHES)}")
        self.realm = realm
        # RFC 7693 2.9: keyed, BLAKE2 is a MAC by itself; the state after the key is copied for each nonce
        self._keyed = hashlib.blake2s(key=hashlib.sha256(secret).digest(), digest_size=_SIGNATURE_OCTETS)
        self._serial = first_serial
        # RFC 8760 2.4: the server's order is its preference; MD5 first since old phones read the first header only
        self._algorithms = tuple(algorithms)
        self._md5_user_agents = tuple(name.lower() for name in md5_user_agents if name)
        self._used = _UsedNonces(lifetime_seconds, max_nonces)
        self._looked_at: tuple[str, str, float | None] = ("", "", None)
        """The nonce that was looked at last, its source, and when it was issued: a request's is looked at twice."""

    def challenges(self, source: str, now: float, *, stale: bool = False, user_agent: str | None = None) -> list[str]:
        """Values for WWW-Authenticate or Proxy-Authenticate, one header line each (RFC 8760 section 2.3).

        `source` is the address that they are sent to, without port: a NAT may change that.

        Phones whose User-Agent begins with one of `md5_user_agents` see MD5 alone: they give up at the sight of an
        algorithm that they do not know, where RFC 2617 section 3.2.1 has them ignore that challenge.
        """
        nonce = self._new_nonce(source, now)
        offered = self._algorithms
        simple = self._md5_user_agents
        if simple and user_agent is not None and "MD5" in offered and user_agent.lower().startswith(simple):
            offered = ("MD5",)
        tail = ', qop="auth", stale=true' if stale else ', qop="auth"'
        return [f'Digest realm="{self.realm}", nonce="{nonce}", algorithm={algorithm}{tail}' for algorithm in offered]

    def find(self, lines: Iterable[str]) -> Credentials | None:
        """The credentials for our realm among all header lines (RFC 3261 section 22.3), None when there are none.

        Lines of other realms and other schemes belong to somebody else. Raises ParseError when a line is malformed.
        """
        for line in lines:
            if _SCHEME.match(line) is None:
                continue
            credentials = parse_credentials(line)
            if credentials.realm == self.realm:
                return credentials
        return None

    def is_current(self, credentials: Credentials, source: str, now: float) -> bool:
        """Whether the nonce is one that we (any node) sent to this address, and not expired: what to know before
        anything is asked or counted for the sake of these credentials."""
        issued_at = self._issued_at(credentials.nonce, source)
        return issued_at is not None and self._used.is_valid(issued_at, now)

    def verify(
        self, credentials: Credentials, source: str, method: str, request_uri: str, password: str | None, now: float
    ) -> Verdict:
        """Judge the credentials of a request from `source`; an accepted nonce count is used up by that.

        The nonce is looked at first. `password` None (or empty) means that nobody can log in by this name: the same
        work is done and the same verdict given as for a wrong password.
        """
        issued_at = self._issued_at(credentials.nonce, source)
        if issued_at is None or not self._used.is_valid(issued_at, now):
            return Verdict.STALE
        algorithm = credentials.algorithm
        if algorithm not in self._algorithms:
            return Verdict.REFUSED
        hashed = _HASHES[algorithm]
        expected = _request_digest(
            hashed,
            _hashed(hashed, credentials.username, credentials.realm, password or ""),
            credentials.nonce,
            f"{credentials.nc_text}:{credentials.cnonce}:{credentials.qop}" if credentials.qop else "",
            _hashed(hashed, method, credentials.uri),
        )
        matches = hmac.compare_digest(
            expected.encode(), credentials.response.lower().encode("utf-8", "surrogateescape")
        )
        fits = credentials.qop in ("auth", None) and _uri_fits(credentials.uri, request_uri)
        if not (matches and fits and password):
            return Verdict.REFUSED
        count = credentials.nc if credentials.qop else _ALL_USED
        return Verdict.ACCEPTED if self._used.use(credentials.nonce, issued_at, count, now) else Verdict.STALE

    def _new_nonce(self, source: str, now: float) -> str:
        self._serial = (self._serial + 1) & 0xFFFFFFFF
        signed = f"{int(now * 1000):012x}{self._serial:08x}"
        return signed + self._signature(signed, source)

    def _signature(self, signed: str, source: str) -> str:
        keyed = self._keyed.copy()
        keyed.update(f"{signed} {source}".encode())
        return keyed.hexdigest()

    def _issued_at(self, nonce: str, source: str) -> float | None:
        """When we (any node) sent this nonce there; None when nobody of us did."""
        if len(nonce) != _NONCE_LENGTH or not nonce.isascii():
            return None
        if self._looked_at[0] != nonce or self._looked_at[1] != source:
            signed = nonce[:_SIGNED_LENGTH]
            is_ours = hmac.compare_digest(self._signature(signed, source), nonce[_SIGNED_LENGTH:])
            self._looked_at = (nonce, source, int(signed[:12], 16) / 1000 if is_ours else None)
        return self._looked_at[2]


class _UsedNonces:
    """Nonce counts that were used, of nonces that are still valid, in the order of their first use."""

    def __init__(self, lifetime_seconds: float, limit: int) -> None:
        self._lifetime = lifetime_seconds
        self._limit = limit
        self._states: dict[str, int] = {}
        self._order: deque[tuple[float, str]] = deque()
        """(instant of issue, nonce); a dict whose first entries go would have to skip them on every look."""
        self._valid_from = 0.0
        """Nonces issued up to then are no longer valid."""

    def __len__(self) -> int:
        return len(self._states)

    def is_valid(self, issued_at: float, now: float) -> bool:
        """Whether nonces of this instant have not expired."""
        return -_CLOCK_SKEW_SECONDS <= now - issued_at < self._lifetime and issued_at > self._valid_from

    def use(self, nonce: str, issued_at: float, count: int, now: float) -> bool:
        """Use up one count of a valid nonce; False when the count was used before (RFC 7616 3.4)."""
        state = self._states.get(nonce)
        if state is not None:
            return self._advance(self._states, nonce, state, count)
        self._forget(now)
        self._states[nonce] = count << _WINDOW | 1
        self._order.append((issued_at, nonce))
        return True

    def _forget(self, now: float) -> None:
        """Make room for one more: forget what has expired, or else end the validity of the oldest."""
        order = self._order
        while order and (now - order[0][0] >= self._lifetime or len(order) >= self._limit):
            issued_at, nonce = order.popleft()
            del self._states[nonce]
            self._valid_from = max(self._valid_from, issued_at)

    @staticmethod
    def _advance(nonces: dict[str, int], nonce: str, state: int, count: int) -> bool:
        """Move the window: the highest count, and below it one bit for each used count, the lowest for the highest."""
        highest, bits = state >> _WINDOW, state & ((1 << _WINDOW) - 1)
        if count == _ALL_USED or highest == _ALL_USED:
            return False  # RFC 2069 has no nonce count: such a nonce serves once
        if count > highest:
            shift = count - highest
            bits = ((bits << shift) & ((1 << _WINDOW) - 1) if shift < _WINDOW else 0) | 1
            nonces[nonce] = count << _WINDOW | bits
            return True
        bit = 1 << (highest - count) if highest - count < _WINDOW else 0
        if not bit or bits & bit:
            return False
        nonces[nonce] = state | bit
        return True


def _uri_fits(digest_uri: str, request_uri: str) -> bool:
    """Whether the digest-uri names what the request asks for (RFC 3261 section 22.4 item 5).

    Phones and the proxies before us disagree on host, port and parameters of both, so only the user part decides: a
    captured response must not serve to dial another number. A digest-uri without user fits all.
    """
    if digest_uri == request_uri:
        return True
    try:
        named, requested = Uri.parse(digest_uri), Uri.parse(request_uri)
    except ParseError:
        return False
    return named.user is None or requested.user is None or named.user == requested.user


def choose_challenge(lines: Iterable[str], algorithms: Sequence[str] = tuple(_HASHES)) -> Challenge | None:
    """The first challenge that we can answer (RFC 8760 section 2.4: the server puts its favourite first)."""
    for line in lines:
        try:
            challenge = parse_challenge(line)
        except ParseError:
            continue
        name = challenge.algorithm.upper().removesuffix("-SESS")
        if name in algorithms and (not challenge.qop or "auth" in challenge.qop):
            return challenge
    return None


def answer_challenge(
    challenge: Challenge, method: str, uri: str, username: str, password: str, *, nc: int = 1, cnonce: str
) -> str:
    """The value of Authorization or Proxy-Authorization that answers a challenge (RFC 7616 section 3.4).

    `nc` counts the requests sent with this nonce from 1, `cnonce` is the client's random text. Raises ValueError for
    a challenge that `choose_challenge` would not have chosen.
    """
    name = challenge.algorithm.upper()
    algorithm = name.removesuffix("-SESS")
    if algorithm not in _HASHES or (challenge.qop and "auth" not in challenge.qop):
        raise ValueError(f"cannot answer {challenge.algorithm} with qop {challenge.qop}")
    nc_text = f"{nc:08x}"
    hashed = _HASHES[algorithm]
    ha1 = _hashed(hashed, username, challenge.realm, password)
    if name != algorithm:
        ha1 = _hashed(hashed, ha1, challenge.nonce, cnonce)  # RFC 7616 3.4.2: the -sess algorithms
    counted = f"{nc_text}:{cnonce}:auth" if challenge.qop else ""
    response = _request_digest(hashed, ha1, challenge.nonce, counted, _hashed(hashed, method, uri))
    parts = [
        f"Digest username={quote(username)}",
        f"realm={quote(challenge.realm)}",
        f"nonce={quote(challenge.nonce)}",
        f"uri={quote(uri)}",
        f'response="{response}"',
        f"algorithm={challenge.algorithm}",
    ]
    if challenge.qop or name != algorithm:
        parts.append(f"cnonce={quote(cnonce)}")
    if challenge.qop:
        parts += ["qop=auth", f"nc={nc_text}"]
    if challenge.opaque is not None:
        parts.append(f"opaque={quote(challenge.opaque)}")
    return ", ".join(parts)
