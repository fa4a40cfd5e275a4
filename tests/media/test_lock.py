# SPDX-License-Identifier: Apache-2.0
"""Media belongs to who was signalled: the phone is learnt behind NAT too, an attacker is not. Case G1, L19."""

from __future__ import annotations

import itertools

import pytest

from media.rtp.lock import UNHEARD_SECONDS, Rank, Source, SourceLock, Sources, Verdict, verdict

SIGNALLED = ("192.0.2.10", 4000)
NATTED = ("203.0.113.5", 61000)
STRANGER = ("198.51.100.66", 6666)
MOVED = ("192.0.2.20", 5000)
SETTLE_SECONDS = 3.0


def lock_for(signalled: Source | None = SIGNALLED, *, sip_host: str | None = None, answered: bool = True) -> SourceLock:
    lock = SourceLock(SETTLE_SECONDS)
    lock.signal(signalled, frozenset({sip_host} if sip_host else ()))
    if answered:
        lock.answer()
    return lock


def send(
    lock: SourceLock, source: Source, first: int, count: int = 1, *, now: float = 0.0, stream: int = 1
) -> list[bool]:
    return [lock.admit(source, stream, sequence & 0xFFFF, now) for sequence in range(first, first + count)]


# The table

DROPPED, PASSES = Verdict.DROPPED, Verdict.PASSES
PROBATION, TAKES = Verdict.ON_PROBATION, Verdict.TAKES_OVER
INCUMBENTS = (None, Rank.STRANGER, Rank.FORMER, Rank.KNOWN_HOST, Rank.SIGNALLED)
TABLE = {
    # newcomer: what it meets with, by incumbent in the order above; (silent, strangers, settled) as named
    (Rank.SIGNALLED, "always"): (TAKES, TAKES, TAKES, TAKES, TAKES),
    (Rank.KNOWN_HOST, "live"): (PROBATION, PROBATION, PROBATION, DROPPED, DROPPED),
    (Rank.KNOWN_HOST, "silent"): (PROBATION, PROBATION, PROBATION, PROBATION, PROBATION),
    (Rank.FORMER, "fresh"): (PASSES, PROBATION, DROPPED, DROPPED, DROPPED),
    (Rank.FORMER, "settled"): (TAKES, PROBATION, DROPPED, DROPPED, DROPPED),
    (Rank.STRANGER, "unwelcome"): (DROPPED, DROPPED, DROPPED, DROPPED, DROPPED),
    (Rank.STRANGER, "welcome"): (PROBATION, DROPPED, DROPPED, DROPPED, DROPPED),
}


@pytest.mark.parametrize("newcomer", list(Rank))
@pytest.mark.parametrize("incumbent", INCUMBENTS)
def test_who_takes_over_from_whom(newcomer: Rank, incumbent: Rank | None) -> None:
    """The whole table: every newcomer, every incumbent, every circumstance."""
    for silent, strangers, settled in itertools.product((False, True), repeat=3):
        circumstance = {
            Rank.SIGNALLED: "always",
            Rank.KNOWN_HOST: "silent" if silent else "live",
            Rank.FORMER: "settled" if settled else "fresh",
            Rank.STRANGER: "welcome" if strangers else "unwelcome",
        }[newcomer]
        expected = TABLE[newcomer, circumstance][INCUMBENTS.index(incumbent)]
        assert verdict(newcomer, incumbent, silent=silent, strangers=strangers, settled=settled) is expected


@pytest.mark.parametrize("incumbent", INCUMBENTS)
def test_only_a_known_host_profits_from_silence_and_only_the_signalled_address_needs_no_second_packet(
    incumbent: Rank | None,
) -> None:
    for newcomer, silent, strangers, settled in itertools.product(Rank, (False, True), (False, True), (False, True)):
        found = verdict(newcomer, incumbent, silent=silent, strangers=strangers, settled=settled)
        if incumbent is not None and newcomer <= incumbent and newcomer is not Rank.SIGNALLED:
            assert found is DROPPED or (silent and newcomer is Rank.KNOWN_HOST)
        if found is TAKES:
            assert newcomer is Rank.SIGNALLED or (newcomer is Rank.FORMER and incumbent is None and settled)


