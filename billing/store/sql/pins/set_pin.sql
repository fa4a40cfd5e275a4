-- Gives a mailbox a PIN (its hash); false: there is no such mailbox.
CREATE OR REPLACE FUNCTION set_pin(asked text, hashed text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    account bigint := mailbox_account(asked);
BEGIN
    IF account IS NULL THEN
        RETURN false;
    END IF;
    INSERT INTO billing_mailbox (account_id, pin) VALUES (account, hashed)
        ON CONFLICT (account_id) DO UPDATE SET pin = EXCLUDED.pin;
    RETURN true;
END $$;
