# SPDX-License-Identifier: Apache-2.0
"""The commands of rtpengine's ng protocol: a datagram in, a datagram out; no sockets, no clock of its own.

A message is a cookie, a space and a bencoded dictionary. A cookie that comes again within `COOKIE_SECONDS` gets the
answer that it got before, so a client may repeat what it heard no answer to. Whatever is malformed gets an answer
`{"result": "error", "error-reason": ...}`, as long as there is a cookie to answer to.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, TypeAlias

from media.relay.bencode import BencodeError, Value, decode, encode
from media.relay.calls import RelayError, Signal
from media.relay.report import call_report, statistics_report
from media.sdp import SdpError

if TYPE_CHECKING:
    from media.relay.calls import Relay
    from media.sdp import Address

__all__ = ["NgServer"]

log = logging.getLogger("media.relay.ng")

Command: TypeAlias = "Mapping[str, Value]"
Reply: TypeAlias = "dict[str, Value]"

COOKIE_SECONDS = 15.0
MAX_COOKIES = 20_000
MAX_COOKIE_SIZE = 255
MAX_DATAGRAM = 65507
MAX_LISTED_CALLS = 32
"""What `list` returns unless the command says otherwise, as in rtpengine."""
DELETE_UNKNOWN = "Call-ID not found or tags didn't match"
LATER_COMMANDS = frozenset({"play DTMF", "start recording", "stop recording"})
MAX_REPEATS = 1000


class NgServer:
    """Carries out commands on a relay. `clock` gives monotonic seconds, `wall_clock_offset` makes them epoch ones."""

    def __init__(self, relay: Relay, clock: Callable[[], float], wall_clock_offset: float) -> None:
        self._relay = relay
        self._clock = clock
        self._wall_clock_offset = wall_clock_offset
        self._started_at = clock()
        self._answers: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()
        self._commands: dict[str, Callable[[Command], Reply]] = {
            "ping": self._ping,
            "offer": self._offer,
            "answer": self._answer,
            "delete": self._delete,
            "query": self._query,
            "list": self._list,
            "statistics": self._statistics,
            "play media": self._play_media,
            "stop media": self._stop_media,
            "block media": partial(self._block, sound=True),
            "unblock media": partial(self._block, sound=False),
            "block DTMF": partial(self._block, keys=True),
            "unblock DTMF": partial(self._block, keys=False),
        }

    def handle(self, datagram: bytes) -> bytes | None:
        """The answer to one datagram; none where it has no cookie to answer to."""
        cookie, space, body = datagram.partition(b" ")
        if not space or not cookie or len(cookie) > MAX_COOKIE_SIZE:
            return None
        now = self._clock()
        self._forget_answers(now)
        known = self._answers.get(cookie)
        if known is not None:
            return known[1]
        try:
            answer = cookie + b" " + encode(self._reply(body))
        except Exception:  # the supervisor of a command: whatever it contains, it gets an answer
            log.exception("an ng command failed")
            answer = cookie + b" " + encode(_error("Internal error"))
        if len(answer) > MAX_DATAGRAM:
            answer = cookie + b" " + encode(_error("The answer does not fit into a datagram"))
        self._answers[cookie] = (now, answer)
        return answer

    def answered(self, cookie: bytes) -> bytes | None:
        """The answer that a command got before; None: it got none, or that is long ago."""
        known = self._answers.get(cookie)
        return None if known is None else known[1]

    def _forget_answers(self, now: float) -> None:
        answers = self._answers
        while answers:
            oldest = next(iter(answers))
            if answers[oldest][0] + COOKIE_SECONDS > now and len(answers) < MAX_COOKIES:
                break
            del answers[oldest]

    def _reply(self, body: bytes) -> Reply:
        try:
            command = decode(body)
            if not isinstance(command, Mapping):
                raise RelayError("The message is not a dictionary")
            return self._execute(command)
        except BencodeError as error:
            return _error(f"Invalid bencoding: {error}")
        except SdpError as error:
            return _error(f"Invalid SDP: {error}")
        except RelayError as error:
            return _error(str(error))

    def _execute(self, command: Command) -> Reply:
        name = _text(command, "command")
        handler = self._commands.get(name)
        if handler is not None:
            return handler(command)
        if name in LATER_COMMANDS:
            raise RelayError(f"This relay does not know how to {name}")
        raise RelayError("Unrecognized command")

    def _ping(self, _: Command) -> Reply:
        return {"result": "pong"}

    def _offer(self, command: Command) -> Reply:
        signal = _signal(command, to_tag=_optional_text(command, "to-tag"))
        body = self._relay.offer(signal)
        log.debug("offer", extra={"call_id": signal.call_id})
        return {"result": "ok", "sdp": body}

    def _answer(self, command: Command) -> Reply:
        signal = _signal(command, to_tag=_text(command, "to-tag"))
        body = self._relay.answer(signal)
        log.debug("answer", extra={"call_id": signal.call_id})
        return {"result": "ok", "sdp": body}

    def _delete(self, command: Command) -> Reply:
        call_id = _text(command, "call-id")
        known = call_id in self._relay.calls
        call = self._relay.delete(call_id, _optional_text(command, "from-tag"), _optional_text(command, "to-tag"))
        if call is not None:
            log.debug("delete", extra={"call_id": call_id})
            return {"result": "ok", **call_report(call, self._clock(), self._wall_clock_offset)}
        if "fatal" in _flags(command) and not known:
            raise RelayError(DELETE_UNKNOWN)
        return {"result": "ok"} if known else {"result": "ok", "warning": DELETE_UNKNOWN}

    def _query(self, command: Command) -> Reply:
        call = self._relay.query(_text(command, "call-id"))
        return {"result": "ok", **call_report(call, self._clock(), self._wall_clock_offset)}

    def _list(self, command: Command) -> Reply:
        limit = command.get("limit", MAX_LISTED_CALLS)
        if not isinstance(limit, int) or limit < 0:
            raise RelayError("Key limit is not a count")
        return {"result": "ok", "calls": list(self._relay.calls)[:limit]}

    def _play_media(self, command: Command) -> Reply:
        blob = command.get("blob")
        if not isinstance(blob, str | bytes):
            raise RelayError("Only a WAV file in the key blob can be played")
        times = command.get("repeat-times", 1)
        if not isinstance(times, int) or not 1 <= times <= MAX_REPEATS:
            raise RelayError("Key repeat-times is not a count")
        seconds = self._relay.play(
            _text(command, "call-id"),
            _party(command),
            blob.encode("utf-8", "surrogateescape") if isinstance(blob, str) else blob,
            times=times,
            alone="block-egress" in _flags(command),
        )
        return {"result": "ok", "duration": round(seconds * 1000)}

    def _stop_media(self, command: Command) -> Reply:
        self._relay.stop_playing(_text(command, "call-id"), _party(command))
        return {"result": "ok"}

    def _block(self, command: Command, *, sound: bool | None = None, keys: bool | None = None) -> Reply:
        """Of one party, or of both where the command names none."""
        tag = _optional_text(command, "from-tag")
        self._relay.block(_text(command, "call-id"), tag, sound=sound, keys=keys)
        return {"result": "ok"}

    def _statistics(self, _: Command) -> Reply:
        return {"result": "ok", "statistics": statistics_report(self._relay, self._clock() - self._started_at)}


def _error(reason: str) -> Reply:
    return {"result": "error", "error-reason": reason}


def _optional_text(command: Command, key: str) -> str | None:
    value = command.get(key)
    if value is not None and not isinstance(value, str):
        raise RelayError(f"Key {key} is not a string")
    return value or None


def _text(command: Command, key: str) -> str:
    value = _optional_text(command, key)
    if value is None:
        raise RelayError(f"Key {key} is missing")
    return value


def _party(command: Command) -> str | None:
    """The tag of the party that a command means; None: both, by the flag `all`."""
    return None if "all" in _flags(command) or "all" in command else _text(command, "from-tag")


def _flags(command: Command) -> frozenset[str]:
    """The list `flags`, spelt alike: rtpengine takes blanks for hyphens."""
    flags = command.get("flags", [])
    return _words(flags)


def _words(value: Value) -> frozenset[str]:
    if isinstance(value, str | bytes | int | Mapping):
        return frozenset()
    return frozenset(one.replace(" ", "-").lower() for one in value if isinstance(one, str))


def _signal(command: Command, to_tag: str | None) -> Signal:
    return Signal(
        call_id=_text(command, "call-id"),
        from_tag=_text(command, "from-tag"),
        to_tag=to_tag,
        body=_text(command, "sdp").encode("utf-8", "surrogateescape"),
        sip_host=_received_from(command),
        trusts_sip_host="sip-source-address" in _flags(command),
        address=_media_address(command),
        replace_origin="origin" in _words(command.get("replace", [])),
        remove_ice=command.get("ICE") == "remove",
        watched="watched" in _flags(command),
    )


def _received_from(command: Command) -> str | None:
    """`received-from`: a list like ["IP4", "192.0.2.1"]; anything else says nothing, as it is optional."""
    value = command.get("received-from")
    if isinstance(value, str | bytes | int | Mapping) or value is None or len(value) != 2:
        return None
    address = value[1]
    return str(_address(address, "received-from")) if isinstance(address, str) else None


def _media_address(command: Command) -> Address | None:
    text = _optional_text(command, "media address") or _optional_text(command, "media-address")
    return _address(text, "media address") if text else None


def _address(text: str, key: str) -> Address:
    try:
        return ip_address(text)
    except ValueError:
        raise RelayError(f"Key {key} holds no IP address") from None
