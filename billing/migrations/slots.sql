-- A guess takes a slot before it is looked at, and a right one gives its own slot back (nobody else's): however many
-- calls try at once, on whichever node, no more guesses are looked at than may be wrong. What is locked is the guesser,
-- never somebody whose number anybody could show: an account that is logged in, a phone of ours, a number that a gateway
-- vouches for; and of a mailbox or card only the way that the wrong PINs came by.

-- Vouchers ------------------------------------------------------------------------------------------------------------

DROP FUNCTION voucher_lookup(text, text[], text, text[], integer[]);
DROP FUNCTION voucher_failed(text[], integer[], integer, integer);

-- So long the lock lasts that so many guesses in a row lead to: each is twice as long as the one before, up to a day.
CREATE FUNCTION guess_lock(failures integer, lock_after integer, lock_seconds integer) RETURNS interval
LANGUAGE sql IMMUTABLE AS $$
    SELECT make_interval(secs => least(86400, lock_seconds * 2.0 ^ least(20, failures / lock_after - 1)))
$$;

-- Takes a slot of a guesser: "taken" (a guess that is asked again keeps its own), "locked", or "busy": all slots are taken
-- by guesses of which nobody knows yet whether they are wrong. The guess that fills the last slot locks the others out.
CREATE FUNCTION guess_taken(guesser text, slot text, lock_after integer, lock_seconds integer) RETURNS text
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
    IF known.locked_until > now() THEN
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

-- The guess was right, or never looked at: its slot is free, and a lock that it filled the last slot of is lifted.
CREATE FUNCTION guess_returned(guesser text, slot text, lock_after integer) RETURNS void LANGUAGE sql AS $$
    UPDATE billing_voucherguess SET
        failures = greatest(0, failures - 1),
        slots = array_remove(slots, slot),
        locked_until = CASE WHEN failures % lock_after <> 0 THEN locked_until END
     WHERE subject = guesser AND slot = ANY (slots)
$$;

-- All that a redemption asks before it knows whether the code is right, in one round trip: the account, the vouchers
-- whose id begins the code (`ids`; one row each, or one without), an earlier answer under the same key, and a slot for
-- this guess (`slot` names it), which an earlier answer, or an account that takes no vouchers, does not need. `by`: how the
-- account is known, where that is to be counted apart. Who gets no slot is told no voucher.
CREATE FUNCTION voucher_attempt(asked text, ids text[], redemption_key text, by text, slot text, shared text[],
                                lock_after integer, lock_seconds integer)
RETURNS TABLE (account_id bigint, number text, account_refusal text, currency text, same_currency boolean,
               turn text, delay integer, guesser text,
               earlier_state text, earlier_voucher text, earlier_digest bytea, earlier_account bigint,
               id text, key_id integer, sealed bytea)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    payee record;
    earlier billing_redemption;
    counted text;
    late integer := 0;
    outcome text := 'taken';
BEGIN
    SELECT a.id, a.number, b.currency, b.currency = own.currency AS same_currency,
           CASE WHEN a.kind NOT IN ('debit', 'credit') THEN 'kind'
                WHEN a.state = 'closed' OR c.state = 'closed' THEN 'account' END AS refusal
      INTO payee
      FROM billing_alias n
      JOIN billing_account a ON a.id = n.account_id
      JOIN billing_balance b ON b.id = a.balance_id
      JOIN billing_customer c ON c.id = a.customer_id
      JOIN billing_balance own ON own.id = c.balance_id
     WHERE n.name = asked;
    SELECT * INTO earlier FROM billing_redemption r WHERE r.key = redemption_key;
    IF payee.id IS NOT NULL AND payee.refusal IS NULL AND earlier.key IS NULL THEN
        counted := 'account ' || payee.number || by;
        SELECT coalesce(max(guess_delay(g.failures, g.weight)), 0) INTO late
          FROM billing_voucherguess g
         WHERE g.subject = ANY (shared || counted) AND g.subject NOT LIKE 'prefix %' AND NOT guess_forgotten(g);
        outcome := guess_taken(counted, slot, lock_after, lock_seconds);
    END IF;
    RETURN QUERY
        SELECT payee.id, payee.number::text, coalesce(payee.refusal, CASE WHEN payee.id IS NULL THEN 'account' END),
               payee.currency::text, payee.same_currency, outcome, late, counted,
               earlier.state::text, earlier.voucher::text, earlier.digest, earlier.account_id,
               v.id::text, v.key_id, v.sealed
          FROM (SELECT 1) AS one
          LEFT JOIN billing_voucher v ON outcome = 'taken' AND v.id = ANY (ids);
END $$;

-- The code was wrong. What many share is counted now: the access number and the whole make answers late, beginnings of
-- codes raise the alarm only. Returns how late the answer shall be, and what deserves an alarm: every lock, once, and what
-- many share after `lock_after` times its weight. That is written down and announced too.
CREATE FUNCTION voucher_failed(guesser text, slot text, shared text[], weights integer[], lock_after integer,
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
    UPDATE billing_voucherguess g SET slots = array_remove(g.slots, slot) WHERE g.subject = guesser RETURNING * INTO own;
    delay := greatest(delay, guess_delay(own.failures, 1));
    IF own.locked_until > now() AND cardinality(own.slots) = 0 AND NOT EXISTS (
        SELECT FROM billing_auditlog l
         WHERE l.action = 'vouchers.guessing' AND l.subject = guesser AND l.at >= own.at) THEN
        alarms := alarms || guesser;
    END IF;
    INSERT INTO billing_auditlog (actor, action, subject, details)
        SELECT 'store', 'vouchers.guessing', g.subject,
               jsonb_build_object('failures', g.failures, 'since', g.since, 'locked_until', g.locked_until)
          FROM billing_voucherguess g WHERE g.subject = ANY (alarms);
    PERFORM pg_notify('softswitch', 'guessing:' || a) FROM unnest(alarms) AS a;
END $$;

-- PINs ----------------------------------------------------------------------------------------------------------------

DROP FUNCTION login_attempt(text, text, text[], integer, integer);
DROP FUNCTION login_failed(text, text, text[], integer[], integer);
DROP FUNCTION pin_attempt(text, text, integer, integer);
DROP FUNCTION pin_right(text, text, integer);
DROP FUNCTION pin_subjects(text, text);
DELETE FROM billing_pinfailure;
DELETE FROM billing_voucherguess;

-- All subjects have as many attempts.
CREATE OR REPLACE FUNCTION pin_attempts_of(subject text, lock_after integer) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT lock_after
$$;

-- A subject of `billing_pinfailure` as people read it: "pin account 101 by carrier *98", "pin phone 101", "pin ani 420".
CREATE OR REPLACE FUNCTION pin_name(subject text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT regexp_replace(regexp_replace(regexp_replace(subject, '^mailbox ', 'pin account '),
                                         '^source number ', 'pin ani '), '^source ', 'pin ')
$$;

-- What an attempt counts for: who is asked for, by the way that the attempt came (by the account's number, whichever
-- alias was used; by what was asked where there is none), and who tries, if that is certain. The account's own phone and
-- number are counted apart, so that nobody else locks them out.
CREATE FUNCTION pin_subjects(asked text, guesser text, way text) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT array_remove(ARRAY[
        left('mailbox ' || coalesce((SELECT a.number FROM billing_account a WHERE a.id = mailbox_account(asked)), asked)
             || CASE WHEN n.account_id = mailbox_account(asked) THEN '' ELSE ' by ' || way END, 128),
        CASE WHEN guesser <> '' THEN 'source ' || guesser END], NULL)
      FROM (SELECT 1) AS one
      LEFT JOIN billing_alias n
          ON n.name = CASE split_part(guesser, ' ', 1) WHEN 'phone' THEN substr(guesser, 7)
                                                       WHEN 'number' THEN substr(guesser, 8) || '@pstn' END
$$;

-- Counts an attempt and says what to compare with: `hash` is empty where there is no PIN or no mailbox. Each lock in a
-- row is twice as long as the one before it, up to a day. Failures of a mailbox are forgotten after a day without one,
-- those of who tries after an hour.
CREATE FUNCTION pin_attempt(asked text, guesser text, way text, lock_after integer, lock_seconds integer,
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
    is_locked := EXISTS (SELECT FROM billing_pinfailure WHERE subject = ANY (subjects) AND locked_until > now());
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

-- Seconds between two PINs that an access number takes from callers whom nobody vouches for: the more of them were wrong
-- in this hour, the longer.
CREATE FUNCTION turn_seconds(failures integer, slow_after integer) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN failures < slow_after THEN 0 ELSE least(15, 2 ^ least(4, failures / slow_after - 1))::integer END
$$;

-- Takes a turn in the line of an access number; null: the line is longer than half a minute. Else seconds until the turn.
CREATE FUNCTION turn_taken(line text, slow_after integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    found_line billing_voucherguess;
    turn timestamptz;
BEGIN
    INSERT INTO billing_voucherguess (subject, weight) VALUES (line, 1) ON CONFLICT (subject) DO NOTHING;
    UPDATE billing_voucherguess g SET failures = 0, since = now(), next_at = NULL
        WHERE g.subject = line AND guess_forgotten(g);
    SELECT * INTO found_line FROM billing_voucherguess g WHERE g.subject = line FOR UPDATE;
    turn := greatest(found_line.next_at, now());
    IF turn > now() + interval '30 seconds' THEN
        RETURN NULL;
    END IF;
    UPDATE billing_voucherguess g
       SET failures = g.failures + 1, at = now(),
           next_at = turn + make_interval(secs => turn_seconds(g.failures, slow_after))
     WHERE g.subject = line;
    RETURN ceil(extract(epoch FROM turn - now()))::integer;
END $$;

-- Counts an attempt at a PIN before it is looked at. `guesser`: who tries, where that is certain ("phone 101", a phone of
-- ours; "number 42073723123", a number that a gateway vouches for); all others stand in the line of the access number.
-- `is_locked`: the PIN is not looked at.
CREATE FUNCTION login_attempt(asked text, guesser text, way text, access text, lock_after integer, lock_seconds integer,
                              slow_after integer, OUT hash text, OUT is_locked boolean, OUT delay integer)
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
    SELECT greatest(turn, pin_delay(pin_subjects(asked, guesser, way), lock_after, CASE WHEN is_locked THEN 0 ELSE 1 END),
                    max(guess_delay(g.failures, g.weight)))
      INTO delay FROM billing_voucherguess g WHERE g.subject = 'pin all' AND NOT guess_forgotten(g);
END $$;

-- The PIN was right, or not looked at: it counts for the line no longer. Its time in the line stays taken.
CREATE FUNCTION turn_returned(line text) RETURNS void LANGUAGE sql AS $$
    UPDATE billing_voucherguess SET failures = greatest(0, failures - 1) WHERE subject = line
$$;

-- The attempt was right: who was asked for starts anew. Who tried has only this attempt taken back, or whoever owns a
-- mailbox could go on trying the others' for ever.
CREATE FUNCTION login_right(asked text, guesser text, way text, access text, lock_after integer) RETURNS void
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

-- The attempt was wrong. Returns how late the answer shall be, and what deserves an alarm: every lock, once; an access
-- number that has many wrong ones, once an hour; the whole after `lock_after` times `weight`. That is written down and
-- announced too.
CREATE FUNCTION login_failed(asked text, guesser text, way text, access text, weight integer, lock_after integer,
                             slow_after integer, OUT delay integer, OUT alarms text[])
LANGUAGE plpgsql AS $$
DECLARE
    subjects text[] := pin_subjects(asked, guesser, way);
    line billing_voucherguess;
    everything billing_voucherguess;
BEGIN
    SELECT * INTO line FROM billing_voucherguess g WHERE g.subject = 'pin access ' || access AND guesser = '' FOR UPDATE;
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
    INSERT INTO billing_auditlog (actor, action, subject, details)
        SELECT 'store', 'pins.guessing', a,
               coalesce((SELECT jsonb_build_object('failures', g.failures, 'since', g.since)
                           FROM billing_voucherguess g WHERE g.subject = a),
                        (SELECT jsonb_build_object('locks', f.locks, 'locked_until', f.locked_until)
                           FROM billing_pinfailure f WHERE f.subject = ANY (subjects) AND pin_name(f.subject) = a))
          FROM unnest(alarms) AS a;
    PERFORM pg_notify('softswitch', 'guessing:' || a) FROM unnest(alarms) AS a;
END $$;
