# SPDX-License-Identifier: Apache-2.0
"""Every statement that the client sends; the functions live in the store (billing/store/sql)."""

from __future__ import annotations

__all__ = ["HOT"]

SUBSCRIBER = "SELECT * FROM subscriber($1)"
PARTIES = "SELECT * FROM parties($1, $2)"
START_CALL = (
    "SELECT granted, refusal FROM start_call("
    "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)"
)
START_FORWARD = (
    "SELECT granted, refusal FROM start_forward("
    "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,"
    " $25, $26, $27)"
)
# `start_call` for several calls, in their order: each counts those before it. What they may lock is locked first:
# accounts before customers before balances, as one alone does it, and each in the order of their ids.
START_CALLS = """
  WITH concerned AS MATERIALIZED (
       SELECT id, customer_id, num_nonnulls(max_calls, max_calls_in, max_calls_out) > 0 AS limited
         FROM billing_account WHERE id = ANY ($4::bigint[] || $23::bigint[])),
       accounts AS MATERIALIZED (
       SELECT count_accounts_alone(ARRAY(SELECT id FROM concerned WHERE limited))),
       customers AS MATERIALIZED (
       SELECT id FROM billing_customer
        WHERE (SELECT count(*) FROM accounts) >= 0 AND id = ANY (ARRAY(SELECT customer_id FROM concerned))
              AND num_nonnulls(max_calls, max_calls_in, max_calls_out, hourly_limit, daily_limit) > 0
        ORDER BY id FOR NO KEY UPDATE),
       balances AS MATERIALIZED (
       SELECT id FROM billing_balance
        WHERE (SELECT count(*) FROM customers) >= 0
              AND id = ANY (ARRAY(SELECT balance FROM unnest($5::bigint[], $14::numeric[]) AS b (balance, want)
                                   WHERE want > 0))
        ORDER BY id FOR NO KEY UPDATE)
SELECT granted, refusal
  FROM (SELECT count(*) FROM balances) AS locked (balances),
       unnest($1::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
              $11::bigint[], $12::text[], $13::timestamptz[], $14::numeric[], $15::numeric[], $16::bigint[],
              $17::text[], $18::numeric[], $19::integer[], $20::integer[], $21::numeric[], $22::numeric[],
              $23::bigint[], $24::boolean[]) WITH ORDINALITY
         AS s (call, account, balance, way, cli, cld, destination, country, gateway, sip_call, starts, want, minimum,
               rate, prefix, fee, first_seconds, next_seconds, first_minute, next_minute, called, exempt, number),
       LATERAL start_call(CASE WHEN balances >= 0 THEN call END, $2, $3, account, balance, way, cli, cld, destination,
                          country, gateway, sip_call, starts, want, minimum, rate, prefix, fee, first_seconds,
                          next_seconds, first_minute, next_minute, called, exempt)
 ORDER BY number"""
EXTEND_CALL = "SELECT held, refusal FROM extend_call($1, $2, $3, $4)"
# `extend_call` for several calls: calls, then customers, then balances are locked, as one alone does it.
EXTEND_CALLS = """
  WITH held AS MATERIALIZED (
       SELECT balance_id, customer_id FROM billing_activecall WHERE call_id = ANY ($1) ORDER BY call_id
          FOR NO KEY UPDATE),
       customers AS MATERIALIZED (
       SELECT id FROM billing_customer WHERE id = ANY (ARRAY(SELECT customer_id FROM held)) ORDER BY id
          FOR NO KEY UPDATE),
       balances AS MATERIALIZED (
       SELECT id FROM billing_balance
        WHERE (SELECT count(*) FROM customers) >= 0 AND id = ANY (ARRAY(SELECT balance_id FROM held)) ORDER BY id
          FOR NO KEY UPDATE)
SELECT held, refusal
  FROM (SELECT count(*) FROM balances) AS locked (balances),
       unnest($1::text[], $2::integer[], $3::numeric[], $4::numeric[]) WITH ORDINALITY
         AS e (call, slice, want, minimum, number),
       LATERAL extend_call(CASE WHEN balances >= 0 THEN call END, slice, want, minimum)
 ORDER BY number"""
# Calls are locked in the order of their keys, as everything does that locks several.
CALLS_MOVED = """
  WITH held AS MATERIALIZED (
       SELECT call_id FROM billing_activecall WHERE call_id = ANY ($1) ORDER BY call_id FOR UPDATE)
UPDATE billing_activecall AS c SET started_at = m.started_at, answered_at = coalesce(m.answered_at, c.answered_at)
  FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) AS m (call_id, started_at, answered_at)
  JOIN held ON held.call_id = m.call_id
 WHERE c.call_id = m.call_id"""