# The lock


@pytest.mark.parametrize("answered", [False, True])
def test_the_signalled_address_locks_with_its_first_packet(answered: bool) -> None:
    lock = lock_for(answered=answered)
    assert send(lock, SIGNALLED, 1) == [True]
    assert lock.final
    assert send(lock, STRANGER, 2, 5) == [False] * 5
    assert lock.target == SIGNALLED


def test_packets_go_to_the_signalled_address_until_one_came() -> None:
    assert lock_for().target == SIGNALLED


@pytest.mark.parametrize("answered", [False, True])
def test_a_phone_behind_nat_is_learnt_at_the_host_that_signals_by_two_packets_in_sequence(answered: bool) -> None:
    lock = lock_for(sip_host=NATTED[0], answered=answered)
    assert send(lock, NATTED, 65535, 3) == [False, True, True]  # the sequence number wraps
    assert lock.target == NATTED
    assert not lock.final, "the signalled address may still speak"
    assert send(lock, (NATTED[0], 61001), 10, 3) == [False] * 3
    assert send(lock, SIGNALLED, 10) == [True]
    assert send(lock, NATTED, 65537, 3) == [False] * 3


def test_strangers_are_not_learnt_before_the_final_answer() -> None:
    lock = lock_for(answered=False)
    assert send(lock, STRANGER, 1, 50) == [False] * 50
    lock.answer()
    assert lock.target == SIGNALLED
    assert send(lock, STRANGER, 60, 3) == [False, True, True]


def test_a_stranger_that_was_learnt_goes_when_the_call_turns_out_not_to_be_answered() -> None:
    lock = lock_for()
    send(lock, STRANGER, 1, 2)
    lock.unanswer()
    assert lock.target == SIGNALLED
    assert send(lock, STRANGER, 3, 5) == [False] * 5


def test_a_stranger_is_forgotten_when_it_is_silent_and_another_may_be_learnt() -> None:
    lock = lock_for()
    send(lock, STRANGER, 1, 2)
    assert lock.open_after_silence()
    assert lock.target == SIGNALLED
    assert send(lock, NATTED, 1, 2) == [False, True]


def test_nothing_is_learnt_from_strangers_once_something_better_was_heard() -> None:
    lock = lock_for(sip_host=NATTED[0])
    send(lock, NATTED, 1, 2)
    lock.open_after_silence()
    assert send(lock, STRANGER, 1, 20) == [False] * 20
    assert lock.target == NATTED, "sound goes on to where the phone was heard last"


def test_a_strangers_flood_does_not_keep_a_known_host_on_probation() -> None:
    lock = lock_for(sip_host=NATTED[0])
    for number in range(10):
        lock.admit(("198.51.100.66", 1000 + number), 9, number, 0.0)
        lock.admit(NATTED, 1, number, 0.0)
    assert lock.source == NATTED


def test_who_was_first_on_the_known_host_before_the_answer_gives_way_to_who_speaks_after_it() -> None:
    first, phone = (SIGNALLED[0], 1111), (SIGNALLED[0], 2222)
    lock = lock_for(answered=False)
    send(lock, first, 1, 2)
    assert send(lock, phone, 1, 4) == [False] * 4
    lock.answer()
    assert lock.target == first
    assert send(lock, phone, 5, 2) == [False, True]
    assert lock.target == phone


def test_who_speaks_before_and_after_the_answer_stays() -> None:
    lock = lock_for(sip_host=NATTED[0], answered=False)
    send(lock, NATTED, 1, 2)
    lock.answer()
    assert send(lock, NATTED, 3) == [True]
    assert send(lock, (NATTED[0], 61001), 1, 4) == [False] * 4


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


