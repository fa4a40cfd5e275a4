-- Forgets e-mails that nobody has sent for long, as where no server is configured; returns how many.
CREATE OR REPLACE FUNCTION prune_emails(most integer) RETURNS integer LANGUAGE sql AS $$
    WITH gone AS (
        DELETE FROM billing_voiceemail WHERE message_id IN (
            SELECT message_id FROM billing_voiceemail
                WHERE due_at < now() - interval '1 hour' AND queued_at < now() - interval '25 hours'
                ORDER BY due_at LIMIT most FOR UPDATE SKIP LOCKED)
        RETURNING 1)
    SELECT count(*)::integer FROM gone
$$;
