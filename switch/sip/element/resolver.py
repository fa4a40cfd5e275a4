# SPDX-License-Identifier: Apache-2.0
"""Next hops of URIs by RFC 3263, asynchronously: the plan is `switch.sip.locate`, here it gets its answers.

Answers are kept by their TTL, the news that there is nothing as well (RFC 2308). A name server that fails is not asked
the same again for some seconds (RFC 9520), and as long as it does, what it said last is still good (RFC 8767). The same
question at the same time is asked once. Names of /etc/hosts are known without asking.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import random
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.rdatatype
import dns.resolver

from switch.sip.locate import Naptr, Question, Record, Srv, UnsupportedTargetError, locate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from switch.sip.locate import Plan
    from switch.sip.message.flow import Hop
    from switch.sip.message.uri import Uri

__all__ = ["Resolver", "read_hosts"]

log = logging.getLogger(__name__)

_LIFETIME_SECONDS: Final = 3.0
_MIN_TTL_SECONDS: Final = 1.0
_MAX_TTL_SECONDS: Final = 86_400.0
_MAX_NEGATIVE_SECONDS: Final = 300.0
_FAILURE_SECONDS: Final = 5.0
_STALE_SECONDS: Final = 86_400.0
_MAX_KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Kept:
    records: tuple[Record, ...]
    expires_at: float
    stale_until: float = 0.0
    """Up to then they may serve if the name servers fail; 0: this is such a failure."""


class Resolver:
    """Turns URIs into next hops, best first; an empty list means that the URI leads nowhere."""

    def __init__(
        self,
        *,
        nameservers: Sequence[str] | None = None,
        port: int = 53,
        families: Sequence[str] = ("A", "AAAA"),
        hosts: Mapping[str, Sequence[str]] | None = None,
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
        lifetime_seconds: float = _LIFETIME_SECONDS,
    ) -> None:
        self._nameservers = nameservers
        self._port = port
        self._families = tuple(families)
        self._hosts = read_hosts() if hosts is None else hosts
        self._draw = draw
        self._clock = clock
        self._lifetime = lifetime_seconds
        self._resolver: dns.asyncresolver.Resolver | None = None
        self._kept: dict[Question, _Kept] = {}
        self._asking: dict[Question, asyncio.Task[_Kept]] = {}
        self._finding: set[asyncio.Task[list[Hop]]] = set()

    def resolve_now(self, uri: Uri, *, stale: bool = False) -> list[Hop] | None:
        """The next hops if no name server need be asked: of an IP address, or of a name that is known; else None.

        `stale`: what was known is good enough, though its time has run out (RFC 8767).
        """
        try:
            plan = self._plan(uri)
            answers: list[tuple[Record, ...]] | None = None
            while True:
                questions = plan.send(answers) if answers is not None else next(plan)
                answers = []
                for question in questions:
                    records = self._known(question, stale=stale)
                    if records is None:
                        return None
                    answers.append(records)
        except StopIteration as done:
            hops: list[Hop] = done.value
            return hops
        except UnsupportedTargetError as error:
            log.warning("no way to %s: %s", uri, error)
            return []

    async def find(self, uri: Uri, seconds: float) -> list[Hop]:
        """The next hops of a URI, without waiting where any have been known; of a new name after so long at most.

        What is not known, or not any more, is asked for beside whoever waits here.
        """
        hops = self.resolve_now(uri)
        if hops is not None:
            return hops
        asking = asyncio.get_running_loop().create_task(self.resolve(uri))
        self._finding.add(asking)
        asking.add_done_callback(self._finding.discard)
        known = self.resolve_now(uri, stale=True)
        if known:
            return known
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(asking)
        except TimeoutError:
            return []

    async def resolve(self, uri: Uri, *, every: bool = False) -> list[Hop]:
        """The next hops of a URI; never raises for what the DNS says or does not say.

        `every`: those of all transports, whatever the domain prefers.
        """
        hops = self.resolve_now(uri)
        if hops is not None and not (hops and every):
            return hops
        plan = self._plan(uri, every=every)
        try:
            questions = next(plan)
            while True:  # unsupported transports have ended in `resolve_now`
                questions = plan.send(await asyncio.gather(*map(self._answer, questions)))
        except StopIteration as done:
            found: list[Hop] = done.value
            return found

    def _plan(self, uri: Uri, *, every: bool = False) -> Plan:
        return locate(uri, draw=self._draw, families=self._families, every=every)

    # answers ----------------------------------------------------------------------------------------------------
    def _known(self, question: Question, *, stale: bool = False) -> tuple[Record, ...] | None:
        name = question.name.rstrip(".").lower()
        host = name.split(".", 2)[-1] if question.kind == "SRV" else name
        addresses = self._hosts.get(host)
        if addresses is not None:  # such a name has no services
            wanted = question.kind in ("A", "AAAA")
            return tuple(a for a in addresses if wanted and (":" in a) == (question.kind == "AAAA"))
        kept = self._kept.get(question)
        if kept is None:
            return None
        until = max(kept.expires_at, kept.stale_until) if stale else kept.expires_at
        return kept.records if self._clock() < until else None

    async def _answer(self, question: Question) -> tuple[Record, ...]:
        known = self._known(question)
        if known is not None:
            return known
        task = self._asking.get(question)
        if task is None:
            task = self._asking[question] = asyncio.get_running_loop().create_task(self._ask(question))
            task.add_done_callback(lambda _: self._asking.pop(question, None))
        # whoever else waits for the answer is not to be cancelled with us
        return (await asyncio.shield(task)).records

    async def _ask(self, question: Question) -> _Kept:
        try:
            name = dns.name.from_text(question.name)
            answer = await self._open().resolve(
                name, question.kind, lifetime=self._lifetime, raise_on_no_answer=False, search=False
            )
            kept = self._of_response(answer.response, question.kind, answer.canonical_name)
        except dns.resolver.NXDOMAIN as nothing:
            response = nothing.response(nothing.qnames()[0])  # type: ignore[no-untyped-call]
            kept = self._of_response(response, question.kind, None)
        except (dns.exception.DNSException, OSError) as error:
            log.warning("the DNS does not answer", extra={"question": question.name, "reason": type(error).__name__})
            self._resolver = None  # its configuration may have changed
            kept = self._after_failure(question)
        self._keep(question, kept)
        return kept

    def _of_response(self, response: dns.message.Message, kind: str, name: dns.name.Name | None) -> _Kept:
        now = self._clock()
        wanted = dns.rdatatype.from_text(kind)
        for rrset in response.answer:
            if rrset.rdtype == wanted and rrset.name == name:
                seconds = min(max(rrset.ttl, _MIN_TTL_SECONDS), _MAX_TTL_SECONDS)
                return _Kept(tuple(map(_record, rrset)), now + seconds, now + seconds + _STALE_SECONDS)
        # RFC 2308 section 5
        negative = [
            min(rrset.ttl, rrset[0].minimum) for rrset in response.authority if rrset.rdtype == dns.rdatatype.SOA
        ]
        seconds = min(max([_MIN_TTL_SECONDS, *negative]), _MAX_NEGATIVE_SECONDS)
        return _Kept((), now + seconds, now + seconds + _STALE_SECONDS)

    def _after_failure(self, question: Question) -> _Kept:
        now = self._clock()
        last = self._kept.get(question)
        if last is None or now >= last.stale_until:
            return _Kept((), now + _FAILURE_SECONDS)
        return _Kept(last.records, now + _FAILURE_SECONDS, last.stale_until)

    def _keep(self, question: Question, kept: _Kept) -> None:
        self._kept.pop(question, None)
        while len(self._kept) >= _MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[question] = kept

    def _open(self) -> dns.asyncresolver.Resolver:
        """The resolver library's object; raises NoResolverConfiguration."""
        if self._resolver is None:
            self._resolver = dns.asyncresolver.Resolver(configure=self._nameservers is None)
            if self._nameservers is not None:
                self._resolver.nameservers = list(self._nameservers)
                self._resolver.port = self._port
        return self._resolver


def _record(rdata: Any) -> Record:
    match dns.rdatatype.to_text(rdata.rdtype):
        case "NAPTR":
            flags, service = (text.decode("ascii", "replace") for text in (rdata.flags, rdata.service))
            return Naptr(rdata.order, rdata.preference, flags, service, _name(rdata.replacement))
        case "SRV":
            return Srv(rdata.priority, rdata.weight, rdata.port, _name(rdata.target))
        case _:
            return str(rdata.address)


def _name(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True)


def read_hosts(path: Path = Path("/etc/hosts")) -> dict[str, list[str]]:
    """Names and their addresses from a hosts file; without the file only localhost."""
    hosts: dict[str, list[str]] = {}
    with suppress(OSError):
        for line in path.read_text("utf-8", "replace").splitlines():
            address, *names = line.partition("#")[0].split() or [""]
            with suppress(ValueError):
                ipaddress.ip_address(address)
                for name in names:
                    hosts.setdefault(name.lower(), []).append(address)
    hosts.setdefault("localhost", ["127.0.0.1"])  # RFC 6761 section 6.3
    return hosts
