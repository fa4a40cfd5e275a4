-- Trigger of an account whose number changed: the account's own number is among its names. `accounts_begin` does it for
-- new ones.
CREATE OR REPLACE FUNCTION account_keep_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DELETE FROM billing_alias WHERE account_id = NEW.id AND is_number;
    END IF;
    INSERT INTO billing_alias (name, account_id, allow_authentication, is_number)
        VALUES (NEW.number, NEW.id, true, true);
    RETURN NULL;
END $$;
