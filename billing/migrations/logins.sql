-- PINs at the telephone are counted like codes of vouchers: each wrong one makes the next answers later, and whoever goes
-- on is told of. Calling numbers and accounts are locked by `pin_attempt`; access numbers and the whole only slow down.

-- How many seconds late an answer is. What every caller of an access number shares makes answers two seconds late at
-- most: on a busy number honest mistakes alone fill such a count, and whoever fills it on purpose shall keep nobody else
-- waiting for long.
CREATE OR REPLACE FUNCTION guess_delay(failures integer, weight integer) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN failures < weight THEN 0
                ELSE least(CASE WHEN weight >= 50 THEN 2 ELSE 30 END, 2 ^ least(5, failures / weight - 1))::integer END
$$;

-- A subject of `billing_pinfailure` as people read it: "pin account 101", "pin ani 42073723123".
CREATE FUNCTION pin_name(subject text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT regexp_replace(regexp_replace(subject, '^mailbox ', 'pin account '), '^source ', 'pin ani ')
$$;

-- How late an answer is after the wrong PINs of these, `taken` of which are not known to be wrong yet.
CREATE FUNCTION pin_delay(subjects text[], lock_after integer, taken integer) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT coalesce(max(guess_delay(f.failures + f.locks * m.most - taken, m.most / lock_after)), 0)
      FROM billing_pinfailure f, LATERAL (SELECT pin_attempts_of(f.subject, lock_after) AS most) m
     WHERE f.subject = ANY (subjects)
$$;

-- `pin_attempt`, and how late the answer shall be. `shared`: what is counted beside the account and the calling number.
CREATE FUNCTION login_attempt(asked text, source text, shared text[], lock_after integer, lock_seconds integer,
                              OUT hash text, OUT is_locked boolean, OUT delay integer)
LANGUAGE plpgsql AS $$
BEGIN
    SELECT a.hash, a.is_locked INTO hash, is_locked FROM pin_attempt(asked, source, lock_after, lock_seconds) a;
    SELECT greatest(pin_delay(pin_subjects(asked, source), lock_after, CASE WHEN is_locked THEN 0 ELSE 1 END),
                    max(guess_delay(g.failures, g.weight)))
      INTO delay FROM billing_voucherguess g WHERE g.subject = ANY (shared) AND NOT guess_forgotten(g);
END $$;

-- The attempt was wrong. Returns how late the answer shall be, and what deserves an alarm: every lock, once, and what
-- many share after `lock_after` times its weight. That is written down and announced too.
CREATE FUNCTION login_failed(asked text, source text, shared text[], weights integer[], lock_after integer,
                             OUT delay integer, OUT alarms text[])
LANGUAGE plpgsql AS $$
DECLARE
    subjects text[] := pin_subjects(asked, source);
    own_delay integer := pin_delay(subjects, lock_after, 0);
BEGIN
    WITH counted AS (
        INSERT INTO billing_voucherguess AS g (subject, weight, failures)
            SELECT s, w, 1 FROM unnest(shared, weights) AS u (s, w) ORDER BY s
            ON CONFLICT (subject) DO UPDATE SET
                weight = EXCLUDED.weight,
                failures = CASE WHEN guess_forgotten(g) THEN 1 ELSE g.failures + 1 END,
                since = CASE WHEN guess_forgotten(g) THEN now() ELSE g.since END,
                at = now()
            RETURNING g.subject, g.weight, g.failures)
    SELECT greatest(own_delay, max(guess_delay(c.failures, c.weight))),
           coalesce(array_agg(c.subject) FILTER (WHERE c.failures % (lock_after * c.weight) = 0), '{}')
      INTO delay, alarms FROM counted c;
    PERFORM FROM billing_pinfailure f WHERE f.subject = ANY (subjects) ORDER BY f.subject FOR UPDATE;
    alarms := alarms || ARRAY(
        SELECT pin_name(f.subject) FROM billing_pinfailure f
         WHERE f.subject = ANY (subjects) AND f.subject NOT LIKE 'mailbox card %'
           AND f.failures = 0 AND f.locked_until > now()
           AND NOT EXISTS (SELECT FROM billing_auditlog l
                            WHERE l.action = 'pins.guessing' AND l.subject = pin_name(f.subject) AND l.at >= f.at));
    INSERT INTO billing_auditlog (actor, action, subject, details)
        SELECT 'store', 'pins.guessing', a,
               coalesce((SELECT jsonb_build_object('failures', g.failures, 'since', g.since)
                           FROM billing_voucherguess g WHERE g.subject = a),
                        (SELECT jsonb_build_object('locks', f.locks, 'locked_until', f.locked_until)
                           FROM billing_pinfailure f WHERE f.subject = ANY (subjects) AND pin_name(f.subject) = a))
          FROM unnest(alarms) AS a;
    PERFORM pg_notify('softswitch', 'guessing:' || a) FROM unnest(alarms) AS a;
END $$;
