-- Wrong PINs are counted before a PIN is looked at, and taken back when it was right: however many calls try at once,
-- and whichever node they reach, no more than `lock_after` PINs are ever compared between two locks.

ALTER TABLE billing_pinfailure SET (fillfactor = 60);

-- Counts an attempt, for the mailbox and for where it comes from, and says what to compare with: `hash` is empty where
-- there is no PIN or no mailbox. Each lock in a row is twice as long as the one before it, up to a day. A mailbox's
-- failures are forgotten after a day without one, those of a source after an hour (many people may call from one number).
CREATE FUNCTION pin_attempt(asked text, source text, lock_after integer, lock_seconds integer,
                            OUT hash text, OUT is_locked boolean)
LANGUAGE plpgsql AS $$
DECLARE
    subjects text[] := pin_subjects(asked, source);
BEGIN
    INSERT INTO billing_pinfailure (subject) SELECT s FROM unnest(subjects) AS s ORDER BY s
        ON CONFLICT (subject) DO NOTHING;
    PERFORM FROM billing_pinfailure WHERE subject = ANY (subjects) ORDER BY subject FOR UPDATE;
    UPDATE billing_pinfailure SET failures = 0, locks = 0, locked_until = NULL
        WHERE subject = ANY (subjects)
        AND greatest(at, locked_until)
            < now() - CASE WHEN subject LIKE 'mailbox %' THEN interval '1 day' ELSE interval '1 hour' END;
    is_locked := EXISTS (SELECT FROM billing_pinfailure WHERE subject = ANY (subjects) AND locked_until > now());
    IF is_locked THEN
        RETURN;
    END IF;
    UPDATE billing_pinfailure AS f
        SET at = now(),
            failures = CASE WHEN f.failures + 1 >= most THEN 0 ELSE f.failures + 1 END,
            locks = f.locks + CASE WHEN f.failures + 1 >= most THEN 1 ELSE 0 END,
            locked_until = CASE WHEN f.failures + 1 >= most THEN
                now() + make_interval(secs => least(86400, lock_seconds * 2.0 ^ least(f.locks, 20))) END
        FROM (SELECT s, pin_attempts_of(s, lock_after) FROM unnest(subjects) AS s) AS limits (s, most)
        WHERE f.subject = limits.s;
    SELECT coalesce(m.pin, '') INTO hash FROM billing_mailbox m WHERE m.account_id = mailbox_account(asked);
    hash := coalesce(hash, '');
END $$;

-- The attempt was right: the mailbox starts anew. Its source has only this attempt taken back, or whoever owns a mailbox
-- could go on trying the others' for ever.
CREATE FUNCTION pin_right(asked text, source text, lock_after integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    subjects text[] := pin_subjects(asked, source);
BEGIN
    PERFORM FROM billing_pinfailure WHERE subject = ANY (subjects) ORDER BY subject FOR UPDATE;
    DELETE FROM billing_pinfailure WHERE subject = subjects[1];
    UPDATE billing_pinfailure
        SET failures = CASE WHEN failures > 0 THEN failures - 1 ELSE pin_attempts_of(subject, lock_after) - 1 END,
            locks = CASE WHEN failures > 0 THEN locks ELSE greatest(0, locks - 1) END,
            locked_until = NULL
        WHERE subject = subjects[2];
END $$;

-- What an attempt counts for: the mailbox (by the account's number, whichever alias was used; by what was asked where
-- there is none), and the calling number.
CREATE FUNCTION pin_subjects(asked text, source text) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT ARRAY['mailbox ' || coalesce((SELECT a.number FROM billing_account a WHERE a.id = mailbox_account(asked)),
                                        asked),
                 'source ' || CASE WHEN source IN ('', 'anonymous') THEN '' ELSE source END]
$$;

-- All who withhold their number share one count, which must not be easy to fill: it locks ten times later.
CREATE FUNCTION pin_attempts_of(subject text, lock_after integer) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN subject = 'source ' THEN 10 * lock_after ELSE lock_after END
$$;

CREATE FUNCTION set_pin(asked text, hashed text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    account bigint := mailbox_account(asked);
BEGIN
    IF account IS NULL THEN
        RETURN false;
    END IF;
    INSERT INTO billing_mailbox (account_id, pin) VALUES (account, hashed)
        ON CONFLICT (account_id) DO UPDATE SET pin = EXCLUDED.pin;
    RETURN true;
END $$;

-- Forgets what is too old to count; returns how many.
CREATE FUNCTION prune_pin_failures(most integer) RETURNS integer LANGUAGE sql AS $$
    WITH gone AS (
        DELETE FROM billing_pinfailure WHERE subject IN (
            SELECT subject FROM billing_pinfailure WHERE greatest(at, locked_until) < now() - interval '1 day'
            LIMIT most FOR UPDATE SKIP LOCKED)
        RETURNING 1)
    SELECT count(*)::integer FROM gone
$$;
