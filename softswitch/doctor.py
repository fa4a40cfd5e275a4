# SPDX-License-Identifier: Apache-2.0
"""`softswitch doctor`: looks at what an installation stands on and says what is wrong, a finding a line."""

from __future__ import annotations

import asyncio
import enum
import os
import secrets
import shutil
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dns.exception
import dns.resolver
import psycopg

from billing.customers.names import alias_problem
from billing_client.rules.numbering import digits_of
from billing_client.secrets.keyring import KeyFile, KeyRingError
from billing_client.secrets.passwords import MARK, Passwords
from softswitch.processes.ports import taken_ports
from softswitch.processes.runfiles import running_pid
from softswitch.processes.store import EmbeddedStore, StoreError, open_store
from softswitch.processes.supervise import up_file
from softswitch.settings import questions_socket, reachable_at, recordings, reserved_names, switch_settings
from softswitch.vouchers import keys_file
from switch.explain.questions import ask_carriers
from switch.relay.abilities import COMMANDS
from switch.relay.ng import NgRelay
from switch.sip.message.host import with_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from softswitch.config import Configuration

__all__ = ["Finding", "Verdict", "carrier_findings", "examine", "relay_findings"]

OLDEST_SERVER = 150000
CLOCK_SECONDS = 2.0
LEAST_FREE = 1 << 30
EXPIRY_DAYS = 21
DNS_SECONDS = 3.0
OPTIONS_SECONDS = 2.0
VERSION_TAG = 0xA0
# one of each key, and under the empty name one in clear
SEALED_PASSWORDS = """
SELECT CASE WHEN starts_with(password, %s) THEN split_part(password, '$', 3) ELSE '' END AS key, min(password)
  FROM (SELECT password FROM billing_account UNION ALL SELECT password FROM billing_gateway) AS kept
 WHERE password <> '' GROUP BY 1"""
LOCKED = """
SELECT (SELECT count(*) FROM billing_voucherguess WHERE locked_until > now())
     + (SELECT count(*) FROM billing_pinfailure WHERE locked_until > now() AND subject NOT LIKE 'mailbox card %')"""
MISNAMED = """
SELECT name FROM billing_alias
 WHERE name = ANY(%s) OR name ~ '^[+*#]' OR name ~* '^urn:' OR name ^@ ANY(%s) ORDER BY name LIMIT %s"""
MOST_MISNAMED = 20
PINS_FOR_A_CARD = 1_000_000
"""One guess in so many may hit a card (`billing.customers.generation`)."""
CARDS = """
SELECT length(name) - length('@pin') AS digits, count(*) FROM billing_alias
 WHERE name LIKE '%@pin' AND strpos(name, '#') = 0 GROUP BY 1 ORDER BY 1"""
UTC_TIME_TAG = 0x17


class Verdict(enum.Enum):
    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    topic: str
    verdict: Verdict
    text: str


EMERGENCIES = """
SELECT (SELECT count(*) FROM billing_emergencyroute)
       + (SELECT count(*) FROM billing_gatewayroute WHERE prefix IN ('', '112', '911')),
       count(*), count(*) FILTER (WHERE gateways = '')
  FROM billing_emergencycall WHERE at > now() - interval '1 day'"""


def examine(configuration: Configuration) -> Iterator[Finding]:
    """Looks at everything; each finding comes as soon as it is known."""
    pid = running_pid(up_file(configuration))
    text = f"runs (process {pid})" if pid else 'does not run; "softswitch up" starts it'
    yield Finding("softswitch", Verdict.GOOD if pid else Verdict.WARNING, text)
    yield from _ports(configuration, is_running=bool(pid))
    known = asyncio.run(ask_carriers(questions_socket(configuration)))
    if pid or known is not None:  # `up`, or a switch that runs alone
        yield from _media_server(configuration)
        yield from relay_findings(configuration)
    yield from carrier_findings(known)
    yield from _recordings(configuration)
    yield from _disk(configuration)
    yield from _store(configuration)
    yield from _names(configuration)
    yield from _address(configuration)
    yield from _certificate(configuration)


def _ports(configuration: Configuration, *, is_running: bool) -> Iterator[Finding]:
    taken = taken_ports(configuration)
    if is_running:
        return
    for one in taken:
        yield Finding("ports", Verdict.BAD, str(one))
    if not taken:
        yield Finding("ports", Verdict.GOOD, "every configured port is free")


