-- The code of a voucher was wrong. What many share is counted now: the access number and the whole make answers late,
-- beginnings of codes raise the alarm only. Returns how late the answer shall be, and what deserves an alarm: every
-- lock, once, and what many share after `lock_after` times its weight. That is written down and announced too. A right
-- code lowers nothing: or whoever has one voucher of its own could go on guessing for ever.
CREATE OR REPLACE FUNCTION voucher_failed(guesser text, slot text, shared text[], weights integer[], lock_after integer,
                                          OUT delay integer, OUT alarms text[])
LANGUAGE plpgsql AS $$
DECLARE
    own billing_voucherguess;
BEGIN
    WITH counted AS (
        INSERT INTO billing_voucherguess AS g (subject, weight, failures)
            SELECT s, w, 1 FROM unnest(shared, weights) AS u (s, w) ORDER BY s
            ON CONFLICT (subject) DO UPDATE SET
                weight = EXCLUDED.weight,
                failures = CASE WHEN guess_forgotten(g) THEN 1 ELSE g.failures + 1 END,
                since = CASE WHEN guess_forgotten(g) THEN now() ELSE g.since END,
                at = now(),
                locked_until = NULL
            RETURNING g.subject, g.weight, g.failures)
    SELECT coalesce(max(guess_delay(c.failures, c.weight)) FILTER (WHERE c.subject NOT LIKE 'prefix %'), 0),
           coalesce(array_agg(c.subject) FILTER (
               WHERE c.failures % (lock_after * c.weight) = 0
                  OR c.subject LIKE 'prefix %' AND c.failures = lock_after), '{}')
      INTO delay, alarms FROM counted c;
    UPDATE billing_voucherguess g SET slots = array_remove(g.slots, slot)
        WHERE g.subject = guesser RETURNING * INTO own;
    delay := greatest(delay, guess_delay(own.failures, 1));
    IF own.locked_until > now() AND cardinality(own.slots) = 0 AND NOT EXISTS (
        SELECT FROM billing_auditlog l
         WHERE l.action = 'vouchers.guessing' AND l.subject = guesser AND l.at >= own.at) THEN
        alarms := alarms || guesser;
    END IF;
    INSERT INTO billing_auditlog (actor, via, action, kind, subject, details)
        SELECT 'store', 'store', 'vouchers.guessing', 'guesser', g.subject,
               jsonb_build_object('failures', g.failures, 'since', g.since, 'locked_until', g.locked_until)
          FROM billing_voucherguess g WHERE g.subject = ANY (alarms);
    PERFORM pg_notify('softswitch', 'guessing:' || a) FROM unnest(alarms) AS a;
END $$;
