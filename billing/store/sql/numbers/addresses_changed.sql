-- Trigger of names, once for each statement: switches read `addresses` again if one of those that changed is an
-- address.
CREATE OR REPLACE FUNCTION addresses_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM changed WHERE is_address(name)) THEN
        PERFORM pg_notify('softswitch', 'routes');
    END IF;
    RETURN NULL;
END $$;
