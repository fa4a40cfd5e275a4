# SPDX-License-Identifier: Apache-2.0
"""A real phone recharges its account by a printed voucher, once, and hears what it has, in its language."""

from __future__ import annotations

import csv
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from prompts import FOLDER
from tests.e2e.hearing import Ears
from tests.e2e.tenant import CUSTOMER, FUNDS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Phones
    from tests.e2e.system import System

pytestmark = pytest.mark.phones

WORTH = Decimal("12.00")


def printed_code(system: System, directory: Path) -> str:
    """The code of a new voucher, as the printer gets it."""
    file = directory / "selfcare.csv"
    system.run("vouchers", "generate", "--customer", CUSTOMER, "--batch", "selfcare", "--count", "1",
               "--amount", str(WORTH))  # fmt: skip
    system.run("vouchers", "export", "selfcare", str(file))
    with file.open(newline="") as rows:
        (row,) = csv.DictReader(rows)
    return row["pin"]


def test_a_voucher_typed_at_the_phone_raises_the_balance_once_and_the_phone_hears_it(
    system: System, phones: Phones, tmp_path: Path
) -> None:
    code, ears, phone = printed_code(system, tmp_path), Ears(FOLDER / "en"), phones.registered()
    number = phone.settings.number
    for expected in ("recharge-done", "recharge-invalid"):
        call = phone.call("*99")
        call.wait_answered()
        ears.hears(call, "recharge-enter-code")
        call.send_digits(f"{code}#")
        ears.hears(call, expected)
        assert system.balance(number) == FUNDS + WORTH
        call.hang_up()
    speaks_czech = tmp_path / "czech.yaml"
    speaks_czech.write_text(f'accounts: [{{number: "{number}", language: cs}}]', encoding="utf-8")
    system.run("apply", str(speaks_czech), "--yes")
    asking, czech = phone.call("*123"), Ears(FOLDER / "cs")
    asking.wait_answered()
    said = czech.hears(asking, "balance-is")
    czech.hears(asking, "number-17", after=said)
    asking.wait_ended()
    assert code not in system.log
