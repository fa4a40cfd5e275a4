-- How late an answer is after the wrong PINs of these, `taken` of which are not known to be wrong yet.
CREATE OR REPLACE FUNCTION pin_delay(subjects text[], lock_after integer, taken integer) RETURNS integer
LANGUAGE sql STABLE AS $$
    SELECT coalesce(max(guess_delay(f.failures + f.locks * lock_after - taken, 1)), 0)
      FROM billing_pinfailure f WHERE f.subject = ANY (subjects)
$$;
