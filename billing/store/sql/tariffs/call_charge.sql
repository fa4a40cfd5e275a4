-- What so many charged seconds cost. Exact until the one rounding, half up to five decimals; the same formula as
-- billing_client.rules.rating.cost. Twenty decimals before the division keep its result exact far behind the fifth.
CREATE OR REPLACE FUNCTION call_charge(connect_fee numeric, first_increment integer, first_price numeric, next_price numeric,
                                       billed_seconds integer)
RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN billed_seconds > 0 THEN
        round((connect_fee * 60 + first_increment * first_price
               + (billed_seconds - first_increment) * next_price)::numeric(60, 20) / 60, 5)
    ELSE 0 END
$$;
