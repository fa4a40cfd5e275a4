# SPDX-License-Identifier: Apache-2.0
"""`softswitch audit --carrier FILE`: a carrier's call records beside ours."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from softswitch.cli.context import Column

if TYPE_CHECKING:
    from pathlib import Path

    from billing.carriers.records import BadLine, CarrierRecord
    from softswitch.cli.context import Shell

__all__ = ["CARRIER_AUDIT", "ZoneName", "carrier_rows"]

CARRIER_AUDIT = (
    Column("finding", "Finding", grows=True),
    Column("number", "Number"),
    Column("started_at", "Started"),
    Column("carrier_seconds", "Carrier's s", is_number=True),
    Column("our_seconds", "Our s", is_number=True),
    Column("line", "Line", is_number=True),
    Column("account", "Account", is_dispensable=True),
    Column("call_id", "Call", is_dispensable=True),
    Column("carrier_amount", "Carrier's amount", is_number=True, is_dispensable=True),
)


class ZoneName(click.ParamType[ZoneInfo]):
    """The name of a time zone, such as Europe/Prague."""

    name = "zone"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ZoneInfo:
        if isinstance(value, ZoneInfo):
            return value
        try:
            return ZoneInfo(str(value))
        except (OSError, ValueError):  # unknown, a folder, not of UTF-8
            self.fail(f'"{value}" is no time zone such as Europe/Prague', param, ctx)


def carrier_rows(
    shell: Shell, file: Path, *, gateway: str | None, tolerance: float, within: float, zone: ZoneInfo
) -> list[dict[str, Any]]:
    """Everything in which a carrier's file and our records differ, lines that cannot be read first."""
    records, bad = _read(file, zone)
    with shell.store():
        from billing.carriers.audit import NoSuchGatewayError, audit_carrier

        try:
            found = audit_carrier(records, gateway=gateway, tolerance=Decimal(str(tolerance)), window=within)
        except NoSuchGatewayError as error:
            raise click.UsageError(f"--gateway: {error}") from error
    return [*(_bad_row(line) for line in bad), *found]


def _read(file: Path, zone: ZoneInfo) -> tuple[list[CarrierRecord], list[BadLine]]:
    from billing.carriers.records import MissingColumnsError, read_records

    octets = file.read_bytes()
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = octets.decode("cp1252", "replace")  # names of destinations; numbers and times are ASCII
    try:
        return read_records(text.splitlines(keepends=True), zone)
    except MissingColumnsError as error:
        raise click.UsageError(f"{file.name}:1: {error}") from error


def _bad_row(bad: BadLine) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(column.key for column in CARRIER_AUDIT)
    return row | {"finding": f"cannot be read: {bad.text}", "number": "", "caller": "", "line": bad.line}
