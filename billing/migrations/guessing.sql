-- Wrong codes are counted by where they come from and what they aim at, across calls and nodes. A right one lowers
-- nothing: or whoever has one voucher of its own could go on guessing for ever.

ALTER TABLE billing_voucherguess SET (fillfactor = 60);

-- Seconds that the answer to the next attempt is late: 1, 2, 4, ... 30.
CREATE FUNCTION guess_delay(failures integer, weight integer) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN failures < weight THEN 0 ELSE least(30, 2 ^ least(5, failures / weight - 1))::integer END
$$;

-- Of an account after a day without one, of a calling number after an hour; what many share, an hour after the first.
CREATE FUNCTION guess_forgotten(g billing_voucherguess) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT CASE split_part(g.subject, ' ', 1)
        WHEN 'account' THEN greatest(g.at, g.locked_until) < now() - interval '1 day'
        WHEN 'ani' THEN greatest(g.at, g.locked_until) < now() - interval '1 hour'
        ELSE greatest(g.since, g.locked_until) < now() - interval '1 hour' END
$$;

-- Counts a wrong code for all of these, in one upsert. Calling numbers, accounts and prefixes are locked after
-- `lock_after` times their weight, each time twice as long, up to a day; access numbers and the whole only slow down.
-- Returns how late the answer shall be, and what deserves an alarm; that is written down and announced too.
CREATE FUNCTION voucher_failed(subjects text[], weights integer[], lock_after integer, lock_seconds integer,
                               OUT delay integer, OUT alarms text[])
LANGUAGE plpgsql AS $$
BEGIN
    WITH counted AS (
        INSERT INTO billing_voucherguess AS g (subject, weight, failures)
            SELECT s, w, 1 FROM unnest(subjects, weights) AS u (s, w) ORDER BY s
            ON CONFLICT (subject) DO UPDATE SET
                weight = EXCLUDED.weight,
                failures = CASE WHEN guess_forgotten(g) THEN 1 ELSE g.failures + 1 END,
                since = CASE WHEN guess_forgotten(g) THEN now() ELSE g.since END,
                at = now(),
                locked_until = CASE
                    WHEN split_part(g.subject, ' ', 1) NOT IN ('ani', 'account', 'prefix') THEN NULL
                    WHEN guess_forgotten(g) OR (g.failures + 1) % (lock_after * EXCLUDED.weight) <> 0
                        THEN CASE WHEN g.locked_until > now() THEN g.locked_until END
                    ELSE now() + make_interval(secs => least(86400, lock_seconds
                        * 2.0 ^ least(20, (g.failures + 1) / (lock_after * EXCLUDED.weight) - 1))) END
            RETURNING g.subject, g.weight, g.failures)
    SELECT coalesce(max(guess_delay(c.failures, c.weight)), 0),
           coalesce(array_agg(c.subject) FILTER (
               WHERE c.failures % (lock_after * c.weight) = 0
                  OR c.subject LIKE 'prefix %' AND c.failures = lock_after), '{}')
      INTO delay, alarms FROM counted c;
    IF cardinality(alarms) > 0 THEN
        INSERT INTO billing_auditlog (actor, action, subject, details)
            SELECT 'store', 'vouchers.guessing', g.subject,
                   jsonb_build_object('failures', g.failures, 'since', g.since, 'locked_until', g.locked_until)
              FROM billing_voucherguess g WHERE g.subject = ANY (alarms);
        PERFORM pg_notify('softswitch', 'guessing:' || a) FROM unnest(alarms) AS a;
    END IF;
END $$;

-- Forgets what is too old to count; returns how many.
CREATE FUNCTION prune_guesses(most integer) RETURNS integer LANGUAGE sql AS $$
    WITH gone AS (
        DELETE FROM billing_voucherguess WHERE subject IN (
            SELECT g.subject FROM billing_voucherguess g WHERE greatest(g.at, g.locked_until) < now() - interval '1 day'
            LIMIT most FOR UPDATE SKIP LOCKED)
        RETURNING 1)
    SELECT count(*)::integer FROM gone
$$;
