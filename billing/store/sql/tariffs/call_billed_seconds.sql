-- Charged time; the same formula as billing_client.rules.rating.billed_seconds.
CREATE OR REPLACE FUNCTION call_billed_seconds(first_increment integer, next_increment integer, seconds numeric)
RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN seconds > 0 THEN
        first_increment
        + greatest(0, ceil((ceil(seconds) - first_increment) / next_increment))::integer * next_increment
    ELSE 0 END
$$;
