# SPDX-License-Identifier: Apache-2.0
"""Vouchers in the store: `billing_client.vouchers.words.Vouchers` over a pool of connections.

A code is counted as a guess and looked up by one statement, its password is opened and compared here (the store has no
key), and one more statement either redeems the voucher and gives the guess back, or says that it was one. So however
many calls try at once, no more codes are compared than may be wrong. An unknown code takes the same steps as one whose
password is wrong.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from billing_client.link.pool import Pool
from billing_client.names import name, text
from billing_client.rules.check_digit import valid_prefixes
from billing_client.rules.lifecycle import LifeTerms, expiry
from billing_client.rules.numbering import digits_of
from billing_client.secrets.keyring import KeyRing, KeyRingError
from billing_client.vouchers.external import ExternalVouchers, receipt_columns
from billing_client.vouchers.guessing import SHARED, Guesses
from billing_client.vouchers.words import LONGEST_ID, GuessSource, Redeemed, VoucherRejected, WantedReceipts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncpg import Record

    from billing_client.secrets.keyring import KeyFile
    from billing_client.vouchers.words import RejectedReason, VoucherStore

__all__ = ["LONGEST_CODE", "SHORTEST_ID", "StoreVouchers"]

ATTEMPT = "SELECT * FROM voucher_attempt($1, $2, $3, $4, $5, $6, $7, $8)"
REDEEM = """
SELECT r.*, CASE WHEN r.outcome = 'ok' AND $4 <> '{}'::text[] THEN want_receipts($2, $4, $5, $6) END,
       CASE WHEN r.outcome = 'ok' THEN guess_returned($7, $8, $9) END
  FROM redeem_voucher($1, $2, $3) r"""
RETURNED = "SELECT guess_returned($1, $2, $3)"
FAILED = "SELECT delay, alarms FROM voucher_failed($1, $2, $3, $4, $5)"
PRUNE = "SELECT prune_guesses($1), prune_receipts($1)"

SHORTEST_ID: Final = 6
LONGEST_CODE: Final = 64
LONGEST_KEY: Final = 128
HIDDEN_DIGITS: Final = 4
"""Of an id; those before them are the prefix that guesses are counted by, and that an alarm names."""
BY_NUMBER: Final = " by number"
NO_RECEIPTS: Final = WantedReceipts((), "", "")
BUSY_PAUSES: Final = (0.01, 0.02, 0.05, *[0.1] * 20)
"""Seconds between two looks whether a slot is free."""
PRUNED_AT_A_TIME: Final = 10_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One code that somebody typed."""

    code: str
    account: str
    key: str
    by: str
    """How the account is known, where that is counted apart: a number that calls never locks out who has the PIN."""
    slot: str
    """Names this guess: asked again under its key it is no further one."""
    subjects: list[str]
    weights: list[int]
    """What a wrong one is counted for that many callers share."""
    receipts: WantedReceipts


