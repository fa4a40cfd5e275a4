-- Keeps a greeting of a mailbox, or forgets it (null); false: there is no such mailbox.
CREATE OR REPLACE FUNCTION set_greeting(asked text, which text, sound_format text, sound bytea, length double precision)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    account bigint := mailbox_account(asked);
BEGIN
    IF account IS NULL THEN
        RETURN false;
    END IF;
    IF sound IS NULL THEN
        DELETE FROM billing_greeting WHERE account_id = account AND kind = which;
    ELSE
        INSERT INTO billing_greeting (account_id, kind, format, data, seconds)
            VALUES (account, which, sound_format, sound, length)
            ON CONFLICT (account_id, kind)
            DO UPDATE SET format = EXCLUDED.format, data = EXCLUDED.data, seconds = EXCLUDED.seconds;
    END IF;
    RETURN true;
END $$;
