-- Counts an attempt at a PIN before it is looked at. `guesser`: who tries, where that is certain ("phone 101", a phone
-- of ours; "number 42073723123", a number that a gateway vouches for); all others stand in the line of the access
-- number. `is_locked`: the PIN is not looked at.
CREATE OR REPLACE FUNCTION login_attempt(asked text, guesser text, way text, access text, lock_after integer,
                                         lock_seconds integer, slow_after integer, OUT hash text,
                                         OUT is_locked boolean, OUT delay integer)
LANGUAGE plpgsql AS $$
DECLARE
    line text := 'pin access ' || access;
    turn integer := 0;
BEGIN
    IF guesser = '' THEN
        turn := turn_taken(line, slow_after);
        IF turn IS NULL THEN
            hash := '';
            is_locked := true;
            delay := 30;
            RETURN;
        END IF;
    END IF;
    SELECT a.hash, a.is_locked INTO hash, is_locked FROM pin_attempt(asked, guesser, way, lock_after, lock_seconds) a;
    IF is_locked AND guesser = '' THEN
        PERFORM turn_returned(line);
    END IF;
    SELECT greatest(turn, pin_delay(pin_subjects(asked, guesser, way), lock_after,
                                    CASE WHEN is_locked THEN 0 ELSE 1 END),
                    max(guess_delay(g.failures, g.weight)))
      INTO delay FROM billing_voucherguess g WHERE g.subject = 'pin all' AND NOT guess_forgotten(g);
END $$;
