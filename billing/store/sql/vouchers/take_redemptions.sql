-- Takes redemptions that are due, for a lease; each further attempt waits twice as long, up to an hour.
CREATE OR REPLACE FUNCTION take_redemptions(most integer)
RETURNS TABLE (key text, account_id bigint, store text, amount numeric, key_id integer, sealed bytea)
LANGUAGE sql AS $$
    UPDATE billing_redemption r
       SET attempts = r.attempts + 1,
           due_at = now() + make_interval(secs => least(3600, 30 * 2.0 ^ least(r.attempts, 10)))
     WHERE r.key IN (SELECT d.key FROM billing_redemption d WHERE d.state = 'pending' AND d.due_at <= now()
                      ORDER BY d.due_at LIMIT most FOR UPDATE SKIP LOCKED)
    RETURNING r.key, r.account_id, r.store, r.amount, r.key_id, r.sealed
$$;
