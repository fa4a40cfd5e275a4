# SPDX-License-Identifier: Apache-2.0
"""Client of the ng protocol of rtpengine: bencoded dictionaries over UDP, each with a cookie that marks its answer."""

from __future__ import annotations

import asyncio
import hmac
import io
import logging
import time
import wave
from contextlib import suppress
from secrets import token_hex
from typing import TYPE_CHECKING, Final, Protocol

from switch.relay.abilities import COMMANDS, Abilities, is_unknown, tags
from switch.relay.bencode import BencodeError, bdecode, bencode
from switch.relay.media_lines import normal_form

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CALLER_TAG",
    "Address",
    "CommandUnknown",
    "NgError",
    "NgRelay",
    "NoRelay",
    "Relay",
    "RelayFull",
    "RelayUnavailable",
]

log = logging.getLogger(__name__)

Address = tuple[str, int]

CALLER_TAG: Final = "a"
"""Names the caller of a call, who is its first party."""

_TRY_SECONDS: Final = (0.3, 0.7, 1.5)
_FULL: Final = "Ran out of ports"
"""How rtpengine, and our relay, say that."""


class NgError(Exception):
    """The relay refused a command; the text is its reason."""


class RelayUnavailable(NgError):  # noqa: N818 (a state of the relay)
    """No relay answers."""


class RelayFull(RelayUnavailable):
    """The relay answers, but has no media ports left."""


class CommandUnknown(NgError):  # noqa: N818 (a state of the relay)
    """The relay does not know the command; told once in the log. Calls go on without what it would have done."""


class Relay(Protocol):
    """Where the media of calls goes through; session descriptions go in and come back rewritten."""

    async def offer(self, call_id: str, from_tag: str, sdp: bytes, source: str) -> bytes:
        """Pass an offer of the party `from_tag`; `source` is the address that its SIP came from."""

    async def answer(self, call_id: str, from_tag: str, to_tag: str, sdp: bytes, source: str) -> bytes:
        """Pass the answer of the party `to_tag`, whose SIP came from `source`, to an offer of `from_tag`."""

    async def delete(self, call_id: str) -> None:
        """Free what a call holds; harmless when it holds nothing."""

    async def delete_everywhere(self, call_id: str) -> None:
        """Free what any relay holds of a call that was not set up through this object; harmless as well."""

    async def query(self, call_id: str) -> Mapping[str, object] | None:
        """Statistics of a call; None: the relay does not know it (any more). Raises RelayUnavailable."""

    async def play(self, call_id: str, tag: str, wav: bytes, times: int) -> None:
        """Play a WAV file to the party `tag`, which hears nothing else meanwhile. Raises NgError."""

    async def hold_back(self, call_id: str, tag: str) -> None:
        """Let nobody hear the sound and keys of the party `tag`: the call is not answered yet. Raises NgError."""

    async def let_through(self, call_id: str, tag: str) -> None:
        """The final answer: `hold_back` no more. Raises NgError."""

    @property
    def carries_media(self) -> bool:
        """False: phones send media to each other directly."""


class NoRelay:
    """Phones exchange media directly."""

    carries_media = False

    async def offer(self, call_id: str, from_tag: str, sdp: bytes, source: str) -> bytes:
        """The offer as it is."""
        return sdp

    async def answer(self, call_id: str, from_tag: str, to_tag: str, sdp: bytes, source: str) -> bytes:
        """The answer as it is."""
        return sdp

    async def delete(self, call_id: str) -> None:
        """Nothing is held."""

    async def delete_everywhere(self, call_id: str) -> None:
        """Nothing is held."""

    async def query(self, call_id: str) -> Mapping[str, object] | None:
        """Nothing is known, which means nothing here: see `carries_media`."""
        return {}

    async def play(self, call_id: str, tag: str, wav: bytes, times: int) -> None:
        """Nobody is here to play."""
        raise NgError("media does not pass a relay")

    async def hold_back(self, call_id: str, tag: str) -> None:
        """Phones hear each other from the first description on."""

    async def let_through(self, call_id: str, tag: str) -> None:
        """They do anyway."""


