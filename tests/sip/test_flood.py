# SPDX-License-Identifier: Apache-2.0
"""Who is heard: strangers are limited, those who authenticated and carriers are not, scanners never."""

from __future__ import annotations

import pytest

from switch.sip.transport.flood import FloodGuard, source_key

STRANGER = "192.0.2.66"
OFFICE = "198.51.100.7"
CARRIER = "203.0.113.1"


@pytest.fixture
def guard() -> FloodGuard:
    return FloodGuard(
        requests=16,
        per_seconds=2,
        ban_seconds=300,
        drop_user_agents=("friendly-scanner", "sip(cli)", ""),
        exempt=lambda host: host == CARRIER,
    )


def heard(guard: FloodGuard, host: str, count: int, start: float, interval: float = 0.0) -> int:
    return sum(guard.allows(host, start + n * interval) for n in range(count))


def test_a_stranger_that_goes_on_beyond_the_limit_is_banned_for_the_time_of_the_ban(guard: FloodGuard) -> None:
    assert heard(guard, STRANGER, 40, start=100, interval=0.1) == 16
    assert not guard.allows(STRANGER, 403)
    assert guard.allows(STRANGER, 404)
    assert (guard.bans, guard.dropped) == (1, 25)


def test_a_single_burst_is_cut_but_not_banned(guard: FloodGuard) -> None:
    assert heard(guard, STRANGER, 200, start=100) == 16
    assert guard.allows(STRANGER, 105)
    assert guard.bans == 0


def test_an_office_that_starts_all_at_once_is_heard_as_soon_as_one_phone_has_logged_in(guard: FloodGuard) -> None:
    assert heard(guard, OFFICE, 200, start=0) == 16
    guard.trust(OFFICE, until=3600)
    assert heard(guard, OFFICE, 184, start=0.5) == 184
    assert guard.bans == 0


def test_a_steady_stranger_below_the_limit_is_always_heard(guard: FloodGuard) -> None:
    assert heard(guard, STRANGER, 500, start=0, interval=0.2) == 500


def test_a_burst_across_two_periods_is_counted_as_one(guard: FloodGuard) -> None:
    guard.allows(CARRIER, 0.0)  # the period begins
    assert heard(guard, STRANGER, 12, start=1.9) + heard(guard, STRANGER, 12, start=2.1) < 24


def test_one_address_does_not_count_for_another(guard: FloodGuard) -> None:
    heard(guard, STRANGER, 30, start=0)
    assert guard.allows(OFFICE, 0)


def test_an_office_that_authenticated_once_may_send_as_it_likes(guard: FloodGuard) -> None:
    assert heard(guard, OFFICE, 2, start=0) == 2
    guard.trust(OFFICE, until=3600)
    assert heard(guard, OFFICE, 1000, start=1) == 1000
    assert guard.is_trusted(OFFICE, 3599)
    assert not guard.is_trusted(OFFICE, 3601)
    assert heard(guard, OFFICE, 1000, start=3601) == 16


def test_authentication_lifts_a_ban_and_never_shortens_trust(guard: FloodGuard) -> None:
    heard(guard, OFFICE, 60, start=0, interval=0.1)
    assert guard.bans == 1
    guard.trust(OFFICE, until=500)
    guard.trust(OFFICE, until=100)
    assert heard(guard, OFFICE, 100, start=400) == 100


def test_a_forged_source_bans_nobody() -> None:
    """Case G3: anybody can write an office's address on a datagram, before its phones have registered or after."""
    guard = FloodGuard()
    for n in range(5000):
        guard.allows(OFFICE, n / 100, is_proven=False)
    assert not guard.bans
    guard.trust(OFFICE, until=3600)
    for n in range(100_000):
        guard.allows(OFFICE, 60 + n / 10_000, is_proven=False)
    assert guard.dropped > 0
    assert not guard.bans
    assert guard.is_trusted(OFFICE, 100)
    assert guard.allows(OFFICE, 75, is_proven=False)


def test_what_an_address_may_ask_grows_with_its_phones(guard: FloodGuard) -> None:
    guard.trust(OFFICE, until=3600)
    few = sum(guard.may_answer(OFFICE, 10.0) for _ in range(5000))
    guard.add_phones(OFFICE, 200)
    many = sum(guard.may_answer(OFFICE, 20.0) for _ in range(5000))
    assert (few, many) == (16 * 64, 16 * (64 + 200))


def test_challenges_that_lead_to_a_login_do_not_count(guard: FloodGuard) -> None:
    for n in range(5000):
        assert guard.may_answer(OFFICE, 10 + n / 10_000)
        guard.trust(OFFICE, until=3600)
    assert not guard.unanswered


def test_a_stranger_is_answered_so_often_and_then_not_any_more(guard: FloodGuard) -> None:
    """Case G4."""
    assert sum(guard.may_answer(STRANGER, 10.0) for _ in range(1000)) == 16
    assert guard.unanswered == 984
    assert guard.may_answer(STRANGER, 15.0)


def test_addresses_of_one_ipv6_network_count_as_one(guard: FloodGuard) -> None:
    assert sum(guard.allows(f"2001:db8:1:2::{n:x}", 10.0) for n in range(1000)) == 16
    assert guard.allows("2001:db8:1:3::1", 10.0)
    guard.trust("2001:db8:1:2::7", until=3600)
    assert guard.is_trusted("2001:db8:1:2:ffff::1", 10.0)
    assert not guard.is_trusted("2001:db8:1:3::1", 10.0)


def test_carriers_are_never_banned(guard: FloodGuard) -> None:
    assert heard(guard, CARRIER, 5000, start=0, interval=0.001) == 5000
    assert guard.is_trusted(CARRIER, 0)


def test_no_limit_means_no_limit() -> None:
    assert heard(FloodGuard(requests=0), STRANGER, 1000, start=0) == 1000


def test_an_administrator_can_pardon(guard: FloodGuard) -> None:
    heard(guard, STRANGER, 60, start=0, interval=0.1)
    guard.pardon(STRANGER)
    assert guard.allows(STRANGER, 6)


@pytest.mark.parametrize(
    ("user_agent", "is_scanner"),
    [
        ("Friendly-Scanner", True),
        ("xx sip(cli) v1", True),
        ("sipcli", False),
        ("Yealink SIP-T46G", False),
        ("", False),
        (None, False),
    ],
)
def test_scanners_are_known_by_their_user_agent(guard: FloodGuard, user_agent: str | None, is_scanner: bool) -> None:
    assert guard.is_scanner(user_agent) is is_scanner
    assert guard.scanners == int(is_scanner)


@pytest.mark.parametrize("host", ["fe80::1%eth0", "::", "2001:db8::1", "not:an:address", "2001:DB8::1"])
def test_any_host_can_be_counted(host: str) -> None:
    assert source_key(host)
    assert len(source_key(host)) <= 16 or source_key(host) == host


def test_memory_stays_bounded_when_addresses_are_forged() -> None:
    guard = FloodGuard(requests=1, per_seconds=2, ban_seconds=5)
    for number in range(300_000):
        host = str(number)
        guard.allows(host, number / 100_000)
        guard.allows(host, number / 100_000)
        guard.may_answer(host, number / 100_000)
    assert len(guard._excess) <= 100_000
    assert len(guard._answers._current) <= 100_000
    guard.allows("last", 1000)
    assert not guard._excess
    assert len(guard._requests._current) == 1
