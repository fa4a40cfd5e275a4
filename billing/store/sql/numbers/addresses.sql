-- The names of accounts that are addresses and tell who calls from there. They are few, and a switch keeps them in
-- memory.
CREATE OR REPLACE FUNCTION addresses() RETURNS TABLE (name text) LANGUAGE sql STABLE AS $$
    SELECT a.name FROM account_by_name a WHERE is_address(a.name) AND a.may_register
$$;
