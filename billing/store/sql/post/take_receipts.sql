-- Takes up to `most` receipts of recharges that are due, for `lease_seconds` in which nobody else takes them, with all
-- that is needed to write them. `attempts` counts this one.
CREATE OR REPLACE FUNCTION take_receipts(wanted text, at timestamptz, lease_seconds double precision, most integer)
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
           coalesce(nullif(a.language, ''), t.language), a.zone,
           r.amount, r.currency, r.available, a.terms
      FROM taken t
      JOIN billing_redemption r ON r.key = t.key
      JOIN account_with_terms a ON a.id = r.account_id
      LEFT JOIN billing_mailbox m ON m.account_id = a.id
     ORDER BY r.done_at
$$;
