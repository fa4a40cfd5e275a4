-- Takes a turn in the line of an access number; null: the line is longer than half a minute. Else seconds until the
-- turn.
CREATE OR REPLACE FUNCTION turn_taken(line text, slow_after integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    found_line billing_voucherguess;
    turn timestamptz;
BEGIN
    INSERT INTO billing_voucherguess (subject, weight) VALUES (line, 1) ON CONFLICT (subject) DO NOTHING;
    UPDATE billing_voucherguess g SET failures = 0, since = now(), next_at = NULL
        WHERE g.subject = line AND guess_forgotten(g);
    SELECT * INTO found_line FROM billing_voucherguess g WHERE g.subject = line FOR UPDATE;
    -- a turn that is further away than any can be was given before the clock was set back
    turn := CASE WHEN found_line.next_at < now() + interval '1 minute' THEN greatest(found_line.next_at, now())
                 ELSE now() END;
    IF turn > now() + interval '30 seconds' THEN
        RETURN NULL;
    END IF;
    UPDATE billing_voucherguess g
       SET failures = g.failures + 1, at = now(),
           next_at = turn + make_interval(secs => turn_seconds(g.failures, slow_after))
     WHERE g.subject = line;
    RETURN ceil(extract(epoch FROM turn - now()))::integer;
END $$;
