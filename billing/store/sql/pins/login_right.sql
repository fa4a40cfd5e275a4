-- The attempt at a PIN was right: who was asked for starts anew. Who tried has only this attempt taken back, or whoever
-- owns a mailbox could go on trying the others' for ever.
CREATE OR REPLACE FUNCTION login_right(asked text, guesser text, way text, access text, lock_after integer) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    subjects text[] := pin_subjects(asked, guesser, way);
BEGIN
    IF guesser = '' THEN
        PERFORM turn_returned('pin access ' || access);
    END IF;
    PERFORM FROM billing_pinfailure WHERE subject = ANY (subjects) ORDER BY subject FOR UPDATE;
    DELETE FROM billing_pinfailure WHERE subject = subjects[1];
    UPDATE billing_pinfailure
        SET failures = CASE WHEN failures > 0 THEN failures - 1 ELSE lock_after - 1 END,
            locks = CASE WHEN failures > 0 THEN locks ELSE greatest(0, locks - 1) END,
            locked_until = NULL
        WHERE subject = subjects[2];
END $$;
