-- Whether a name is an address that calls come from. The index `alias_address` has the same condition.
CREATE OR REPLACE FUNCTION is_address(name text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT name ~ '^(\d{1,3}\.){3}\d{1,3}$|:.*:'
$$;