def test_a_new_address_in_an_offer_counts_at_once_and_the_old_one_still_passes() -> None:
    lock = lock_for()
    send(lock, SIGNALLED, 1)
    assert lock.signal(MOVED, frozenset())
    assert send(lock, SIGNALLED, 2) == [True]
    assert lock.target == MOVED, "what is still on its way draws no sound"
    assert send(lock, MOVED, 3) == [True]
    assert send(lock, SIGNALLED, 3) == [False]
    assert lock.target == MOVED


def test_the_old_address_stays_if_the_new_one_never_sends() -> None:
    lock = lock_for()
    send(lock, SIGNALLED, 1)
    lock.signal(MOVED, frozenset())
    send(lock, SIGNALLED, 2, 3, now=10.0)
    send(lock, SIGNALLED, 5, now=10.0 + SETTLE_SECONDS)
    assert lock.target == SIGNALLED
    lock.signal(MOVED, frozenset())  # a session is refreshed
    assert lock.target == SIGNALLED
    assert send(lock, MOVED, 1, now=20.0) == [True]
    assert lock.target == MOVED


def test_a_stranger_is_no_former_source_after_a_new_offer() -> None:
    lock = lock_for()
    send(lock, STRANGER, 1, 2)
    lock.signal(MOVED, frozenset())
    assert send(lock, STRANGER, 3) == [False], "on probation again"
    assert send(lock, MOVED, 3) == [True]
    assert send(lock, STRANGER, 4, 5) == [False] * 5


def test_the_same_address_in_an_offer_keeps_the_lock() -> None:
    lock = lock_for(sip_host=NATTED[0])
    send(lock, NATTED, 1, 2)
    assert not lock.signal(SIGNALLED, frozenset({NATTED[0]}))
    assert lock.target == NATTED


def test_a_phone_that_signals_from_another_host_now_is_learnt_there_at_once() -> None:
    lock, roamed = lock_for(sip_host=NATTED[0]), ("203.0.113.200", 5000)
    send(lock, NATTED, 1, 2)
    assert lock.signal(SIGNALLED, frozenset({roamed[0]}))
    assert send(lock, roamed, 40, 2) == [False, True]
    assert send(lock, NATTED, 3, 4) == [False] * 4


def test_hold_by_the_address_zero_keeps_the_lock() -> None:
    lock = lock_for()
    send(lock, SIGNALLED, 1)
    assert not lock.signal(None, frozenset())
    assert not lock.signal(SIGNALLED, frozenset({SIGNALLED[0]}))
    assert lock.final


def test_after_silence_another_port_of_the_same_host_is_learnt() -> None:
    lock, rebound = lock_for(sip_host=NATTED[0]), (NATTED[0], 61999)
    send(lock, NATTED, 1, 2)
    assert lock.open_after_silence()
    assert not lock.open_after_silence(), "once only"
    assert send(lock, rebound, 40, 2) == [False, True]
    assert lock.target == rebound


def test_after_silence_strangers_are_not_learnt() -> None:
    lock = lock_for()
    send(lock, SIGNALLED, 1)
    lock.open_after_silence()
    assert not lock.final
    assert send(lock, STRANGER, 1, 50) == [False] * 50
    assert send(lock, SIGNALLED, 2) == [True]
    assert lock.final


def test_after_silence_a_natted_phone_comes_back_at_once_and_is_heard_meanwhile() -> None:
    lock = lock_for(sip_host=NATTED[0])
    send(lock, NATTED, 1, 2)
    lock.open_after_silence()
    assert lock.target == NATTED
    assert send(lock, NATTED, 900) == [True]
    assert not lock.silent


# RTCP, and where sound may go


