-- Seconds between two PINs that an access number takes from callers whom nobody vouches for: the more of them were
-- wrong in this hour, the longer.
CREATE OR REPLACE FUNCTION turn_seconds(failures integer, slow_after integer) RETURNS integer
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN failures < slow_after THEN 0 ELSE least(15, 2 ^ least(4, failures / slow_after - 1))::integer END
$$;
