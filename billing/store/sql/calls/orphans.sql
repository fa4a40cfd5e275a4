-- Calls that no living switch holds.
CREATE OR REPLACE FUNCTION orphans(most integer) RETURNS SETOF text LANGUAGE sql STABLE AS $$
    SELECT c.call_id FROM billing_activecall c
        WHERE NOT EXISTS (SELECT FROM billing_node n WHERE n.id = c.life_id AND n.ended_at IS NULL) LIMIT most
$$;
