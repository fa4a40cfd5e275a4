# SPDX-License-Identifier: Apache-2.0
"""A whole Softswitch, started as an administrator starts it and asked as an administrator asks it."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
import urllib.request
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import psycopg
import yaml

from softswitch.config import load
from softswitch.processes.store import store_dsn
from tests.e2e.tenant import Subscriber, subscribers, tenant
from tests.patience import PATIENCE_SECONDS
from tests.ports import free_port, media_ports
from tests.softswitch.support import START_SECONDS, Up, command

if TYPE_CHECKING:
    from pathlib import Path

    import psutil

__all__ = ["DOMAIN", "SLICE_SECONDS", "System"]

DOMAIN: Final = "sip.example.com"
SLICE_SECONDS: Final = 6
"""Short, so that calls of a few seconds lock funds several times."""
RUNNING: Final = "Ctrl-C ends everything"
COMMAND_SECONDS: Final = 120.0
CONFIGURATION: Final = """\
node: e2e
domains: [{domain}]
data_dir: ./var
sip:
  listen: [udp:127.0.0.1:{sip}, tcp:127.0.0.1:{sip}]
  ring_seconds: {ring_seconds}
  drain_seconds: {drain_seconds}
  registration: {{min_expires: 5, default_expires: 300, max_expires: 3600, max_contacts: 3}}
security: {{flood: {{requests: 0}}}}
media:
  server: {{listen: "udp:127.0.0.1:{ivr}"}}
  control: udp:127.0.0.1:{control}
  relay: {relay}
  listen: 127.0.0.1
  rtp_ports: {first_rtp}-{last_rtp}
ivr:
  menus:
    reception: {{greeting: welcome, dial_by_extension: true, extension_digits: 5, keys: {{9: {{app: voicemail}}}}}}
  access_numbers:
    {{"*98": voicemail, "*43": echo, "*411": "menu:reception", "*99": recharge, "*123": balance,
      "18005550100": {{app: calling_card, languages: [en, cs], ask_register: true}},
      "18005550101": {{app: callback, callback_seconds: 1}},
      "18005550102": {{app: calling_card, languages: [cs], one_stage: true}}}}
