-- Takes a slot of a guesser before the guess is looked at: however many calls try at once, on whichever node, no more
-- guesses are looked at than may be wrong. Returns "taken" (a guess that is asked again keeps its own), "locked", or
-- "busy": all slots are taken by guesses of which nobody knows yet whether they are wrong. The guess that fills the
-- last slot locks the others out. What is locked is the guesser, never somebody whose number anybody could show.
CREATE OR REPLACE FUNCTION guess_taken(guesser text, slot text, lock_after integer, lock_seconds integer) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    known billing_voucherguess;
BEGIN
    INSERT INTO billing_voucherguess (subject, weight) VALUES (guesser, 1) ON CONFLICT (subject) DO NOTHING;
    SELECT * INTO known FROM billing_voucherguess g WHERE g.subject = guesser FOR UPDATE;
    IF guess_forgotten(known) THEN
        known.failures := 0;
        known.since := now();
        known.slots := '{}';
        known.locked_until := NULL;
    END IF;
    IF slot = ANY (known.slots) THEN
        RETURN 'taken';
    END IF;
    IF is_locked(known.at, known.locked_until) THEN
        RETURN CASE WHEN cardinality(known.slots) > 0 AND known.at > now() - interval '10 seconds'
                    THEN 'busy' ELSE 'locked' END;
    END IF;
    UPDATE billing_voucherguess g
       SET failures = known.failures + 1, since = known.since, at = now(),
           slots = CASE WHEN known.locked_until IS NULL THEN known.slots ELSE '{}' END || slot,
           locked_until = CASE WHEN (known.failures + 1) % lock_after = 0
                               THEN now() + guess_lock(known.failures + 1, lock_after, lock_seconds) END
     WHERE g.subject = guesser;
    RETURN 'taken';
END $$;
