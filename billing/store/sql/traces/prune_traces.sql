-- Removes up to `most` of the records that are older than `before`; returns how many.
CREATE OR REPLACE FUNCTION prune_traces(before timestamptz, most integer) RETURNS integer LANGUAGE sql AS $$
    WITH gone AS (
        DELETE FROM billing_calltrace WHERE call_id IN (
            SELECT call_id FROM billing_calltrace WHERE started_at < before ORDER BY started_at LIMIT most
            FOR UPDATE SKIP LOCKED)
        RETURNING 1)
    SELECT count(*)::integer FROM gone
$$;
