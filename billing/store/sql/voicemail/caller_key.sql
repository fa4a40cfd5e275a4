-- What callers of a mailbox are told apart by: digits where there are any, whichever way they were written.
CREATE OR REPLACE FUNCTION caller_key(cli text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN cli ~ '^[+0-9 ().-]*[0-9][+0-9 ().-]*$' THEN right(regexp_replace(cli, '\D', '', 'g'), 9)
                ELSE coalesce(nullif(lower(cli), ''), 'anonymous') END
$$;
