# SPDX-License-Identifier: Apache-2.0
"""The generic reader: a section of config.yaml becomes the frozen dataclass that declares its keys.

A key is declared once, as a field of the dataclass of the process (or command) that uses it: name, default, what it may
be, and in the text below it what it means. The metadata of a field say what its type does not:

    least, most   the bounds of a number, both allowed
    one_of        the words that it may be
    read          a reader of `softswitch.config.values`, by its name in `READERS`
    key           its name in the file, where that is not the field's; None: no key, somebody else fills it
    restart       only a new start takes a change over
    shown         its default, as docs/config.md shows it, where the value does not say

A field whose default is a dataclass is a section of its own. docs/config.md is drawn from the same declarations
(`python -m docs.make_config`).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final, TypeVar

from softswitch.config import values
from softswitch.config.values import Endpoint, boolean, choice, integer, number, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from softswitch.config.document import Section

__all__ = ["default_of", "fixed_differences", "key_of", "keys_of", "read_section", "shared"]

S = TypeVar("S")

LATER = "{0} is not served yet: listen on udp and tcp, and let a proxy in front take {0}"
SIP_TRANSPORTS = {"udp": None, "tcp": None, **{name: LATER.format(name) for name in ("tls", "ws", "wss")}}

READERS: Final[dict[str, Callable[[str], Any]]] = {
    "dsn": values.dsn,
    "country": values.country,
    "digits or none": values.digits_or_none,
    "domain": values.domain,
    "failover status": values.failover_status,
    "host": values.host,
    "http endpoint": values.http_endpoint,
    "ipv4": values.ip_version(4),
    "ipv6": values.ip_version(6),
    "money": values.money,
    "name": values.name,
    "port range": values.port_range,
    "public number": values.public_number,
    "public address": values.public_address(),
    "public ipv4": values.public_address(values.ip_version(4)),
    "public ipv6": values.public_address(values.ip_version(6)),
    "secret": values.secret,
    "sender": values.sender,
    "short number": values.short_number,
    "sip endpoint": values.endpoint(transports=SIP_TRANSPORTS),
    "smtp server": values.tcp_server,
    "star code": values.star_code,
    "telephone": values.telephone,
    "text": text,
    "udp endpoint": values.endpoint(transports={"udp": None}),
    "url": values.url,
    "voucher adapter": values.voucher_adapter,
}
PATH_READERS: Final[dict[str, Callable[[Path], Callable[[str], Any]]]] = {
    "directory": values.directory,
    "file": values.file,
}
"""Relative paths count from where the configuration lies."""


def read_section(section: Section, declared: type[S], **given: Any) -> S:
    """The values of a section; `given` are fields that somebody else has read. Mistakes are noted in its document."""
    with section:
        found = dict(given)
        for field in keys_of(declared):
            if field.name not in given:
                found[field.name] = _read(section, field)
    return declared(**found)


def keys_of(declared: type[Any]) -> Iterator[dataclasses.Field[Any]]:
    """The fields of a declaration that are keys, in their order."""
    for field in dataclasses.fields(declared):
        if key_of(field) is not None:
            yield field


def key_of(field: dataclasses.Field[Any]) -> str | None:
    """What a field is called in its section; None: it is no key."""
    found: str | None = field.metadata.get("key", field.name)
    return found


def default_of(field: dataclasses.Field[Any]) -> Any:
    """What counts where the file says nothing."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def shared(source: object, declared: type[Any]) -> dict[str, Any]:
    """Of `source`, the values of those fields that `declared` has by the same name."""
    names = {field.name for field in dataclasses.fields(declared)}
    fields = dataclasses.fields(source)  # type: ignore[arg-type] # every source is a dataclass
    return {field.name: getattr(source, field.name) for field in fields if field.name in names}


def fixed_differences(before: object, after: object, path: str = "") -> Iterator[str]:
    """The paths of the keys that differ and that only a new start takes over."""
    for field in keys_of(type(before)):
        here = f"{path}{key_of(field)}"
        one, other = getattr(before, field.name), getattr(after, field.name)
        if dataclasses.is_dataclass(one) and type(one) is type(other) and not isinstance(one, Endpoint):
            yield from fixed_differences(one, other, f"{here}.")
        elif one != other and field.metadata.get("restart"):
            yield here


def _read(section: Section, field: dataclasses.Field[Any]) -> Any:
    key, default = key_of(field) or "", default_of(field)
    if dataclasses.is_dataclass(default) and not isinstance(default, Endpoint):
        return read_section(section.section(key), type(default))
    parse = _reader(section, field, default)
    if isinstance(default, tuple) and field.metadata.get("read") != "port range":
        return section.values(key, parse, default)
    return section.value(key, parse, default)


def _reader(section: Section, field: dataclasses.Field[Any], default: Any) -> Callable[[str], Any]:
    known = field.metadata
    if known.get("read") in PATH_READERS:
        return PATH_READERS[known["read"]](section.document.file.parent)
    if "read" in known:
        return READERS[known["read"]]
    if "one_of" in known:
        return choice(*known["one_of"])
    if isinstance(default, bool):
        return boolean
    if isinstance(default, int | float):
        bounds = integer if isinstance(default, int) else number
        return bounds(known["least"], known["most"])
    return text
