-- Forgets receipts that were sent long ago, that nobody sent for long, and those of redemptions that came to nothing;
-- returns how many.
CREATE OR REPLACE FUNCTION prune_receipts(most integer) RETURNS integer LANGUAGE sql AS $$
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
