-- Calls that no living switch holds, up to `most`, with what their charge rests on: they end with the last sign of
-- life of their switch. `billing_client` charges them, and `settle_orphan` ends them.
CREATE OR REPLACE FUNCTION orphans(most integer) RETURNS TABLE (
    call_id text, answered_at timestamptz, ended_at timestamptz, connect_fee numeric, first_increment integer,
    next_increment integer, first_price numeric, next_price numeric)
LANGUAGE sql STABLE AS $$
    SELECT c.call_id, c.answered_at, greatest(n.heartbeat_at, c.started_at, c.answered_at), c.connect_fee,
           c.first_increment, c.next_increment, c.first_price, c.next_price
        FROM billing_activecall c LEFT JOIN billing_node n ON n.id = c.life_id
        WHERE n.id IS NULL OR n.ended_at IS NOT NULL LIMIT most
$$;
