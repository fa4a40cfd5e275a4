# SPDX-License-Identifier: Apache-2.0
"""The last store before its migrations were squashed, and how it becomes one of today.

Its tables are those of today: only its history, its functions (which nothing marks as ours) and two names differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper

__all__ = ["HISTORY", "adopt"]

HISTORY: Final = frozenset({
    "0001_tables", "0002_rules", "0003_traces", "0004_limits", "0005_voicemail", "0006_answering", "0007_lamp",
    "0008_accounts", "0009_vouchers", "0010_batches", "0011_guessing", "0012_receipts", "0013_payers", "0014_numbers",
    "0015_crossing", "0016_vouching", "0017_sealed_passwords", "0018_gateway_ports",
})  # fmt: skip
"""The migrations that such a store has made."""

SQUASHED: Final = ("0001_money", "0002_accounts", "0003_calls", "0004_messages_and_vouchers", "0005_storage")
"""Those that make the same tables today."""

FUNCTIONS: Final = (
    "account_check_balance", "account_check_batch", "account_keep_name", "account_keep_redeemed", "account_keep_used",
    "account_life", "account_terms", "accounts_begin", "accounts_changed", "accounts_of_changed", "add_message",
    "addresses", "addresses_changed", "adjust_balances", "alias_allows", "are_colleagues", "audit", "audit_calls",
    "audit_vouchers", "balance_keep_used", "call_billed_seconds", "call_charge", "caller_key", "calls_answered",
    "claim_number", "count_accounts_alone", "credit_redemption", "declare_dead", "deposit_message", "email_accepted",
    "email_again", "email_message", "extend_call", "finish_call", "forward_message", "guess_delay", "guess_forgotten",
    "guess_lock", "guess_returned", "guess_taken", "heartbeat", "is_one_call_too_many", "keep_with_vouchers",
    "known_caller", "ledger_post", "limit_changed", "lock_funds", "log_action", "login_attempt", "login_failed",
    "login_right", "mailbox", "mailbox_account", "mailbox_switched", "mailboxes_changed", "message_counts", "messages",
    "notify", "notify_accounts", "notify_mailboxes", "number_came", "number_proven", "number_trust", "open_redemption",
    "orphans", "pace_email", "parties", "pin_attempt", "pin_attempts_of", "pin_delay", "pin_name", "pin_subjects",
    "post_entry", "product_check_currency", "prune_emails", "prune_guesses", "prune_pin_failures", "prune_receipts",
    "prune_traces", "purge_messages", "receipt_again", "receipt_done", "record_call", "record_is_use",
    "redeem_voucher", "refuse", "refuse_redemption", "resume_subscriptions", "ring_back_taken", "room_for_message",
    "set_answering", "set_greeting", "set_pin", "settle_again", "settle_orphan", "sounds_of_messages_gone",
    "spending_room", "start_call", "start_forward", "subscriber", "take_emails", "take_receipts", "take_redemptions",
    "tariffs_changed", "touch_account", "turn_returned", "turn_seconds", "turn_taken", "value_redemption",
    "voucher_attempt", "voucher_expired", "voucher_failed", "voucher_refusal", "want_receipts", "write_bindings",
    "write_subscriptions", "write_traces",
)  # fmt: skip
"""The functions that it has."""

DROP: Final = """
DO $$
DECLARE
    what text;
BEGIN
    FOR what IN SELECT format('TRIGGER %I ON %s', t.tgname, t.tgrelid::regclass)
                  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
                 WHERE NOT t.tgisinternal AND c.relkind = 'r' AND c.relname LIKE 'billing\\_%'
                   AND c.relnamespace = current_schema()::regnamespace
    LOOP
        EXECUTE 'DROP ' || what;
    END LOOP;
    DROP VIEW billing_adjustment;
    FOR what IN SELECT p.oid::regprocedure::text FROM pg_proc p
                 WHERE p.pronamespace = current_schema()::regnamespace
                   AND p.proname = ANY (string_to_array(current_setting('softswitch.former'), ' '))
    LOOP
        EXECUTE 'DROP FUNCTION ' || what;
    END LOOP;
END $$"""

RENAME: Final = """
ALTER TABLE billing_account RENAME CONSTRAINT billing_account_max_calls_check TO billing_account_max_calls_out_check;
ALTER TABLE billing_account RENAME CONSTRAINT billing_account_max_calls_check1 TO billing_account_max_calls_check"""


def adopt(cursor: CursorWrapper) -> None:
    """Make such a store one that has made the squashed migrations and has no functions, views or triggers yet."""
    cursor.execute("SELECT set_config('softswitch.former', %s, true)", [" ".join(FUNCTIONS)])
    cursor.execute(DROP)
    cursor.execute(RENAME)
    cursor.execute("DELETE FROM django_migrations WHERE app = 'billing'")
    cursor.executemany(
        "INSERT INTO django_migrations (app, name, applied) VALUES ('billing', %s, now())",
        [(name,) for name in SQUASHED],
    )
