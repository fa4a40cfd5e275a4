-- The terms of an account's life, for whoever tells when it ends; null: nothing ends it.
CREATE OR REPLACE FUNCTION account_life(account bigint) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT terms FROM account_with_terms WHERE id = account
$$;