def _media_server(configuration: Configuration) -> Iterator[Finding]:
    """Whether the media server answers OPTIONS, as the switch would ask it."""
    server = configuration.media.server.listen
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.settimeout(OPTIONS_SECONDS)
        try:
            asking.connect((reachable_at(server.host)[-1], server.port))
            asking.send(_options(*asking.getsockname()[:2]))
            answer = asking.recv(2048).split(b"\r\n", 1)[0].decode("utf-8", "replace")
        except OSError as error:
            yield Finding("media server", Verdict.BAD, f"{server} does not answer: {error}")
            return
    good = answer.startswith("SIP/2.0 200")
    yield Finding("media server", Verdict.GOOD if good else Verdict.WARNING, f"{server} answers {answer[8:]}")


def relay_findings(configuration: Configuration) -> Iterator[Finding]:
    """Whether each media relay answers, as the switch would ask it, and what calls do without where it knows less."""
    settings = switch_settings(configuration).relay

    async def ask() -> list[tuple[tuple[str, int], list[str] | None]]:
        relay = NgRelay(settings.addresses, secrets=settings.secrets)
        await relay.start()
        try:
            answers = await asyncio.gather(*map(relay.missing, settings.addresses))
            return list(zip(settings.addresses, answers, strict=True))
        finally:
            relay.close()

    for (host, port), missing in asyncio.run(ask()) if settings.addresses else ():
        if missing is None:
            text, verdict = "does not answer: calls that go through it are silent", Verdict.BAD
        elif missing:
            text = "; ".join(f"does not know {name}: {COMMANDS[name]}" for name in missing)
            verdict = Verdict.WARNING
        else:
            text, verdict = "answers", Verdict.GOOD
        yield Finding("media relay", verdict, f"{host}:{port} {text}")


