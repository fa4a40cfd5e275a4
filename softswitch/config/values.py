# SPDX-License-Identifier: Apache-2.0
"""Readers of single values: text in, value out, `WrongValueError` in an administrator's words otherwise."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from billing.reading.reader import did_you_mean
from billing.reading.values import amount, flag, whole_number
from billing_client.rules.callerid import is_public
from billing_client.rules.countries import is_country
from billing_client.rules.numbering import digits_of, read
from softswitch.config.document import WrongValueError
from switch.sip.message.host import bare, with_port

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

__all__ = [
    "Endpoint",
    "adapter",
    "boolean",
    "choice",
    "directory",
    "domain",
    "dsn",
    "endpoint",
    "file",
    "host",
    "http_endpoint",
    "integer",
    "ip_address",
    "ip_version",
    "money",
    "name",
    "number",
    "port_range",
    "public_address",
    "public_number",
    "secret",
    "sender",
    "star_code",
    "tcp_server",
    "telephone",
    "text",
    "url",
    "voucher_adapter",
]

Number = TypeVar("Number", int, float)
LEAST_SECRET = 16
LONGEST_AREA = 8
LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens or is reached: a transport ("udp", "tcp"), a host and a port."""

    transport: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.transport}:{with_port(self.host, self.port)}"


def text(value: str) -> str:
    """Any text but none at all."""
    if not value.strip():
        raise WrongValueError("is empty")
    return value


def telephone(value: str) -> str:
    """A number that can be dialled, in its one spelling: digits."""
    found = read(value)
    if found.kind != "number":
        raise WrongValueError(f'"{value}" is no telephone number')
    return found.text


def country(value: str) -> str:
    """A country whose numbers are known (ISO 3166-1)."""
    if not re.fullmatch(r"[A-Za-z]{2}", value) or not is_country(value):
        raise WrongValueError(f'"{value}" is no country such as "CZ" or "US"')
    return value.upper()


def digits_or_none(value: str) -> str:
    """A prefix or an area code; `none` says that there is none."""
    if value.lower() == "none":
        return ""
    if not digits_of(value) or len(value) > LONGEST_AREA:
        raise WrongValueError(f'expected up to {LONGEST_AREA} digits, or none, not "{value}"')
    return value


def short_number(value: str) -> str:
    """A short number, `x` being any digit."""
    if not re.fullmatch(r"[0-9]{2,14}x{0,12}", value):
        raise WrongValueError(f'"{value}" is no short number such as "1188" or "116xxx"')
    return value


def money(value: str) -> Decimal:
    """An amount; which currency is said elsewhere."""
    found = amount(text(value))
    if found is None or found < 0:
        raise WrongValueError(f'expected an amount such as "1.00", not "{value}"')
    return found


