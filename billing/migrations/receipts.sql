-- Receipts of recharges by voucher. That one is wanted is written in the transaction that redeems, or opens the redemption
-- at a store outside; what it says comes from the redemption, once that is done. A row that was sent stays for a while, so
-- that a redemption that is asked for again with its key is not told of twice.

CREATE FUNCTION want_receipts(redemption_key text, channels text[], spoken text, calling text) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO billing_receipt (key, channel, language, caller, due_at)
        SELECT redemption_key, c, spoken, calling, now() FROM unnest(channels) AS c
        ON CONFLICT (key, channel) DO NOTHING
$$;

-- Takes up to `most` receipts that are due, for `lease_seconds` in which nobody else takes them.
CREATE FUNCTION take_receipts(wanted text, at timestamptz, lease_seconds double precision, most integer)
RETURNS TABLE (key text, attempts integer, done_at timestamptz, recipients text[], caller text, number text,
               language text, timezone text, amount numeric, currency text, available numeric, life text)
LANGUAGE sql AS $$
    WITH due AS (
        SELECT e.key FROM billing_receipt e JOIN billing_redemption r ON r.key = e.key
         WHERE e.channel = wanted AND e.sent_at IS NULL AND e.due_at <= at AND r.state = 'done'
         ORDER BY e.due_at LIMIT most FOR UPDATE OF e SKIP LOCKED),
    taken AS (
        UPDATE billing_receipt e SET attempts = e.attempts + 1, due_at = at + make_interval(secs => lease_seconds)
          FROM due WHERE e.key = due.key AND e.channel = wanted
        RETURNING e.*)
    SELECT t.key, t.attempts, r.done_at,
           coalesce(t.recipients, CASE WHEN wanted = 'email' THEN m.email END, '{}')::text[], t.caller, a.number,
           coalesce(nullif(a.language, ''), t.language), coalesce(nullif(a.timezone, ''), c.timezone),
           r.amount, r.currency, r.available, account_life(a.id)
      FROM taken t
      JOIN billing_redemption r ON r.key = t.key
      JOIN billing_account a ON a.id = r.account_id
      JOIN billing_customer c ON c.id = a.customer_id
      LEFT JOIN billing_mailbox m ON m.account_id = a.id
     ORDER BY r.done_at
$$;

-- A receipt was sent, or is given up.
CREATE FUNCTION receipt_done(redemption_key text, wanted text) RETURNS void LANGUAGE sql AS $$
    UPDATE billing_receipt SET sent_at = now() WHERE key = redemption_key AND channel = wanted
$$;

-- A receipt is to be tried again for those recipients that are left, unless somebody else has taken it meanwhile.
CREATE FUNCTION receipt_again(redemption_key text, wanted text, attempt integer, remaining text[], at timestamptz)
RETURNS void LANGUAGE sql AS $$
    UPDATE billing_receipt SET recipients = remaining, due_at = at
     WHERE key = redemption_key AND channel = wanted AND attempts = attempt
$$;

-- Forgets those that were sent long ago, that nobody sent for long, and those of redemptions that came to nothing.
CREATE FUNCTION prune_receipts(most integer) RETURNS integer LANGUAGE sql AS $$
    WITH gone AS (
        DELETE FROM billing_receipt WHERE (key, channel) IN (
            SELECT e.key, e.channel FROM billing_receipt e LEFT JOIN billing_redemption r ON r.key = e.key
             WHERE e.sent_at < now() - interval '7 days'
                OR (e.sent_at IS NULL AND e.due_at < now() - interval '1 hour'
                    AND e.queued_at < now() - interval '25 hours'
                    AND (r.state IS NULL OR r.state = 'refused'
                         OR (r.state = 'done' AND r.done_at < now() - interval '25 hours')))
             LIMIT most FOR UPDATE OF e SKIP LOCKED)
        RETURNING 1)
    SELECT count(*)::integer FROM gone
$$;
