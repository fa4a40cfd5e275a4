-- Forgets wrong PINs that are too old to count; returns how many.
CREATE OR REPLACE FUNCTION prune_pin_failures(most integer) RETURNS integer LANGUAGE sql AS $$
    WITH gone AS (
        DELETE FROM billing_pinfailure WHERE subject IN (
            SELECT subject FROM billing_pinfailure WHERE greatest(at, locked_until) < now() - interval '1 day'
            LIMIT most FOR UPDATE SKIP LOCKED)
        RETURNING 1)
    SELECT count(*)::integer FROM gone
$$;
