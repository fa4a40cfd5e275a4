-- Whether a name of an account registers and calls by itself.
CREATE OR REPLACE FUNCTION alias_allows(allow_authentication boolean, is_number boolean, of_customer boolean)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT allow_authentication AND (is_number OR of_customer)
$$;
