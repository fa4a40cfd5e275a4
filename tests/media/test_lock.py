# SPDX-License-Identifier: Apache-2.0
"""Source locking: the phone is learnt behind NAT too, an attacker is not."""

from __future__ import annotations

from media.lock import Source, SourceLock

SIGNALLED = ("192.0.2.10", 4000)
NATTED = ("203.0.113.5", 61000)
STRANGER = ("198.51.100.66", 6666)
SETTLE_SECONDS = 3.0


def lock_for(signalled: Source | None = SIGNALLED, *, sip_host: str | None = None) -> SourceLock:
    lock = SourceLock(SETTLE_SECONDS)
    hosts = {signalled[0]} if signalled else set()
    lock.signal(signalled, frozenset(hosts | ({sip_host} if sip_host else set())))
    return lock


def send(
    lock: SourceLock, source: Source, first: int, count: int = 1, *, now: float = 0.0, stream: int = 1
) -> list[bool]:
    return [lock.admit(source, stream, sequence & 0xFFFF, now) for sequence in range(first, first + count)]


def test_the_signalled_address_locks_with_its_first_packet() -> None:
    lock = lock_for()
    assert send(lock, SIGNALLED, 1) == [True]
    assert lock.final
    assert send(lock, STRANGER, 2, 5) == [False] * 5
    assert lock.target == SIGNALLED


def test_packets_go_to_the_signalled_address_until_one_came() -> None:
    assert lock_for().target == SIGNALLED


def test_a_phone_behind_nat_is_learnt_by_two_packets_in_sequence_and_final_after_a_while() -> None:
    lock = lock_for()
    assert send(lock, NATTED, 65535, 3) == [False, True, True]  # the sequence number wraps
    assert lock.target == NATTED
    assert not lock.settle(SETTLE_SECONDS - 0.1)
    assert lock.settle(SETTLE_SECONDS)
    assert not lock.settle(SETTLE_SECONDS), "once only"
    assert send(lock, SIGNALLED, 10, 3) == [False] * 3


def test_scattered_packets_are_not_learnt() -> None:
    lock = lock_for()
    for guess in (5, 9000, 12, 40000):
        assert send(lock, STRANGER, guess) == [False]
    assert send(lock, STRANGER, 1, stream=1) + send(lock, STRANGER, 2, stream=2) == [False, False]
    assert lock.source is None


def test_two_senders_at_once_do_not_help_each_other_through_probation() -> None:
    lock = lock_for()
    assert send(lock, STRANGER, 1) + send(lock, NATTED, 2) + send(lock, STRANGER, 3) == [False] * 3


def test_the_signalled_address_takes_over_from_a_provisional_source() -> None:
    lock = lock_for()
    send(lock, STRANGER, 1, 2)
    assert send(lock, SIGNALLED, 500) == [True]
    assert lock.final
    assert send(lock, STRANGER, 3) == [False]


def test_the_host_that_sip_came_from_takes_over_from_a_stranger() -> None:
    lock = lock_for(sip_host=NATTED[0])
    send(lock, STRANGER, 1, 2)
    assert lock.source == STRANGER
    assert send(lock, NATTED, 7, 2) == [False, True]
    assert lock.source == NATTED
    assert send(lock, STRANGER, 3, 4) == [False] * 4


def test_a_stranger_does_not_take_over_from_another() -> None:
    lock = lock_for()
    send(lock, NATTED, 1, 2)
    assert send(lock, STRANGER, 1, 9) == [False] * 9


def test_a_new_address_in_an_offer_opens_the_lock_and_prevails() -> None:
    lock = lock_for()
    send(lock, SIGNALLED, 1)
    moved = ("192.0.2.20", 5000)
    assert lock.signal(moved, frozenset({moved[0]}))
    assert lock.target == moved
    # What is still on its way from the old address passes, but does not keep the new one out.
    assert send(lock, SIGNALLED, 2) == [True]
    assert lock.target == SIGNALLED
    assert send(lock, moved, 3) == [True]
    assert send(lock, SIGNALLED, 3) == [False]
    assert lock.target == moved


def test_the_old_address_stays_if_the_new_one_never_sends() -> None:
    lock = lock_for()
    send(lock, SIGNALLED, 1)
    lock.signal(("192.0.2.20", 5000), frozenset({"192.0.2.20"}))
    send(lock, SIGNALLED, 2, 3, now=10.0)
    assert lock.settle(10.0 + SETTLE_SECONDS)
    assert lock.target == SIGNALLED


def test_the_same_address_in_an_offer_keeps_the_lock() -> None:
    lock = lock_for()
    send(lock, NATTED, 1, 2)
    lock.settle(SETTLE_SECONDS)
    assert not lock.signal(SIGNALLED, frozenset({SIGNALLED[0]}))
    assert lock.final
    assert lock.target == NATTED


def test_hold_by_the_address_zero_keeps_the_lock() -> None:
    lock = lock_for()
    send(lock, SIGNALLED, 1)
    assert not lock.signal(None, frozenset())
    assert not lock.signal(SIGNALLED, frozenset({SIGNALLED[0]}))
    assert lock.final


def test_after_silence_another_port_of_the_same_host_is_learnt() -> None:
    lock = lock_for()
    send(lock, NATTED, 1, 2)
    lock.settle(SETTLE_SECONDS)
    assert lock.open_after_silence()
    rebound = (NATTED[0], 61999)
    assert send(lock, rebound, 40, 2) == [False, True]
    assert lock.target == rebound


def test_after_silence_strangers_are_not_learnt() -> None:
    lock = lock_for()
    send(lock, SIGNALLED, 1)
    lock.open_after_silence()
    assert send(lock, STRANGER, 1, 50) == [False] * 50
    assert send(lock, SIGNALLED, 2) == [True]
    assert lock.final


def test_after_silence_a_natted_phone_comes_back_at_once() -> None:
    lock = lock_for()
    send(lock, NATTED, 1, 2)
    lock.settle(SETTLE_SECONDS)
    lock.open_after_silence()
    assert lock.target == SIGNALLED
    assert send(lock, NATTED, 900) == [True]
    assert lock.final


def test_rtcp_is_taken_from_the_locked_host_alone() -> None:
    lock = lock_for(sip_host=NATTED[0])
    assert lock.knows_host(SIGNALLED[0])
    assert lock.knows_host(NATTED[0])
    send(lock, SIGNALLED, 1)
    assert lock.knows_host(SIGNALLED[0])
    assert not lock.knows_host(NATTED[0])