def name(value: str) -> str:
    """A name of letters, digits, dots, dashes and underscores."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value):
        raise WrongValueError(f'"{value}" is no name: letters, digits, ".", "-" and "_", 64 at most')
    return value


def sender(value: str) -> str:
    """Who an e-mail is from: an address, or a name and an address."""
    local, at, domain_ = parseaddr(value)[1].rpartition("@")
    if not (local and at and domain_ and value.isprintable()):
        raise WrongValueError(f'expected an address such as "Voicemail <voicemail@example.com>", not "{value}"')
    return value


def boolean(value: str) -> bool:
    found = flag(value)
    if found is None:
        raise WrongValueError(f'expected true or false, not "{value}"')
    return found


def integer(least: int, most: int) -> Callable[[str], int]:
    """Whole numbers from `least` to `most`."""

    def parse(value: str) -> int:
        found = whole_number(value)
        if found is None:
            raise WrongValueError(f'expected a whole number, not "{value}"')
        return _within(found, least, most)

    return parse


def number(least: float, most: float) -> Callable[[str], float]:
    """Numbers from `least` to `most`; a fraction is welcome."""

    def parse(value: str) -> float:
        if not re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,9})?", value.strip()):
            raise WrongValueError(f'expected a number, not "{value}"')
        return _within(float(value), least, most)

    return parse


def choice(*known: str) -> Callable[[str], str]:
    """One of a few words, written in any case."""
    spelled = {word.lower(): word for word in known}

    def parse(value: str) -> str:
        if value.lower() not in spelled:
            hint = did_you_mean(value, known)
            raise WrongValueError(f'unknown value "{value}"{hint or "; known: " + ", ".join(known)}')
        return spelled[value.lower()]

    return parse


def ip_address(value: str) -> str:
    """A literal IPv4 or IPv6 address."""
    try:
        return str(ipaddress.ip_address(bare(value)))
    except ValueError:
        raise WrongValueError(f'"{value}" is no IP address') from None


def ip_version(version: int) -> Callable[[str], str]:
    """A literal address of IPv4 or of IPv6."""

    def parse(value: str) -> str:
        found = ip_address(value)
        if ipaddress.ip_address(found).version != version:
            raise WrongValueError(f'expected an IPv{version} address, not "{value}"')
        return found

    return parse


def public_address(parse: Callable[[str], str] = ip_address) -> Callable[[str], str]:
    """A literal IP address that others can send to."""

    def parse_public(value: str) -> str:
        found = parse(value)
        if ipaddress.ip_address(found).is_unspecified:
            raise WrongValueError(f'"{value}" is not an address that a phone can send to')
        return found

    return parse_public


def domain(value: str) -> str:
    """A domain name or a literal IP address, in lower case."""
    if re.fullmatch(r"[0-9.]+|\[?[0-9A-Fa-f]*:[0-9A-Fa-f:.]*\]?", value):
        return ip_address(value)
    if len(value) > 253 or not all(LABEL.fullmatch(label) for label in value.rstrip(".").split(".")):
        raise WrongValueError(f'"{value}" is no domain name')
    return value.rstrip(".").lower()


def host(value: str) -> str:
    """A host name or IP address of another machine."""
    return domain(value)


def endpoint(
    *, transports: Mapping[str, str | None], parse_host: Callable[[str], str] = ip_address
) -> Callable[[str], Endpoint]:
    """`transport:host:port`; `transports` maps each known transport to None or to why it cannot be used."""

    def parse(value: str) -> Endpoint:
        transport, separator, rest = value.partition(":")
        if not separator or digits_of(transport):
            raise WrongValueError(f'expected transport:address:port such as "udp:0.0.0.0:5060", not "{value}"')
        if transport.lower() not in transports:
            hint = did_you_mean(transport, transports) or "; known: " + ", ".join(transports)
            raise WrongValueError(f'unknown transport "{transport}"{hint}')
        refusal = transports[transport.lower()]
        if refusal:
            raise WrongValueError(refusal)
        return _host_and_port(transport.lower(), rest, parse_host)

    return parse


def http_endpoint(value: str) -> Endpoint:
    """`address:port` of an HTTP server."""
    return _host_and_port("tcp", value, ip_address)


def tcp_server(value: str) -> Endpoint:
    """`host:port` of a server that is asked over TCP."""
    return _host_and_port("tcp", value, host)


def directory(beside: Path) -> Callable[[str], Path]:
    """A directory that is there; a relative path counts from `beside`."""

    def parse(value: str) -> Path:
        found = (beside / Path(value).expanduser()).resolve()
        if not found.is_dir():
            raise WrongValueError(f"{found} is no directory")
        return found

    return parse


def file(beside: Path) -> Callable[[str], Path]:
    """The path of a file, which need not be there; a relative one counts from `beside`."""
    return lambda value: (beside / Path(text(value)).expanduser()).resolve()


def secret(value: str) -> str:
    """A secret that cannot be guessed."""
    if len(value) < LEAST_SECRET:
        raise WrongValueError(f"is too short: at least {LEAST_SECRET} characters")
    return value


def star_code(value: str) -> str:
    """A code that is dialled, such as "*72" or "*21*"."""
    if not re.fullmatch(r"[*#][0-9]{1,4}[*#]?", value):
        raise WrongValueError('is no star code such as "*72" or "*21*"')
    return value


def failover_status(value: str) -> int:
    """A final SIP status after which another carrier may be asked: none that is a word of the callee, or a block."""
    status = integer(400, 699)(value)
    if status in (486, 600, 603, 607, 608):
        raise WrongValueError(f"{status} is a word about this call, which no other carrier is asked after")
    return status


def public_number(value: str) -> str:
    """A number that the world can dial, in its one spelling; empty: none."""
    found = read(value).text if value else ""
    if value and not is_public(found):
        raise WrongValueError(f'"{value}" is no public number: write it as 420222000101, 7 to 15 digits')
    return found


def port_range(value: str) -> tuple[int, int]:
    """`first-last`, at least one even port and the odd one above it."""
    match = re.fullmatch(r"\s*([0-9]{1,5})\s*-\s*([0-9]{1,5})\s*", value)
    if not match:
        raise WrongValueError(f'expected a range such as "20000-29999", not "{value}"')
    first, last = (_port(part) for part in match.groups())
    if last <= first:
        raise WrongValueError(f"the range ends ({last}) before it begins ({first})")
    if last - first < 9:
        raise WrongValueError(f"only {last - first + 1} ports: a call needs four, so 10 is the least")
    return first, last


def url(value: str) -> str:
    """The address of a web page."""
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", value):
        raise WrongValueError(f'expected an address such as "https://example.com", not "{value}"')
    return value.rstrip("/")


def _within(value: Number, least: float, most: float) -> Number:
    if not least <= value <= most:
        raise WrongValueError(f"{value:g} is out of range: {least:g} to {most:g}")
    return value


def _host_and_port(transport: str, value: str, parse_host: Callable[[str], str]) -> Endpoint:
    match = re.fullmatch(r"(\[[^\]]*\]|[^:]*):([0-9]{1,5})", value)
    if not match:
        raise WrongValueError(f'expected address:port, not "{value}" (an IPv6 address stands in brackets)')
    return Endpoint(transport, parse_host(match[1]), _port(match[2]))


def _port(value: str) -> int:
    if not 1 <= int(value) <= 65535:
        raise WrongValueError(f"{value} is no port: 1 to 65535")
    return int(value)


def dsn(value: str) -> str | None:
    """The address of a PostgreSQL; None: the embedded one."""
    if value.lower() == "embedded":
        return None
    if not value.startswith(("postgresql://", "postgres://")):
        hint = did_you_mean(value, ("embedded",))
        raise WrongValueError(f'expected "embedded" or postgresql://user@host/database{hint}')
    return value


def voucher_adapter(value: str) -> str:
    """As `adapter`, of a store of vouchers."""
    return adapter(value, "http, ")


def adapter(value: str, more: str = "") -> str:
    """The name of an entry point, or `package.module:factory`; `more` is what else would do."""
    module, colon, factory = value.partition(":")
    words = [*module.split("."), factory] if colon else [value]
    if not all(word.replace("-", "_").isidentifier() for word in words):
        raise WrongValueError(f'"{value}" is no adapter: {more}the name of an entry point, or package.module:factory')
    return value
