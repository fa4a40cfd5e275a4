-- The clock was set: these calls began, and were answered (null: as it was), at other times than was written.
CREATE OR REPLACE FUNCTION calls_moved(calls text[], starts timestamptz[], answers timestamptz[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lock_in_order(calls, NULL, NULL, NULL);
    UPDATE billing_activecall c SET started_at = m.started_at, answered_at = coalesce(m.answered_at, c.answered_at)
        FROM unnest(calls, starts, answers) AS m (call_id, started_at, answered_at) WHERE c.call_id = m.call_id;
END $$;
