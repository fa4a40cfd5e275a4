# SPDX-License-Identifier: Apache-2.0
"""Hosts: the brackets of IPv6, and which address a host is. Pure."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

__all__ = [
    "bare",
    "bracketed",
    "canonical",
    "is_literal",
    "is_near",
    "is_nobody",
    "is_odd_number",
    "literal",
    "with_port",
]

Address = IPv4Address | IPv6Address


def bracketed(host: str) -> str:
    """A host as it stands before a port or in a URI: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host and host[0] != "[" else host


def with_port(host: str, port: int) -> str:
    """`host:port`."""
    return f"{bracketed(host)}:{port}"


def bare(host: str) -> str:
    """A host without the brackets of IPv6."""
    return host.strip("[]")


@lru_cache(maxsize=8192)
def is_literal(host: str) -> bool:
    """Whether a host is an IP address, without brackets."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=8192)
def literal(host: str) -> Address | None:
    """The address that a host is; None: a name. IPv4 inside IPv6 (mapped, compatible, 6to4, NAT64) is that IPv4."""
    try:
        address = ip_address(bare(host).partition("%")[0])
    except ValueError:
        return None
    return address if isinstance(address, IPv4Address) else _embedded(address) or address


def _embedded(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped is not None or address.sixtofour is not None:
        return address.ipv4_mapped or address.sixtofour
    high, low = int(address) >> 32, int(address) & 0xFFFF_FFFF
    if high == 0x64_FF9B << 64 or (high == 0 and low > 1):  # RFC 6052; `::` and `::1` are addresses of their own
        return IPv4Address(low)
    return None


def is_odd_number(host: str) -> bool:
    """Whether a name ends in a number: 0x7f.1, 2130706433 or 127.1, which a resolver may take for an address."""
    last = host.rstrip(".").rpartition(".")[2].lower()
    digits = last.removeprefix("0x")
    return last.isdigit() or (last.startswith("0x") and all(digit in "0123456789abcdef" for digit in digits))


@lru_cache(maxsize=8192)
def is_nobody(host: str) -> bool:
    """No single machine: no address, unspecified (which a socket takes for this one), many, broadcast, reserved."""
    address = literal(host)
    reserved = isinstance(address, IPv4Address) and address.is_reserved
    return address is None or address.is_unspecified or address.is_multicast or reserved


def is_near(address: Address) -> bool:
    """This machine or its own wire: right for who is there himself, and for nobody else."""
    return address.is_loopback or address.is_link_local


@lru_cache(maxsize=8192)
def canonical(host: str) -> str:
    """One spelling for each host, so that two can be compared."""
    address = literal(host)
    return host.rstrip(".").lower() if address is None else str(address)