class NgRelay(asyncio.DatagramProtocol):
    """Speaks to one relay or several; a call stays with the relay that its identifier selects while that answers."""

    carries_media = True

    def __init__(
        self, addresses: tuple[tuple[str, int], ...], *, secrets: Mapping[tuple[str, int], bytes] | None = None
    ) -> None:
        self.addresses = addresses
        """(host, port) of each relay; may be replaced, calls stay where they are."""
        self.secrets: Mapping[tuple[str, int], bytes] = secrets or {}
        """Of relays of ours, which take no command without a mark (`media.relay.ng_mark`); may be replaced."""
        self._waiting: dict[bytes, asyncio.Future[bytes]] = {}
        self._chosen: dict[str, tuple[str, int]] = {}
        self._away: set[tuple[str, int]] = set()
        """Those that did not answer when last spoken to."""
        self._doubtful: dict[str, set[tuple[str, int]]] = {}
        """By call: relays that answered nothing, and may hold something of it all the same."""
        self._abilities: dict[Address, Abilities] = {}
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self) -> None:
        """Open the socket."""
        any_host = "::" if ":" in self.addresses[0][0] else "0.0.0.0"
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(any_host, 0))

    def close(self) -> None:
        """Close the socket; open commands fail."""
        if self._transport is not None:
            self._transport.close()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(RelayUnavailable("closing"))

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """An answer; strays are ignored."""
        cookie, _, payload = data.partition(b" ")
        future = self._waiting.get(cookie)
        if future is not None and not future.done():
            future.set_result(payload)

    def error_received(self, exc: Exception) -> None:
        """An ICMP error says no more than the missing answer does."""

    async def offer(self, call_id: str, from_tag: str, sdp: bytes, source: str) -> bytes:
        """See `Relay`."""
        return await self._describe(call_id, {"command": "offer", "from-tag": from_tag}, sdp, source)

    async def answer(self, call_id: str, from_tag: str, to_tag: str, sdp: bytes, source: str) -> bytes:
        """See `Relay`."""
        command = {"command": "answer", "from-tag": from_tag, "to-tag": to_tag}
        return await self._describe(call_id, command, sdp, source)

    async def _describe(self, call_id: str, command: Mapping[str, object], sdp: bytes, source: str) -> bytes:
        try:
            sdp = normal_form(sdp)
        except ValueError as error:
            raise NgError(str(error)) from error
        # the source lets the relay tell the party behind a NAT from a stranger
        received = ["IP6" if ":" in source else "IP4", source]
        answer = await self._command(
            call_id,
            {
                **command,
                "call-id": call_id,
                "sdp": sdp,
                "received-from": received,
                "replace": ["origin"],
                "ICE": "remove",
                "flags": ["watched"],
            },
        )
        rewritten = answer.get("sdp")
        if not isinstance(rewritten, bytes):
            raise NgError("no sdp in the answer")
        return rewritten

    async def delete(self, call_id: str) -> None:
        """See `Relay`."""
        known = self._chosen.pop(call_id, None)
        relays = self._doubtful.pop(call_id, set()) | ({known} if known is not None else set())
        command = bencode({"command": "delete", "call-id": call_id, "delete-delay": 0})
        await asyncio.gather(*(self._exchange(address, command) for address in relays))

    async def delete_everywhere(self, call_id: str) -> None:
        """See `Relay`."""
        command = bencode({"command": "delete", "call-id": call_id, "delete-delay": 0})
        await asyncio.gather(*(self._exchange(address, command) for address in self.addresses))

    async def query(self, call_id: str) -> Mapping[str, object] | None:
        """See `Relay`."""
        try:
            report = await self._command(call_id, {"command": "query", "call-id": call_id})
        except RelayUnavailable:
            raise
        except NgError:
            return None
        self._abilities_of(call_id).learn("watched", report)
        return report

    async def play(self, call_id: str, tag: str, wav: bytes, times: int) -> None:
        """See `Relay`. Where the relay itself does not keep the other sound back, it returns when the piece is over."""
        abilities, others = self._abilities_of(call_id), list[str]()
        command = {"command": "play media", "call-id": call_id, "from-tag": tag, "blob": wav, "repeat-times": times}
        try:
            if abilities.takes("block-egress") is False and not abilities.lacks("play media"):
                others = _others(await self.query(call_id) or {}, tag)
                await self._for_each("block media", call_id, others)
            await self._command(call_id, {**command, "flags": ["directional", "block-egress"]})
            if abilities.takes("block-egress") is None and (report := await self.query(call_id)) is not None:
                others = [] if abilities.learn("block-egress", report) else _others(report, tag)
                await self._for_each("block media", call_id, others)
            if others:
                await asyncio.sleep(times * _wav_seconds(wav))
        finally:
            await self._for_each("unblock media", call_id, others)

    async def _for_each(self, command: str, call_id: str, parties: list[str]) -> None:
        for tag in parties:
            with suppress(NgError):  # a fork that has gone, or the whole call
                await self._for_party((command,), call_id, tag)

    async def hold_back(self, call_id: str, tag: str) -> None:
        """See `Relay`. Both commands are rtpengine's: `block media` alone would let keys pass."""
        await self._for_party(("block DTMF", "block media"), call_id, tag)

    async def let_through(self, call_id: str, tag: str) -> None:
        """See `Relay`."""
        await self._for_party(("unblock media", "unblock DTMF"), call_id, tag)

    async def _for_party(self, commands: tuple[str, ...], call_id: str, tag: str) -> None:
        """Those of the commands that the relay knows, of the party alone (new versions: by `directional` only)."""
        for name in commands:
            command = {"command": name, "call-id": call_id, "from-tag": tag, "flags": ["directional"]}
            with suppress(CommandUnknown):
                await self._command(call_id, command)

    async def answers(self, address: Address) -> bool:
        """Whether one relay answers."""
        return await self._exchange(address, bencode({"command": "ping"})) is not None

    async def missing(self, address: Address) -> list[str] | None:
        """Which commands of `COMMANDS` a relay does not know; None: it does not answer."""
        if not await self.answers(address):
            return None
        found = []
        for name in COMMANDS:
            payload = await self._exchange(address, bencode({"command": name, "call-id": "-", "from-tag": "-"}))
            with suppress(NgError):
                if is_unknown(_reason(_answer(payload or b""))):
                    found.append(name)
        return found

    def relearn(self, address: Address) -> None:
        """Forget what a relay can: another one may be in its place."""
        self._abilities.pop(address, None)

    def _abilities_at(self, address: Address) -> Abilities:
        return self._abilities.setdefault(address, Abilities())

    def _abilities_of(self, call_id: str) -> Abilities:
        place = self._chosen.get(call_id)
        return Abilities() if place is None else self._abilities_at(place)

    def relay_of(self, call_id: str) -> Address | None:
        """The relay that has a call."""
        return self._chosen.get(call_id)

    def is_away(self, address: Address) -> bool:
        """Whether a relay did not answer when last spoken to."""
        return address in self._away

    @property
    def away(self) -> list[Address]:
        """The relays that new calls would have and that did not answer when last spoken to."""
        return [address for address in self.addresses if address in self._away]

    def _candidates(self, call_id: str) -> tuple[Address, ...]:
        """Where a new call may go: a relay that is away is the last choice."""
        first = hash(call_id) % len(self.addresses)
        turned = self.addresses[first:] + self.addresses[:first]
        return tuple(sorted(turned, key=self.is_away))

    async def _command(self, call_id: str, command: Mapping[str, object]) -> Mapping[str, object]:
        """Ask the relay that has the call; a new one any that answers and has ports left."""
        name = str(command["command"])
        full: RelayFull | None = None
        known, begins = self._chosen.get(call_id), name == "offer"
        for address in (known,) if known else self._candidates(call_id):
            abilities = self._abilities_at(address)
            if abilities.lacks(name):
                raise CommandUnknown(f"the relay does not know {name}")
            tries = _TRY_SECONDS[:1] if begins and self.is_away(address) else ()
            payload = await self._exchange(address, bencode(abilities.fit(command)), tries)
            if payload is None:
                if begins:
                    self._doubtful.setdefault(call_id, set()).add(address)
                continue
            if begins:
                self._chosen[call_id] = address
            answer = _answer(payload)
            if answer.get("result") != b"error":
                return answer
            refusal = self._refusal(address, name, _reason(answer))
            if not isinstance(refusal, RelayFull) or known:
                raise refusal
            del self._chosen[call_id]
            full = refusal
        raise full or RelayUnavailable("No media relay answers")

    def _refusal(self, address: Address, command: str, reason: str) -> NgError:
        if reason.startswith(_FULL):
            return RelayFull("No media ports are left")
        abilities = self._abilities_at(address)
        if (missed := abilities.refused(command, reason)) is not None:
            text = "a media relay does not know a command"
            log.warning(text, extra={"relay": address, "command": command, "missed": missed})
        return CommandUnknown(reason) if abilities.lacks(command) else NgError(reason)

    def _marked(self, address: tuple[str, int], cookie: bytes, payload: bytes) -> bytes:
        """A command as its relay takes it; made anew for each repetition, as a mark has its time."""
        secret = self.secrets.get(address)
        if secret is None:
            return payload
        at = b"%d" % (time.time() * 1_000_000)
        return b"M1:%s:%s:%s" % (at, _mark(secret, at, cookie, payload), payload)

    async def _exchange(self, address: Address, payload: bytes, tries: tuple[float, ...] = ()) -> bytes | None:
        if self._transport is None or self._transport.is_closing():
            return None
        cookie = token_hex(8).encode()
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[cookie] = future
        try:
            for seconds in tries or _TRY_SECONDS:
                self._transport.sendto(cookie + b" " + self._marked(address, cookie, payload), address)
                done, _ = await asyncio.wait((future,), timeout=seconds)
                if done:
                    if address in self._away:
                        self._away.discard(address)
                        self.relearn(address)
                    return future.result()
            self._away.add(address)
            return None
        finally:
            del self._waiting[cookie]


def _mark(secret: bytes, at: bytes, cookie: bytes, payload: bytes) -> bytes:
    """What a relay of ours reads before a command: see `media.relay.ng_mark`, which imports nothing from here."""
    return hmac.digest(secret, b"%s %s %s" % (at, cookie, payload), "sha256").hex().encode()


def _answer(payload: bytes) -> Mapping[str, object]:
    try:
        answer = bdecode(payload)
    except BencodeError as error:
        raise NgError("malformed answer") from error
    if not isinstance(answer, dict):
        raise NgError("malformed answer")
    return answer


def _reason(answer: Mapping[str, object]) -> str:
    """Why a command was refused."""
    reason = answer.get("error-reason")
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else ""


def _others(report: Mapping[str, object], tag: str) -> list[str]:
    """The parties of a call but one, by what `query` tells of it."""
    names = (each.get("tag") for each in tags(report))
    return [name.decode() for name in names if isinstance(name, bytes) and name not in (b"", tag.encode())]


def _wav_seconds(wav: bytes) -> float:
    with wave.open(io.BytesIO(wav)) as file:
        return float(file.getnframes() / file.getframerate())