def carrier_findings(known: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Carriers that the running switch asks last for now, or is not registered at; None: no switch has answered."""
    if known is None or "error" in known:
        return
    lost = [line for line in known["lines"] if not line["registered"]]
    for line in lost:
        yield Finding(
            "carriers", Verdict.BAD, f"not registered at {line['gateway']}: {line['said'] or 'no answer yet'}"
        )
    for rest in known["resting"]:
        text = f"{rest['gateway']} at {rest['address']} is asked last for another {rest['seconds']} s: {rest['why']}"
        yield Finding("carriers", Verdict.WARNING, text)
    if not lost and not known["resting"]:
        yield Finding("carriers", Verdict.GOOD, "none rests, and every registration stands")


def _options(host: str, port: int) -> bytes:
    token = secrets.token_hex(8)
    place = with_port(host, port)
    return (
        f"OPTIONS sip:{place} SIP/2.0\r\nVia: SIP/2.0/UDP {place};branch=z9hG4bK{token}\r\nMax-Forwards: 1\r\n"
        f"From: <sip:doctor@{place}>;tag={token}\r\nTo: <sip:{place}>\r\nCall-ID: {token}\r\nCSeq: 1 OPTIONS\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode()


def _recordings(configuration: Configuration) -> Iterator[Finding]:
    """Messages that have not reached their mailbox."""
    folder = recordings(configuration)
    files = [file.suffix for file in folder.iterdir()] if folder.is_dir() else []
    waiting, refused = files.count(".msg"), files.count(".refused")
    if waiting:
        yield Finding("messages", Verdict.WARNING, f"{waiting} wait in {folder} for the store")
    if refused:
        yield Finding("messages", Verdict.WARNING, f"{refused} in {folder} are for no mailbox (ID.refused)")


def _disk(configuration: Configuration) -> Iterator[Finding]:
    place = next(one for one in (configuration.data_dir, *configuration.data_dir.parents) if one.exists())
    free = shutil.disk_usage(place).free
    if not os.access(place, os.W_OK):
        yield Finding("data_dir", Verdict.BAD, f"{place} cannot be written")
    verdict = Verdict.GOOD if free >= LEAST_FREE else Verdict.WARNING
    yield Finding("data_dir", verdict, f"{configuration.data_dir}: {free / (1 << 30):.1f} GiB free")


def _store(configuration: Configuration) -> Iterator[Finding]:
    if configuration.store.dsn is None and not EmbeddedStore(configuration.data_dir).exists:
        yield Finding("store", Verdict.WARNING, "embedded; the first start makes it")
        return
    try:
        with open_store(configuration) as dsn, psycopg.connect(dsn, connect_timeout=5) as connection:
            before = time.time()
            row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
            middle = (before + time.time()) / 2
            version = connection.info.server_version
            locked, misnamed = _locked(connection), _misnamed(connection, configuration)
            cards = _short_pins(connection)
            keys = _keys(configuration, connection)
            help_calls = _emergencies(connection)
    except (StoreError, psycopg.OperationalError) as error:
        yield Finding("store", Verdict.BAD, str(error).strip())
        return
    shown = f"PostgreSQL {version // 10000}.{version % 10000}"
    if version < OLDEST_SERVER:
        yield Finding("store", Verdict.BAD, f"{shown}: 15 or newer is needed")
    else:
        yield Finding("store", Verdict.GOOD, shown)
    yield from keys
    apart = abs(row[0] - middle) if row else 0.0
    verdict = Verdict.GOOD if apart < CLOCK_SECONDS else Verdict.BAD
    yield Finding("clock", verdict, f"{apart:.1f} s apart from the store's clock")
    yield from help_calls
    if locked:
        text = f'{locked} locked for wrong codes or PINs; "softswitch guessing" shows them'
        yield Finding("guessing", Verdict.WARNING, text)
    for problem in misnamed:
        yield Finding("names", Verdict.WARNING, f"nobody reaches an account so: {problem}")
    for digits, count in cards:
        text = f"{count} cards have PINs of {digits} digits: one guess in {10**digits // count:,} is right, too many"
        yield Finding("PINs", Verdict.WARNING, text)


def _misnamed(connection: psycopg.Connection[tuple[Any, ...]], configuration: Configuration) -> list[str]:
    """Accounts and aliases that are called like something else, or like no number that is ever dialled."""
    reserved, gateways = reserved_names(configuration), {}
    with suppress(psycopg.errors.UndefinedTable):  # a store that no table was made in yet
        gateways = dict(connection.execute("SELECT host, name FROM billing_gateway").fetchall())
        found = connection.execute(MISNAMED, [[*reserved.names(), *gateways], list(reserved.beginnings), MOST_MISNAMED])
        names = [name for (name,) in found.fetchall()]
        problems = ((alias_problem(name, reserved) or reserved.address_problem(name, gateways)) for name in names)
        return [problem for problem in problems if problem is not None]
    return []


def _keys(configuration: Configuration, connection: psycopg.Connection[tuple[Any, ...]]) -> list[Finding]:
    """Whether the passwords in the store are sealed, and our keys open them."""
    passwords, path = Passwords(KeyFile(keys_file(configuration))), keys_file(configuration)
    with suppress(psycopg.errors.UndefinedTable):  # a store that no table was made in yet
        found = dict(connection.execute(SEALED_PASSWORDS, [MARK]).fetchall())
        if found.get(""):
            text = f'there are passwords in clear in the store: "softswitch migrate" seals them with {path}'
            return [Finding("keys", Verdict.WARNING, text)]
        try:
            for kept in found.values():
                passwords.open(kept)
        except KeyRingError as error:
            return [Finding("keys", Verdict.BAD, f"passwords of accounts and gateways cannot be opened: {error}")]
        return [Finding("keys", Verdict.GOOD, f"{path} opens the passwords in the store")] if found else []
    return []


def _emergencies(connection: psycopg.Connection[tuple[Any, ...]]) -> list[Finding]:
    """Whether calls for help have a way, and those of the last day."""
    with suppress(psycopg.errors.UndefinedTable):  # a store that no table was made in yet
        ways, calls, unheard = connection.execute(EMERGENCIES).fetchone() or (0, 0, 0)
        found = []
        if not ways:
            text = "no gateway takes emergency calls: say `emergency` of one (docs/numbers.md)"
            found.append(Finding("emergency", Verdict.WARNING, text))
        if calls:
            text = f"{calls} emergency calls in the last 24 hours, {unheard} of them without any gateway"
            found.append(Finding("emergency", Verdict.WARNING, text))
        return found
    return []


def _locked(connection: psycopg.Connection[tuple[Any, ...]]) -> int:
    """How many calling numbers, accounts and beginnings of codes are locked because somebody guesses."""
    with suppress(psycopg.errors.UndefinedTable):  # a store that no table was made in yet
        row = connection.execute(LOCKED).fetchone()
        return row[0] if row else 0
    return 0


def _short_pins(connection: psycopg.Connection[tuple[Any, ...]]) -> list[tuple[int, int]]:
    """Lengths of PINs that are too short for the number of cards that have them, and that number."""
    try:
        with connection.transaction():
            found = connection.execute(CARDS).fetchall()
    except psycopg.errors.UndefinedTable:
        return []
    return [(digits, count) for digits, count in found if count * PINS_FOR_A_CARD > 10**digits]


def _names(configuration: Configuration) -> Iterator[Finding]:
    """Whether phones find us by the domain: SRV first, then the address (RFC 3263 section 4)."""
    ours = {address for one in configuration.sip.listen for address in reachable_at(one.host)}
    ours |= {configuration.sip.advertise} if configuration.sip.advertise else set()
    for domain in configuration.domains:
        if digits_of(domain.replace(".", "")) or ":" in domain:
            continue
        found = _resolve(domain)
        if found is None:
            text = f"{domain} is not in DNS: phones need our address as their outbound proxy"
            yield Finding("dns", Verdict.WARNING, text)
        elif found & ours:
            yield Finding("dns", Verdict.GOOD, f"{domain} leads to this machine")
        else:
            text = f"{domain} leads to {', '.join(sorted(found))}, none of which is this machine's"
            yield Finding("dns", Verdict.WARNING, text)


def _resolve(domain: str) -> set[str] | None:
    """The addresses that a phone finds for a domain, or None."""
    resolver = dns.resolver.Resolver()
    resolver.lifetime = DNS_SECONDS
    hosts = {domain}
    with suppress(dns.exception.DNSException):
        hosts = {str(record.target) for record in resolver.resolve(f"_sip._udp.{domain}", "SRV")}
    found: set[str] = set()
    for host in hosts:
        for kind in ("A", "AAAA"):
            try:
                found |= {str(record) for record in resolver.resolve(host, kind)}
            except dns.exception.DNSException:
                continue
    return found or None


def _address(configuration: Configuration) -> Iterator[Finding]:
    """A wildcard address is fine until the machine has several, or a private one behind NAT."""
    if configuration.sip.advertise:
        return
    addresses = [one for listen in configuration.sip.listen for one in reachable_at(listen.host)]
    outside = [one for one in dict.fromkeys(addresses) if not one.startswith("127.") and one != "::1"]
    if not outside:
        yield Finding("address", Verdict.WARNING, "phones on other machines cannot reach us: loopback only")
    elif len(outside) > 1:
        text = f"this machine has {', '.join(outside)}: set sip.advertise and media.advertise to the one phones use"
        yield Finding("address", Verdict.WARNING, text)
    else:
        yield Finding("address", Verdict.GOOD, f"phones reach us at {outside[0]}")


def _certificate(configuration: Configuration) -> Iterator[Finding]:
    written = configuration.sip.tls.certificate
    if not written:
        return
    file = configuration.file.parent / Path(written).expanduser()
    try:
        ends = _not_after(file)
    except (OSError, ValueError, IndexError) as error:
        yield Finding("certificate", Verdict.BAD, f"{file}: {error}")
        return
    days = (ends - datetime.now(UTC)).days
    verdict = Verdict.BAD if days < 0 else Verdict.WARNING if days < EXPIRY_DAYS else Verdict.GOOD
    yield Finding("certificate", verdict, f"{file.name} is valid until {ends:%Y-%m-%d} ({days} days)")


def _not_after(file: Path) -> datetime:
    """The end of the validity of a PEM file's first certificate (RFC 5280 section 4.1)."""
    der = ssl.PEM_cert_to_DER_cert(_first_certificate(file.read_text(encoding="ascii")))
    (_, certificate), *_ = _elements(der)
    (_, signed_part), *_ = _elements(certificate)
    fields = [value for tag, value in _elements(signed_part) if tag != VERSION_TAG]
    _serial, _algorithm, _issuer, validity = fields[:4]
    (_, _not_before), (tag, written) = _elements(validity)
    pattern = "%y%m%d%H%M%SZ" if tag == UTC_TIME_TAG else "%Y%m%d%H%M%SZ"
    return datetime.strptime(written.decode("ascii"), pattern).replace(tzinfo=UTC)


def _first_certificate(text: str) -> str:
    end = "-----END CERTIFICATE-----"
    begin = text.find("-----BEGIN CERTIFICATE-----")
    if begin < 0 or end not in text[begin:]:
        raise ValueError("holds no certificate in PEM")
    return text[begin : text.index(end, begin) + len(end)]


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """The tags and contents of consecutive DER elements (X.690 section 8.1)."""
    position = 0
    while position < len(der):
        tag, length = der[position], der[position + 1]
        position += 2
        if length & 0x80:
            octets = length & 0x7F
            length = int.from_bytes(der[position : position + octets], "big")
            position += octets
        yield tag, der[position : position + length]
        position += length
