-- Declares dead the earlier lives of this life's node and, if `silence` is given, every life that has said nothing for
-- so long. Of others only who has been heard all that time itself may judge: after the store was away nobody is.
CREATE OR REPLACE FUNCTION declare_dead(life bigint, silence interval) RETURNS void LANGUAGE sql AS $$
    UPDATE billing_node SET ended_at = now() WHERE id IN (
        SELECT n.id FROM billing_node n JOIN billing_node own ON own.id = life
            WHERE n.id <> life AND n.ended_at IS NULL
            AND (n.name = own.name AND n.id < life
                OR (n.heartbeat_at < now() - silence OR n.heartbeat_at > now() + interval '20 s')
                   AND own.steady_at < now() - silence AND own.ended_at IS NULL)
            FOR NO KEY UPDATE OF n SKIP LOCKED);
    DELETE FROM billing_node n WHERE n.ended_at < now() - interval '1 day'
        AND NOT EXISTS (SELECT FROM billing_activecall c WHERE c.life_id = n.id)
$$;
