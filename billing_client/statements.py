# SPDX-License-Identifier: Apache-2.0
"""Every statement that the client sends; the functions live in the store (billing/store/sql)."""

from __future__ import annotations

__all__ = ["HOT"]

SUBSCRIBER = "SELECT * FROM subscriber($1)"
PARTIES = "SELECT * FROM parties($1, $2)"
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
NODE_BINDINGS = """
SELECT aor, key, contact, received, path::text[], expires_at, q, call_id, cseq, instance, reg_id, user_agent, node,
       socket
  FROM billing_binding
 WHERE node = $1 AND expires_at > now() AND (aor, key) > ($2, $3)
 ORDER BY aor, key LIMIT $4"""
GATEWAYS = """
SELECT id, name, host, port, transport, enabled, inbound, outbound, any_port, username, password,
       number_format, forwarded_caller, identifies, caller_id::text
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

HOT = (SUBSCRIBER, PARTIES, WRITE_BINDINGS, HEARTBEAT)
"""Prepared as soon as a connection opens, with those of calls; the others when first used."""
