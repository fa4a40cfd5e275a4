-- The number of the account whose range a public number is in; null: nobody's. No two ranges have a number in common.
CREATE OR REPLACE FUNCTION number_in_range(called text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT a.number FROM billing_numberrange r JOIN billing_account a ON a.id = r.account_id
     WHERE int8range(r.first, r.last, '[]') @> CASE WHEN called ~ '^[1-9][0-9]{6,14}$' THEN called::bigint END
$$;
