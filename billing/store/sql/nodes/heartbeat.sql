-- Says that a life goes on; no row: it was declared dead. `steady_at` is since when it has done so without a gap, and
-- since when nobody has set the clock: the last word is of a time to come where it was set back.
CREATE OR REPLACE FUNCTION heartbeat(life bigint) RETURNS SETOF bigint LANGUAGE sql AS $$
    UPDATE billing_node SET
        heartbeat_at = now(),
        steady_at = CASE WHEN heartbeat_at < now() - interval '20 s' OR heartbeat_at > now() + interval '20 s'
                         THEN now() ELSE steady_at END
        WHERE id = life AND ended_at IS NULL RETURNING id
$$;
