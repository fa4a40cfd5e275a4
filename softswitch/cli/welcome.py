# SPDX-License-Identifier: Apache-2.0
"""What a start prints: where to point a phone, the demo numbers, and what to dial for a first call."""

from __future__ import annotations

import ipaddress
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from billing_client.rules.currencies import amount_text as amount
from ivr.apps import MENU, OFFERED
from switch.sip.message.host import bare, with_port

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console

    from billing.demo import DemoSummary
    from softswitch.config import Configuration

__all__ = ["Welcome"]

NOTES = {
    "101": "",
    "102": "",
    "103": "shares its company's credit",
    "104": "shares its company's credit",
    "105": "20 seconds of paid talk",
    "106": "a calling card, used by PIN from any phone",
    "107": "a telephone system with the numbers 420222333000 to 420222333099",
    "201": "costs its caller 0.60/min",
    "42027777100": "a second number: forwards, then takes messages",
}
DIAL = (
    ("102", "another phone, free"),
    ("201", "another phone, paid: watch the balance"),
    ("201 from 105", "cut off after 20 seconds: its funds are gone"),
    ("42027777100", "John: rings his phone elsewhere for six seconds, then his mailbox answers"),
    ("420222333042", "a number of the telephone system 107, once that is registered"),
    ("420600000001", "outside: the sample carrier answers and echoes you"),
    ("420600000486", "busy"),
    ("420600000600", "slow: rings for eight seconds"),
    ("420600000503", "the first carrier fails, the second one answers"),
    ("420600000408", "the first carrier is dead, the second one answers later"),
    ("420600000910", "the carrier hangs up after ten seconds"),
)
COMMANDS = (
    ("softswitch registrations", "which phones are there"),
    ("softswitch calls", "what runs, and the funds it holds"),
    ("softswitch accounts", "balances"),
    ("softswitch xdrs", "call records"),
    ("softswitch trace", "why a call went as it went"),
    ("softswitch topup 105 5", "add funds"),
)


class Welcome:
    """The words around a start."""

    def __init__(self, configuration: Configuration, out: Console, summary: DemoSummary | None = None) -> None:
        self.configuration = configuration
        self.summary = summary
        self._out = out

    def tell(self, step: str) -> None:
        """Shows a step of the start."""
        self._out.print(step, style="dim")

    def show(self) -> None:
        """Says that all runs and what is needed for a first call; passwords only when they are new."""
        out = self._out
        out.print()
        out.print("Softswitch is running.", style="bold green")
        out.print()
        self.show_tenant(with_passwords=self.summary is not None and self.summary.created)
        self._show_pairs("In another terminal", [(self._command(command), text) for command, text in COMMANDS])
        out.print("Ctrl-C ends everything; the data stays.", style="dim")

    def show_tenant(self, *, with_passwords: bool) -> None:
        """Where phones go, who they can be, what they can dial."""
        self._show_phone()
        if self.summary:
            self._show_accounts(self.summary, with_passwords=with_passwords)
            self._show_pairs("What to dial", [*DIAL, *self._access_numbers(with_passwords=with_passwords)])

    def _access_numbers(self, *, with_passwords: bool) -> Iterator[tuple[str, str]]:
        """The first number of each application that can be tried, and what can be typed there."""
        secrets = self._secrets() if with_passwords else {}
        told: set[str] = set()
        for number, target in self.configuration.ivr.access_numbers.items():
            application = target.partition(":")[0]
            text = OFFERED.get(application, MENU).text
            if text and application not in told:
                told.add(application)
                yield number, text + secrets.get(application, "")

    def _secrets(self) -> dict[str, str]:
        summary, secrets = self.summary, {}
        if summary and summary.vouchers:
            secrets["recharge"] = f": {summary.vouchers[0]}"
        if summary and summary.card_pin:
            secrets["calling_card"] = f": {summary.card_pin}"
        return secrets

    def _show_phone(self) -> None:
        facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        for label, text in self._phone_facts():
            facts.add_row(Text(label, style="dim"), Text(text))
        self._out.print(Text("Point a phone at", style="bold"))
        self._out.print(facts)
        self._out.print()

    def _phone_facts(self) -> Iterator[tuple[str, str]]:
        configuration = self.configuration
        yield "domain", f"{' or '.join(configuration.domains)}, or the address below itself"
        addresses: dict[str, list[str]] = {}
        for endpoint in configuration.sip.listen:
            for address in self._addresses(endpoint.host):
                addresses.setdefault(with_port(address, endpoint.port), []).append(endpoint.transport.upper())
        for index, (address, transports) in enumerate(addresses.items()):
            label = "proxy" if index == 0 else ""
            yield label, f"{address}  ({' or '.join(dict.fromkeys(transports))}){_hint(address)}"
        yield "user", "an account's number, its password below" if self.summary else "an account's number"

    def _addresses(self, host: str) -> tuple[str, ...]:
        from softswitch.settings import reachable_at

        return (self.configuration.sip.advertise,) if self.configuration.sip.advertise else reachable_at(host)

    def _show_accounts(self, summary: DemoSummary, *, with_passwords: bool) -> None:
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        for heading in ("Number", *(["Password"] if with_passwords else []), "Name"):
            table.add_column(heading, no_wrap=True)
        table.add_column("Available", justify="right", no_wrap=True)
        table.add_column("")
        for account in summary.accounts:
            password = [account.password] if with_passwords else []
            funds = f"{amount(account.available, account.currency)} {account.currency}"
            table.add_row(account.number, *password, account.display, funds, NOTES.get(account.number, ""))
        self._out.print(Text("Demo accounts", style="bold"))
        self._out.print(table)
        if not with_passwords:
            self._out.print(f"Passwords: {self._command('softswitch demo')}", style="dim")
        self._out.print()

    def _show_pairs(self, title: str, pairs: Iterable[tuple[str, str]]) -> None:
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        for left, right in pairs:
            table.add_row(Text(left), Text(right, style="dim"))
        self._out.print(Text(title, style="bold"))
        self._out.print(table)
        self._out.print()

    def _command(self, command: str) -> str:
        """The command as it can be typed here: with the program's path where the shell would not find it, and the file
        where the program would not find that."""
        words = command.split(" ", 1)
        program, file = Path(sys.argv[0]), self.configuration.file
        if program.name == "softswitch" and not shutil.which("softswitch"):
            words[0] = os.path.relpath(program) if program.absolute().is_relative_to(Path.cwd()) else str(program)
        if file != Path("config.yaml").absolute():
            words.insert(1, f"-c {os.path.relpath(file) if file.is_relative_to(Path.cwd()) else file}")
        return " ".join(words)


def _hint(address: str) -> str:
    host = ipaddress.ip_address(bare(address.rpartition(":")[0]))
    return "  from this machine" if host.is_loopback else ""
