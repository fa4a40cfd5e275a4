-- Removes up to `most` messages that were deleted before then, and returns how many; one that is still to be e-mailed
-- waits.
CREATE OR REPLACE FUNCTION purge_messages(before timestamptz, most integer) RETURNS integer LANGUAGE sql AS $$
    WITH gone AS (
        DELETE FROM billing_voicemessage WHERE id IN (
            SELECT id FROM billing_voicemessage v
                WHERE deleted_at < before AND NOT EXISTS (SELECT FROM billing_voiceemail e WHERE e.message_id = v.id)
                ORDER BY deleted_at LIMIT most FOR UPDATE SKIP LOCKED)
        RETURNING 1)
    SELECT count(*)::integer FROM gone
$$;
