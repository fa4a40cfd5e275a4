-- What the life of an account rests on as JSON, in the order of `billing_client.rules.lifecycle.LifeTerms`, which decides;
-- null: nothing forbids the use, ever.
CREATE OR REPLACE FUNCTION account_terms(
    kind text, state text, customer_state text, activation date, expiry date, first_days integer, last_days integer,
    first_used timestamptz, last_used timestamptz, renewed timestamptz, zone text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN kind = 'voucher' OR state <> 'active' OR customer_state <> 'active'
                  OR num_nonnulls(activation, expiry, first_days, last_days) > 0
        THEN json_build_array(kind, state, customer_state, activation, expiry, first_days, last_days,
                              extract(epoch FROM first_used), extract(epoch FROM last_used),
                              extract(epoch FROM renewed), zone)::text END
$$;
