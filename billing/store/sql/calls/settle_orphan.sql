-- Settles an orphan up to the last heartbeat of its life. False: somebody else does, or it is none.
CREATE OR REPLACE FUNCTION settle_orphan(call text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    c record;
    seconds integer;
BEGIN
    SELECT l.*, greatest(n.heartbeat_at, l.started_at, l.answered_at) AS ended_at INTO c
        FROM billing_activecall l LEFT JOIN billing_node n ON n.id = l.life_id
        WHERE l.call_id = call AND (n.id IS NULL OR n.ended_at IS NOT NULL)
        FOR UPDATE OF l SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    seconds := coalesce(call_billed_seconds(coalesce(c.first_increment, 1), coalesce(c.next_increment, 1),
        extract(epoch FROM c.ended_at - c.answered_at)), 0);
    PERFORM finish_call(call, c.ended_at, c.answered_at, seconds,
        coalesce(call_charge(c.connect_fee, c.first_increment, c.first_price, c.next_price, seconds), 0),
        41, NULL, 'orphan', c.gateway_id);
    RETURN true;
END $$;
