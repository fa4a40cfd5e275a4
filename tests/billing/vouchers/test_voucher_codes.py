# SPDX-License-Identifier: Apache-2.0
"""Check digits of vouchers' ids, and the keys of their passwords."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from billing_client.rules.check_digit import check_digit, is_checked, valid_prefixes
from billing_client.secrets.keyring import KeyFile, KeyRing, KeyRingError

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "53552477"


def test_a_check_digit_notices_every_wrong_digit_and_every_swap() -> None:
    digits = "8527544618"
    whole = digits + check_digit(digits)
    assert is_checked(whole)
    for place in range(len(whole)):
        for wrong in set("0123456789") - {whole[place]}:
            assert not is_checked(whole[:place] + wrong + whole[place + 1 :])
        swapped = whole[:place] + whole[place : place + 2][::-1] + whole[place + 2 :]
        assert swapped == whole or not is_checked(swapped)
    assert whole in valid_prefixes(whole + PASSWORD, 6, 20)


def test_a_key_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys")
    ring = KeyRing.make().with_new_key()
    file.write(ring)
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert KeyFile(file.path).ring() == ring
    assert KeyFile(file.path).ring().open(2, ring.seal("123", "x"), "x") == "123"
    assert ring.keys[2].hex() not in repr(ring)
    file.path.chmod(0o640)
    with pytest.raises(KeyRingError, match="others than its owner"):
        KeyFile(file.path).ring()
    for wrong in ("", "digest 00", "digest " + "0" * 64, "1 " + "0" * 64, "x " + "0" * 64):
        with pytest.raises(KeyRingError):
            KeyRing.parse(wrong)
