-- Ends an orphan, which was answered then or not (null), at this moment and with this charge. False: somebody else
-- does, it is none, or it was answered meanwhile.
CREATE OR REPLACE FUNCTION settle_orphan(call text, answered timestamptz, ends timestamptz, seconds integer,
                                         charge numeric)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM billing_activecall c LEFT JOIN billing_node n ON n.id = c.life_id
        WHERE c.call_id = call AND (n.id IS NULL OR n.ended_at IS NOT NULL)
          AND c.answered_at IS NOT DISTINCT FROM answered
        FOR UPDATE OF c SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- Q.850 41: temporary failure.
    PERFORM finish_call(call, ends, answered, seconds, charge, 41, NULL, 'orphan', NULL, NULL);
    RETURN true;
END $$;