credit: {{slice_seconds: {slice_seconds}}}
metrics: {{switch: 127.0.0.1:{metrics}, ivr: 127.0.0.1:{ivr_metrics}}}
log: {{level: info}}
demo: {{enabled: true, carriers: [udp:127.0.0.1:{carrier_a}, udp:127.0.0.1:{carrier_b}]}}
"""


class System:
    """The system under test; `close` leaves no process behind."""

    def __init__(
        self, directory: Path, *, ring_seconds: int = 5, drain_seconds: int = 15, relay: str = "builtin"
    ) -> None:
        """`relay`: as in config.yaml."""
        self.sip_port, self.http_port = free_port(), free_port()
        self.network = f"127.{random.randint(1, 254)}.{random.randint(0, 254)}"
        """Addresses of this machine that no other run uses: gateways are known by their address."""
        self.gateway_port = free_port()
        first_rtp, last_rtp = media_ports("system")
        self.file = directory / "config.yaml"
        self.file.write_text(
            CONFIGURATION.format(
                domain=DOMAIN,
                sip=self.sip_port,
                metrics=self.http_port,
                control=free_port(),
                relay=relay,
                ivr=free_port(),
                ivr_metrics=free_port(),
                slice_seconds=SLICE_SECONDS,
                carrier_a=free_port(),
                carrier_b=free_port(),
                ring_seconds=ring_seconds,
                drain_seconds=drain_seconds,
                first_rtp=first_rtp,
                last_rtp=last_rtp,
            ),
            encoding="utf-8",
        )
        self._free, self._paid = subscribers()
        self._earlier_output = ""
        self._up: Up | None = None

    # running ----------------------------------------------------------------------------------------------------
    @property
    def proxy(self) -> str:
        """Where phones are pointed at."""
        return f"127.0.0.1:{self.sip_port}"

    @property
    def log(self) -> str:
        """All that the processes printed."""
        return self._earlier_output + (self._up.output if self._up else "")

    def start(self) -> None:
        """Starts everything and waits until phones can use it."""
        self._up = Up(self.file)
        self._up.wait_for(RUNNING)

    def load_tenant(self) -> None:
        """Brings the accounts and gateways of the tests in."""
        document = self.file.with_name("tenant.yaml")
        document.write_text(
            yaml.safe_dump(tenant(self._free + self._paid, self.network, self.gateway_port)), encoding="utf-8"
        )
        self.run("apply", str(document), "--yes")

    def terminate(self) -> None:
        """Asks it to end, as systemd does."""
        assert self._up is not None
        self._up.send(signal.SIGTERM)

    def wait_ended(self) -> int:
        """Waits until all has ended; returns the exit status."""
        assert self._up is not None
        status = self._up.wait()
        self._forget()
        return status

    def _forget(self) -> None:
        if self._up is not None:
            self._up.__exit__(None, None, None)
            self._earlier_output += self._up.output
            self._up = None

    def process(self, name: str) -> psutil.Process:
        """One of the processes: switch, media, carrier, postgres."""
        assert self._up is not None
        return self._up.child(name)

    def wait_for_log(self, text: str, since: int = 0, seconds: float = START_SECONDS) -> None:
        """Waits until a text was logged after the first `since` characters."""
        assert self._up is not None
        self._up.wait_until(lambda: text in self.log[since:], text, seconds)

    def close(self) -> None:
        """Ends everything, whatever state it is in."""
        if self._up is None:
            return
        try:
            self.terminate()
            self._up.wait()
        finally:
            self._forget()

    # asking -----------------------------------------------------------------------------------------------------
    def run(self, *words: str) -> str:
        """Runs a command of the program; fails with its words where it does."""
        done = subprocess.run(
            command(self.file, *words), capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )
        assert done.returncode == 0, f"softswitch {' '.join(words)}: {done.stderr}{done.stdout}"
        return done.stdout

    def rows(self, *words: str) -> list[dict[str, Any]]:
        """What a command shows, as a script reads it."""
        shown: list[dict[str, Any]] = json.loads(self.run(*words, "--json"))
        return shown

    def account(self, number: str) -> dict[str, Any]:
        """An account as `softswitch accounts` shows it."""
        (found,) = [row for row in self.rows("accounts", number) if row["number"] == number]
        return found

    def balance(self, number: str) -> Decimal:
        """What the account owns (debit) or owes (credit)."""
        return Decimal(self.account(number)["balance"])

    def xdrs(self, number: str, count: int = 1) -> list[dict[str, Any]]:
        """The call records of an account, oldest first, once there are `count` and no call of it runs."""
        self.wait_settled(number, count)
        found = self.rows("xdrs", number)[::-1]
        assert len(found) == count, found
        return found

    def wait_settled(self, number: str, count: int = 1) -> None:
        """Waits until the calls of an account have ended and left `count` records."""
        statement = """
            SELECT (SELECT count(*) FROM billing_xdr x WHERE x.account_id = a.id),
                   (SELECT count(*) FROM billing_activecall l WHERE l.account_id = a.id)
              FROM billing_account a WHERE a.number = %s"""
        deadline = time.monotonic() + PATIENCE_SECONDS
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            while True:
                row = connection.execute(statement, [number]).fetchone()
                if row == (count, 0):
                    return
                assert time.monotonic() < deadline, f"{number}: (records, running) are {row}, not ({count}, 0)"
                time.sleep(0.05)

    def story(self, call_id: str) -> str:
        """What `softswitch trace` tells of a call, once it is written."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not any(row["call_id"] == call_id for row in self.rows("trace")):
            assert time.monotonic() < deadline, f"nothing is told of call {call_id}"
        return self.run("trace", call_id)

    def wait_messages(self, number: str, count: int) -> list[dict[str, Any]]:
        """The messages of a mailbox, once there are `count`."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(found := self.rows("voicemail", "list", number)) != count:
            assert time.monotonic() < deadline, found
        return found

    def wait_stored(self, number: str) -> None:
        """Waits until the store has the registration of a phone: the switch writes them in batches."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not any(row["aor"] == number for row in self.rows("registrations")):
            assert time.monotonic() < deadline, f"the registration of {number} is not in the store"

    @property
    def dsn(self) -> str:
        """The store's address."""
        return store_dsn(load(self.file))

    def ledger(self, number: str) -> list[tuple[str, str, Decimal]]:
        """The ledger of an account's own balance, oldest first: kind, key, amount."""
        statement = """
            SELECT e.kind, e.key, e.amount FROM billing_ledgerentry e
              JOIN billing_account a ON a.balance_id = e.balance_id WHERE a.number = %s ORDER BY e.at, e.key"""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return list(connection.execute(statement, [number]).fetchall())

    def passwords(self) -> dict[str, str]:
        """The demo accounts' passwords by number."""
        return {row["number"]: row["password"] for row in self.rows("demo")}

    def page(self, path: str) -> str:
        """A page that the switch serves over HTTP."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    # who takes part ---------------------------------------------------------------------------------------------
    def subscriber(self, *, paid: bool = False) -> Subscriber:
        """An account that nobody has used; `paid`: it costs its callers 0.60 a minute."""
        return (self._paid if paid else self._free).pop(0)