class StoreVouchers:
    """The door to vouchers; make one by `connect`."""

    def __init__(
        self,
        pool: Pool,
        keys: KeyFile,
        *,
        id_digits: int,
        allow_plain: bool,
        lock_after: int,
        lock_seconds: int,
        stores: Sequence[VoucherStore],
    ) -> None:
        """`id_digits` of new vouchers (others are found as well); `allow_plain`: vouchers without a password are
        redeemed too; `stores` are asked, in their order, for codes that are not found here. The pool and the stores are
        closed by `close`."""
        self._pool = pool
        self._keys = keys
        self._prefix_digits = id_digits - HIDDEN_DIGITS
        self._allow_plain = allow_plain
        self._lock_after = lock_after
        self._lock_seconds = lock_seconds
        self._external = ExternalVouchers(pool, keys, stores) if stores else None
        self.guesses = Guesses()
        """Wrong codes."""
        self._nothing = KeyRing.make()
        self._nothing_sealed = self._nothing.seal("0" * 8, "0")

    @classmethod
    async def connect(
        cls,
        dsn: str,
        keys: KeyFile,
        *,
        node: str,
        connections: int = 4,
        timeout_seconds: float = 5.0,
        id_digits: int = 11,
        allow_plain: bool = False,
        lock_after: int = 9,
        lock_seconds: int = 900,
        stores: Sequence[VoucherStore] = (),
    ) -> StoreVouchers:
        """Open connections of its own; raises StoreUnavailable. `timeout_seconds` bounds every wait for the store."""
        pool = Pool(
            dsn,
            name=f"softswitch {node} vouchers",
            size=connections,
            timeout_seconds=timeout_seconds,
            prepare=(ATTEMPT, REDEEM, FAILED),
        )
        await pool.open()
        return cls(
            pool,
            keys,
            id_digits=id_digits,
            allow_plain=allow_plain,
            lock_after=lock_after,
            lock_seconds=lock_seconds,
            stores=stores,
        )

    async def close(self) -> None:
        """Close the connections."""
        if self._external is not None:
            await self._external.close()
        await self._pool.close()

    async def redeem(
        self, code: str, account: str, key: str, source: GuessSource, receipts: WantedReceipts | None = None
    ) -> Redeemed | VoucherRejected:
        """See `Vouchers`. Two round trips; an external code takes some more, and as long as its store does."""
        attempt = self._attempt(code, account, key, source, receipts or NO_RECEIPTS)
        rows = await self._take_slot(attempt)
        first = rows[0]
        if first["earlier_state"] is not None:
            return await self._again(attempt, first)
        if first["account_refusal"] is not None:
            return VoucherRejected(first["account_refusal"], first["delay"])
        if first["turn"] != "taken":
            self._right(attempt.code, ())
            return VoucherRejected("locked", first["delay"])
        voucher, reason = self._right(attempt.code, [row for row in rows if row["id"] is not None])
        if voucher is not None:
            answer = await self._move(voucher, attempt, first["account_id"], first["guesser"])
            if answer["outcome"] == "ok":
                return _redeemed(answer, first["delay"])
            return await self._failed(attempt, first["guesser"], answer["outcome"])
        if reason == "unknown" and attempt.code and self._external is not None:
            return await self._ask_outside(attempt, first)
        return await self._failed(attempt, first["guesser"], reason)

    async def _take_slot(self, attempt: _Attempt) -> list[Record]:
        """Count the guess and look it up; while others of the same guesser are under way, it waits for them."""
        for pause in (*BUSY_PAUSES, None):
            rows = await self._pool.fetch(
                ATTEMPT,
                attempt.account,
                _ids(attempt.code),
                attempt.key,
                attempt.by,
                attempt.slot,
                attempt.subjects,
                self._lock_after,
                self._lock_seconds,
            )
            if rows[0]["turn"] != "busy" or pause is None:
                break
            await asyncio.sleep(pause)
        return rows

    async def reconcile(self, most: int = 100) -> int:
        """Finish redemptions of external vouchers that were cut short, as far as their stores answer; returns how many
        came to an end. To be called at the start and from time to time; any number of nodes may do so at once."""
        await self._pool.fetch(PRUNE, PRUNED_AT_A_TIME)
        return 0 if self._external is None else await self._external.reconcile(most)

    def _attempt(self, code: str, account: str, key: str, source: GuessSource, receipts: WantedReceipts) -> _Attempt:
        """What is asked, as the store can take it, and what a wrong code is counted for beside the account."""
        plain = "".join(character for character in code if character not in " -")
        plain = plain if plain == text(plain, LONGEST_CODE) and plain.isascii() and plain.isalnum() else ""
        counted = {
            f"access {source.access}": SHARED["access"],
            f"prefix {self._masked(plain)}": SHARED["prefix"],
            "all": SHARED["all"],
        }
        if key != text(key, LONGEST_KEY) or not key:
            raise ValueError(f"a key has 1 to {LONGEST_KEY} characters")
        by = BY_NUMBER if source.guesser.startswith("number ") else ""
        slot = self._slot(key, plain)
        return _Attempt(plain, name(account), key, by, slot, list(counted), list(counted.values()), receipts)

    def _slot(self, key: str, code: str) -> str:
        """What a guess is called in the store, which must not tell the code."""
        try:
            ring = self._keys.ring()
        except KeyRingError:
            ring = self._nothing
        return ring.digest(f"guess {key} {code}").hex()[:32]

    def _masked(self, code: str) -> str:
        """What may be told of a code: `8527544xxxx`."""
        return code[: self._prefix_digits] + "x" * min(HIDDEN_DIGITS, max(0, len(code) - self._prefix_digits))

    def _right(self, code: str, rows: Sequence[Record]) -> tuple[str | None, RejectedReason]:
        """The voucher whose id and password the code is; else why it is none. Takes as long where there is none."""
        reason: RejectedReason = "unknown"
        for row in rows:
            if row["sealed"] is None:
                if row["id"] == code:
                    if self._allow_plain:
                        return code, "unknown"
                    reason = "plain"
            elif hmac.compare_digest(row["id"] + self._password(row), code):
                return row["id"], "unknown"
            elif reason == "unknown":
                reason = "password"
        if reason != "password":
            hmac.compare_digest(self._nothing.open(1, self._nothing_sealed, "0"), code)
        return None, reason

    def _password(self, row: Record) -> str:
        """Of a voucher; what no code can hold if it cannot be opened, which an administrator must hear of."""
        try:
            return self._keys.ring_with(row["key_id"]).open(row["key_id"], row["sealed"], row["id"])
        except KeyRingError as error:
            log.error("a voucher cannot be checked", extra={"reason": str(error), "prefix": self._masked(row["id"])})
            return "\0"

    async def _again(self, attempt: _Attempt, row: Record) -> Redeemed | VoucherRejected:
        """The answer that was given under this key, if it was asked for the same; StoreRefused otherwise."""
        if not row["earlier_voucher"]:
            return await self._ask_outside(attempt, row)
        voucher = row["earlier_voucher"] if attempt.code.startswith(row["earlier_voucher"]) else ""
        return _redeemed(await self._move(voucher, attempt, row["account_id"], None), 0)

    async def _move(self, voucher: str, attempt: _Attempt, account_id: int, guesser: str | None) -> Record:
        """Redeem it, queue the receipts, and count it as a guess no longer."""
        columns = (*receipt_columns(attempt.receipts), guesser, attempt.slot, self._lock_after)
        return (await self._pool.fetch(REDEEM, voucher, attempt.key, account_id, *columns))[0]

    async def _ask_outside(self, attempt: _Attempt, row: Record) -> Redeemed | VoucherRejected:
        if self._external is None:
            return VoucherRejected("unavailable")
        if not row["same_currency"]:
            return await self._failed(attempt, row["guesser"], "currency")
        answer = await self._external.redeem(attempt.code, row["account_id"], attempt.key, attempt.receipts)
        if isinstance(answer, str) and answer not in ("unavailable", "pending"):
            return await self._failed(attempt, row["guesser"], answer)
        await self._pool.fetch(RETURNED, row["guesser"], attempt.slot, self._lock_after)
        return VoucherRejected(answer, row["delay"]) if isinstance(answer, str) else _redeemed(answer, row["delay"])

    async def _failed(self, attempt: _Attempt, guesser: str | None, reason: RejectedReason) -> VoucherRejected:
        """It was a wrong code; whoever scans is told of in the log."""
        found = await self._pool.fetch(
            FAILED, guesser, attempt.slot, attempt.subjects, attempt.weights, self._lock_after
        )
        self.guesses.wrong += 1
        self.guesses.alarms += len(found[0]["alarms"])
        for subject in found[0]["alarms"]:
            log.warning("someone is scanning vouchers", extra={"subject": subject})
        return VoucherRejected(reason, found[0]["delay"])


def _ids(code: str) -> list[str]:
    """The ids of vouchers that a code may begin with."""
    return valid_prefixes(code, SHORTEST_ID, LONGEST_ID) if digits_of(code) else []


def _redeemed(row: Record, delay_seconds: int) -> Redeemed:
    terms = LifeTerms.parse(row["life"])
    end = None if terms is None else expiry(terms)
    return Redeemed(
        amount=row["amount"],
        currency=row["currency"],
        balance=row["funds"],
        available=row["available"],
        expires_at=None if end is None else end.at,
        days=None if end is None else max(0, (end.at - datetime.now(UTC)).days),
        delay_seconds=delay_seconds,
    )
