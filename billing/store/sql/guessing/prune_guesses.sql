-- Forgets guesses that are too old to count; returns how many.
CREATE OR REPLACE FUNCTION prune_guesses(most integer) RETURNS integer LANGUAGE sql AS $$
    WITH gone AS (
        DELETE FROM billing_voucherguess WHERE subject IN (
            SELECT g.subject FROM billing_voucherguess g WHERE greatest(g.at, g.locked_until) < now() - interval '1 day'
            LIMIT most FOR UPDATE SKIP LOCKED)
        RETURNING 1)
    SELECT count(*)::integer FROM gone
$$;