def sources_for(*, sip_host: str | None = None, rtcp: Source = ("192.0.2.10", 4001)) -> Sources:
    sources = Sources(SETTLE_SECONDS)
    sources.signal(SIGNALLED, rtcp, frozenset({sip_host} if sip_host else ()))
    sources.answer(answered=True)
    return sources


def test_rtcp_is_taken_from_a_known_host_and_then_from_the_locked_one_alone() -> None:
    sources = sources_for(sip_host=NATTED[0])
    assert sources.rtp.knows_host(SIGNALLED[0])
    assert sources.rtp.knows_host(NATTED[0])
    send(sources.rtp, SIGNALLED, 1)
    assert sources.rtp.knows_host(SIGNALLED[0])
    assert not sources.rtp.knows_host(NATTED[0])


def test_rtcp_of_strangers_is_neither_taken_nor_answered() -> None:
    sources = sources_for()
    assert not sources.admit_rtcp(STRANGER, 0.0)
    assert sources.rtcp_destination(0.0) == (SIGNALLED[0], 4001)


def test_rtcp_from_its_signalled_address_throws_another_port_of_the_host_out() -> None:
    sources = sources_for()
    assert sources.admit_rtcp((SIGNALLED[0], 9999), 0.0)
    assert sources.rtcp_destination(0.0) == (SIGNALLED[0], 9999)
    assert sources.admit_rtcp((SIGNALLED[0], 4001), 0.0)
    assert not sources.admit_rtcp((SIGNALLED[0], 9999), 0.0)
    assert sources.rtcp_destination(0.0) == (SIGNALLED[0], 4001)


def test_rtcp_of_a_stranger_whose_rtp_was_learnt_goes_with_him() -> None:
    sources = sources_for()
    send(sources.rtp, STRANGER, 1, 2)
    assert sources.admit_rtcp((STRANGER[0], 6667), 0.0)
    assert sources.rtcp_destination(0.0) == (STRANGER[0], 6667)
    send(sources.rtp, SIGNALLED, 1)
    assert sources.rtcp_destination(0.0) == (SIGNALLED[0], 4001)
    assert not sources.admit_rtcp((STRANGER[0], 6667), 0.0)


def test_sound_to_a_third_party_that_sends_nothing_ends_after_two_seconds() -> None:
    """Case L19."""
    sources = sources_for(sip_host=NATTED[0])
    assert sources.destination(100.0) == SIGNALLED
    assert sources.destination(100.0 + UNHEARD_SECONDS - 0.01) == SIGNALLED
    assert sources.destination(100.0 + UNHEARD_SECONDS) is None
    sources.signal(("192.0.2.20", 5000), ("192.0.2.20", 5001), frozenset({NATTED[0]}))
    assert sources.destination(103.0) is None, "another third party is no new beginning"
    assert sources.rtcp_destination(103.0) == ("192.0.2.20", 5001)
    assert sources.rtcp_destination(103.0 + UNHEARD_SECONDS) is None
    send(sources.rtp, ("192.0.2.20", 5000), 1)
    assert sources.destination(999.0) == ("192.0.2.20", 5000)
    assert sources.rtcp_destination(999.0) == ("192.0.2.20", 5001)


def test_any_packet_of_the_host_is_enough_to_be_sent_sound() -> None:
    sources = sources_for(sip_host=NATTED[0])
    sources.destination(0.0)
    assert sources.admit_rtcp((SIGNALLED[0], 4001), 5.0)
    assert sources.destination(6.0) == SIGNALLED


def test_the_host_that_signals_and_trusted_ones_may_be_sent_sound_unasked() -> None:
    for sip_hosts, trusted in (({SIGNALLED[0]}, set[str]()), (set[str](), {SIGNALLED[0]})):
        lock = SourceLock(SETTLE_SECONDS)
        lock.signal(SIGNALLED, frozenset(sip_hosts), frozenset(trusted))
        lock.destination(0.0)
        assert lock.destination(1e6) == SIGNALLED
