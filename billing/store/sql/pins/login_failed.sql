-- The attempt at a PIN was wrong. Returns how late the answer shall be, and what deserves an alarm: every lock, once;
-- an access number that has many wrong ones, once an hour; the whole after `lock_after` times `weight`. That is written
-- down and announced too.
CREATE OR REPLACE FUNCTION login_failed(asked text, guesser text, way text, access text, weight integer,
                                        lock_after integer, slow_after integer, OUT delay integer, OUT alarms text[])
LANGUAGE plpgsql AS $$
DECLARE
    subjects text[] := pin_subjects(asked, guesser, way);
    line billing_voucherguess;
    everything billing_voucherguess;
BEGIN
    SELECT * INTO line FROM billing_voucherguess g
        WHERE g.subject = 'pin access ' || access AND guesser = '' FOR UPDATE;
    INSERT INTO billing_voucherguess AS g (subject, weight, failures) VALUES ('pin all', login_failed.weight, 1)
        ON CONFLICT (subject) DO UPDATE SET
            weight = EXCLUDED.weight,
            failures = CASE WHEN guess_forgotten(g) THEN 1 ELSE g.failures + 1 END,
            since = CASE WHEN guess_forgotten(g) THEN now() ELSE g.since END,
            at = now()
        RETURNING g.* INTO everything;
    PERFORM FROM billing_pinfailure f WHERE f.subject = ANY (subjects) ORDER BY f.subject FOR UPDATE;
    delay := greatest(pin_delay(subjects, lock_after, 0), guess_delay(everything.failures, everything.weight),
                      turn_seconds(coalesce(line.failures, 0), slow_after));
    alarms := ARRAY(
        SELECT pin_name(f.subject) FROM billing_pinfailure f
         WHERE f.subject = ANY (subjects) AND f.subject NOT LIKE 'mailbox card %'
           AND f.failures = 0 AND f.locked_until > now()
           AND NOT EXISTS (SELECT FROM billing_auditlog l
                            WHERE l.action = 'pins.guessing' AND l.subject = pin_name(f.subject) AND l.at >= f.at));
    IF line.failures >= 2 * slow_after AND NOT EXISTS (
        SELECT FROM billing_auditlog l
         WHERE l.action = 'pins.guessing' AND l.subject = line.subject AND l.at >= line.since) THEN
        alarms := alarms || line.subject::text;
    END IF;
    IF everything.failures % (lock_after * everything.weight) = 0 THEN
        alarms := alarms || everything.subject::text;
    END IF;
    INSERT INTO billing_auditlog (actor, via, action, kind, subject, details)
        SELECT 'store', 'store', 'pins.guessing', 'guesser', a,
               coalesce((SELECT jsonb_build_object('failures', g.failures, 'since', g.since)
                           FROM billing_voucherguess g WHERE g.subject = a),
                        (SELECT jsonb_build_object('locks', f.locks, 'locked_until', f.locked_until)
                           FROM billing_pinfailure f WHERE f.subject = ANY (subjects) AND pin_name(f.subject) = a))
          FROM unnest(alarms) AS a;
    PERFORM pg_notify('softswitch', 'guessing:' || a) FROM unnest(alarms) AS a;
END $$;
