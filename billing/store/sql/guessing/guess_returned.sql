-- The guess was right, or never looked at: its slot is free, and a lock that it filled the last slot of is lifted.
CREATE OR REPLACE FUNCTION guess_returned(guesser text, slot text, lock_after integer) RETURNS void LANGUAGE sql AS $$
    UPDATE billing_voucherguess SET
        failures = greatest(0, failures - 1),
        slots = array_remove(slots, slot),
        locked_until = CASE WHEN failures % lock_after <> 0 THEN locked_until END
     WHERE subject = guesser AND slot = ANY (slots)
$$;
