-- A subject of `billing_pinfailure` as people read it: "pin account 101 by carrier *98", "pin phone 101", "pin ani
-- 420".
CREATE OR REPLACE FUNCTION pin_name(subject text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT regexp_replace(regexp_replace(regexp_replace(subject, '^mailbox ', 'pin account '),
                                         '^source number ', 'pin ani '), '^source ', 'pin ')
$$;