CALLS_ANSWERED = "SELECT calls_answered($1, $2)"
FINISH_CALL = "SELECT amount, billed_seconds, currency FROM finish_call($1, $2, $3, $4, $5, $6, $7, $8, $9)"
RECORD_CALL = (
    "SELECT amount, billed_seconds, currency FROM record_call($1, $2, $3, $4, $5, $6, $7, $8, $9,"
    " $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26)"
)
# All calls are locked before any balance, and both in the order of their keys, as everything does that locks a call.
FINISH_CALLS = """
  WITH held AS MATERIALIZED (
       SELECT balance_id FROM billing_activecall WHERE call_id = ANY ($1) ORDER BY call_id FOR UPDATE),
       paying AS MATERIALIZED (
       SELECT id FROM billing_balance WHERE id = ANY (ARRAY(SELECT balance_id FROM held)) ORDER BY id
          FOR NO KEY UPDATE)
SELECT count(*)
  FROM (SELECT count(*) FROM paying) AS locked (balances),
       unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::integer[], $5::numeric[], $6::integer[],
              $7::integer[], $8::text[], $9::bigint[])
         AS f (call, ends, answered, seconds, charge, q850, status, who, gateway),
       LATERAL finish_call(CASE WHEN balances >= 0 THEN call END, ends, answered, seconds, charge, q850, status, who,
                           gateway)"""
WRITE_BINDINGS = "SELECT write_bindings($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
WRITE_TRACES = "SELECT write_traces($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
PRUNE_TRACES = "SELECT prune_traces($1, $2)"
MESSAGE_COUNTS = """
SELECT c.name, c.new, c.old, c.new_urgent, c.old_urgent,
       ARRAY(SELECT o.name FROM billing_alias o WHERE o.account_id = n.account_id AND o.allow_authentication)::text[]
  FROM message_counts($1) c JOIN billing_alias n ON n.name = c.name"""
HEARTBEAT = "SELECT clock_timestamp() AS at FROM heartbeat($1)"

ANNOUNCE_CALLS = "SELECT pg_notify('softswitch_calls', message) FROM unnest($1::text[]) AS message"
NODE_BEGIN = "INSERT INTO billing_node (name) VALUES ($1) RETURNING id, clock_timestamp() AS at"
DECLARE_DEAD = "SELECT declare_dead($1, $2)"
ORPHANS = "SELECT call_id FROM orphans($1) AS call_id"
SETTLE_ORPHAN = "SELECT settle_orphan($1) AS settled"
LOST_CALLS = "SELECT call_id FROM unnest($1::text[]) AS call_id EXCEPT ALL SELECT call_id FROM billing_activecall"
LIVE_CALLS = "SELECT call_id FROM billing_activecall WHERE life_id = $1"
NODE_BINDINGS = """
SELECT aor, key, contact, received, path::text[], expires_at, q, call_id, cseq, instance, reg_id, user_agent, node,
       socket
  FROM billing_binding
 WHERE node = $1 AND expires_at > now() AND (aor, key) > ($2, $3)
 ORDER BY aor, key LIMIT $4"""
GATEWAYS = """
SELECT id, name, host, port, transport, enabled, inbound, outbound, any_port, username, password,
       number_format, forwarded_caller, identifies
  FROM billing_gateway"""
ROUTES = "SELECT gateway_id, prefix, position, strip, prepend FROM billing_gatewayroute ORDER BY id"
ADDRESSES = "SELECT name FROM addresses()"
TARIFFS = "SELECT id, currency, revision FROM billing_tariff"
LOCKS = """
SELECT c.call_id, a.number, c.dialled, c.started_at, c.locked
  FROM billing_activecall c JOIN billing_account a ON a.id = c.account_id
 WHERE c.balance_id = $1 AND c.locked > 0 ORDER BY c.locked DESC, c.started_at LIMIT $2"""
# Terms travel as one text each, so that a reader parses those that many rates share only once.
_TERMS = """
SELECT id, prefix,
       json_build_array(destination, country, connect_fee, first_increment, next_increment, first_price, next_price,
                        effective_from AT TIME ZONE 'UTC', effective_to AT TIME ZONE 'UTC', blocked)::text AS terms
  FROM billing_rate"""
_IN_ORDER = "ORDER BY length(prefix), prefix, effective_from DESC"
RATES = f"{_TERMS} WHERE tariff_id = $1 {_IN_ORDER}"
RATES_OF = f"{_TERMS} WHERE tariff_id = $1 AND prefix = ANY($2::text[]) {_IN_ORDER}"

HOT = (
    SUBSCRIBER,
    PARTIES,
    START_CALL,
    START_CALLS,
    EXTEND_CALL,
    EXTEND_CALLS,
    CALLS_ANSWERED,
    FINISH_CALL,
    FINISH_CALLS,
    WRITE_BINDINGS,
    HEARTBEAT,
)
"""Prepared as soon as a connection opens; the others when first used."""
