# SPDX-License-Identifier: Apache-2.0
"""Wrong passwords: guessing gets slow over all sources, and the owner goes on."""

from __future__ import annotations

import pytest

from switch.access.guesses import Guesses

HOME = "198.51.100.7"
AWAY = "203.0.113.9"


def attack(guesses: Guesses, name: str, *, sources: int, seconds: int, start: float, per_second: int = 4) -> int:
    """Guesses that were judged, of so many addresses that go on for so long."""
    judged = 0
    for tick in range(seconds * per_second):
        for source in range(sources):
            host, now = f"192.0.2.{source}", start + tick / per_second
            if guesses.may_try(name, host, now):
                judged += 1
                guesses.failed(name, host, now)
    return judged


def test_guesses_from_many_addresses_are_no_faster_than_from_one() -> None:
    one = attack(Guesses(), "101", sources=1, seconds=600, start=0)
    many = attack(Guesses(), "101", sources=50, seconds=600, start=0)
    assert one <= 120
    assert many <= 120 + 50


@pytest.mark.parametrize("sources", [1, 10, 50])
def test_the_owner_goes_on_where_he_was_and_gets_in_from_elsewhere(sources: int) -> None:
    guesses = Guesses()
    guesses.succeeded("101", HOME, 0)
    judged = 0
    in_at = None
    for second in range(900):
        judged += attack(guesses, "101", sources=sources, seconds=1, start=second)
        assert guesses.may_try("101", HOME, second)
        if second > 60 and second % 5 == 0 and in_at is None and guesses.may_try("101", AWAY, second):
            in_at = second
    assert in_at is not None
    assert in_at <= 65 + (sources + 1) * 8 + 5
    assert guesses.slowed(900)


def test_a_phone_that_asks_seldom_keeps_its_turn() -> None:
    guesses = Guesses()
    attack(guesses, "101", sources=20, seconds=60, start=0)
    assert not guesses.may_try("101", AWAY, 60)
    attack(guesses, "101", sources=20, seconds=240, start=60)
    assert guesses.may_try("101", AWAY, 300)


def test_where_a_phone_is_registered_nobody_waits() -> None:
    guesses = Guesses(is_registered=lambda name, host: (name, host) == ("101", HOME))
    attack(guesses, "101", sources=5, seconds=60, start=0)
    assert guesses.may_try("101", HOME, 60)
    assert not guesses.may_try("101", AWAY, 60)


def test_a_phone_that_is_being_set_up_is_not_slowed_and_all_is_forgotten_in_time() -> None:
    guesses = Guesses()
    for n in range(9):
        assert guesses.may_try("101", AWAY, n)
        guesses.failed("101", AWAY, n)
    assert guesses.may_try("101", AWAY, 10)
    attack(guesses, "101", sources=1, seconds=60, start=10)
    assert not guesses.may_try("101", "203.0.113.77", 70)
    assert guesses.may_try("101", "203.0.113.77", 70 + 1000)
    assert not guesses.slowed(1070)


def test_an_address_that_tries_many_names_gets_slow() -> None:
    guesses = Guesses()
    judged = 0
    for n in range(5000):
        if guesses.may_try(f"name-{n}", AWAY, n / 10):
            judged += 1
            guesses.failed(f"name-{n}", AWAY, n / 10)
    assert judged < 100 + 500
    assert guesses.may_try("101", HOME, 500)


def test_aliases_are_guesses_at_one_account() -> None:
    guesses = Guesses()
    for n in range(20):
        guesses.failed(("101", "alias", "420777000101")[n % 3], f"192.0.2.{n}", n, account="101")
    for name in ("101", "alias", "420777000101"):
        assert not guesses.may_try(name, AWAY, 20)
    assert list(guesses.slowed(20)) == ["101"]


def test_names_of_nobody_are_counted_alike() -> None:
    known, unknown = Guesses(), Guesses()
    for n in range(400):
        now = n / 4
        a, b = known.may_try("101", AWAY, now), unknown.may_try("nobody", AWAY, now)
        assert a == b
        if a:
            known.failed("101", AWAY, now, account="101")
            unknown.failed("nobody", AWAY, now)


def test_memory_is_bounded() -> None:
    guesses = Guesses()
    for n in range(60_000):
        guesses.failed(f"n{n}", f"2001:db8:{n % 65536:x}::1", 0.0, account=f"a{n}")
        guesses.succeeded(f"a{n}", f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 0.0)
    assert len(guesses._names) <= 20_000
    assert len(guesses._sources) <= 20_000
    assert len(guesses._accounts) <= 20_000
    for n in range(1000):
        guesses.failed("101", f"192.0.2.{n}", 0.0)
        guesses.may_try("101", f"10.0.{n >> 8}.{n & 255}", 1.0)
    assert len(guesses._names["101"].turns) <= 64
