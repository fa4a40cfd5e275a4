-- Counts an attempt before the PIN is looked at and says what to compare with: `hash` is empty where there is no PIN or
-- no mailbox. However many calls try at once, and whichever node they reach, no more than `lock_after` PINs are ever
-- compared between two locks. Each lock in a row is twice as long as the one before it, up to a day. Failures of a
-- mailbox are forgotten after a day without one, those of who tries after an hour.
CREATE OR REPLACE FUNCTION pin_attempt(asked text, guesser text, way text, lock_after integer, lock_seconds integer,
                                       OUT hash text, OUT is_locked boolean)
LANGUAGE plpgsql AS $$
DECLARE
    subjects text[] := pin_subjects(asked, guesser, way);
BEGIN
    INSERT INTO billing_pinfailure (subject) SELECT s FROM unnest(subjects) AS s ORDER BY s
        ON CONFLICT (subject) DO NOTHING;
    PERFORM FROM billing_pinfailure WHERE subject = ANY (subjects) ORDER BY subject FOR UPDATE;
    UPDATE billing_pinfailure SET failures = 0, locks = 0, locked_until = NULL
        WHERE subject = ANY (subjects)
        AND greatest(at, locked_until)
            < now() - CASE WHEN subject LIKE 'mailbox %' THEN interval '1 day' ELSE interval '1 hour' END;
    is_locked := EXISTS (
        SELECT FROM billing_pinfailure f WHERE f.subject = ANY (subjects) AND is_locked(f.at, f.locked_until));
    IF is_locked THEN
        RETURN;
    END IF;
    UPDATE billing_pinfailure AS f
        SET at = now(),
            failures = CASE WHEN f.failures + 1 >= lock_after THEN 0 ELSE f.failures + 1 END,
            locks = f.locks + CASE WHEN f.failures + 1 >= lock_after THEN 1 ELSE 0 END,
            locked_until = CASE WHEN f.failures + 1 >= lock_after THEN
                now() + make_interval(secs => least(86400, lock_seconds * 2.0 ^ least(f.locks, 20))) END
        WHERE f.subject = ANY (subjects);
    SELECT coalesce(m.pin, '') INTO hash FROM billing_mailbox m WHERE m.account_id = mailbox_account(asked);
    hash := coalesce(hash, '');
END $$;
