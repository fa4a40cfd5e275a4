# SPDX-License-Identifier: Apache-2.0
"""A trunk of an account, in the document of `softswitch apply`.

    accounts:
      - number: "501"
        trunk:
          ranges: ["420222333000-420222333099", "420222444555"]
          addresses: ["192.0.2.0/28", "198.51.100.7"]       # calls from there are its
          to: ["192.0.2.1", {host: pbx.example.com, port: 5070, transport: tcp}]   # none: where it registers
          sharing: order                                    # or share
          number_format: national                           # digits, e164, national, last
          country: "420"
          national_prefix: ""
          digits: 3                                         # of the format last

What is said replaces what there was under the same key; lists are complete; `trunk: null` takes it away.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, Final

from billing.reading.reader import Once, Reader, read_list, shown
from billing_client.rules.trunks import FORMATS, SHARING, NumberRange, read_range

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TrunkSpec", "merge_trunk", "read_trunk_section"]

_WIDEST: Final = {4: 16, 6: 32}
_HOST: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.:-]{0,252}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class TrunkSpec:
    """What a document says of a trunk; None: nothing of that."""

    path: str
    columns: dict[str, Any]
    """As the store keeps them."""
    ranges: tuple[NumberRange, ...] | None
    networks: tuple[str, ...] | None
    is_gone: bool = False


def read_trunk_section(account: Reader) -> TrunkSpec | None:
    """The section of an account; None where it has none."""
    if not account.has("trunk"):
        return None
    path = account.where("trunk")
    if account.bare("trunk") is None:
        return TrunkSpec(path, {}, (), (), is_gone=True)
    fields = Reader(account.bare("trunk"), path, account.problems)
    columns = fields.given(
        to=_places(fields),
        sharing=fields.choice("sharing", SHARING),
        number_format=fields.choice("number_format", FORMATS),
        country=fields.digits("country") or None,
        national_prefix=fields.digits("national_prefix") or None,
        digits=fields.integer("digits", least=2, most=6),
    )
    if columns.get("number_format") == "national" and not columns.get("country"):
        fields.problem("country", "is missing: national numbers are those of a country, such as 420")
    ranges, networks = _ranges(fields), _networks(fields)
    fields.end()
    return TrunkSpec(
        path,
        columns,
        ranges if fields.has("ranges") else None,
        networks if fields.has("addresses") else None,
    )


def _places(fields: Reader) -> list[dict[str, Any]]:
    def place(one: Reader) -> dict[str, Any]:
        host = one.text("host", required=True, most=255)
        if host and not _HOST.fullmatch(host):
            one.problem("host", f"{shown(host)} is neither an address nor a host name")
        found = {
            "host": host,
            "port": one.integer("port", least=1, most=65535),
            "transport": one.choice("transport", ("udp", "tcp")),
        }
        return {key: value for key, value in found.items() if value is not None}

    return list(read_list(fields, "to", place, short="host"))


def _ranges(fields: Reader) -> tuple[NumberRange, ...]:
    def one(range_fields: Reader) -> NumberRange | None:
        written = range_fields.text("range", required=True)
        found = read_range(written) if written else None
        if written and found is None:
            range_fields.problem("range", f"{shown(written)} is no range such as 420222333000-420222333099")
        return found

    found = [(index, each) for index, each in enumerate(read_list(fields, "ranges", one, short="range")) if each]
    before: NumberRange | None = None
    for index, each in sorted(found, key=lambda entry: entry[1]):
        if before is not None and each.first <= before.last:
            fields.problem(f"ranges[{index}]", f"{each} has numbers of {before} too")
        before = each
    return tuple(each for _, each in found)


def _networks(fields: Reader) -> tuple[str, ...]:
    once = Once("address")

    def one(network_fields: Reader) -> str:
        written = network_fields.text("address", required=True)
        try:
            network = ip_network(written)
        except ValueError as error:
            network_fields.problem("address", f"{shown(written)} is no address and no network: {error}")
            return ""
        if network.prefixlen < _WIDEST[network.version]:
            network_fields.problem("address", f"{network} is too wide: /{_WIDEST[network.version]} at most")
        twice = once.second(str(network), network_fields.path)
        if twice is not None:
            network_fields.problem("address", twice)
        return str(network)

    return tuple(filter(None, read_list(fields, "addresses", one, short="address")))


def merge_trunk(present: Mapping[str, Any], spec: TrunkSpec) -> dict[str, Any]:
    """What there is after a document; never empty, as long as it is a trunk."""
    if spec.is_gone:
        return {}
    merged = {"sharing": "order", **present, **spec.columns}
    return {key: value for key, value in merged.items() if value is not None}
