-- Trigger of an account to be deleted: one that took part in a redemption stays.
CREATE OR REPLACE FUNCTION account_keep_redeemed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM billing_redemption WHERE account_id = OLD.id) THEN
        RAISE integrity_constraint_violation
            USING MESSAGE = format('account %s has a history: close it instead', OLD.number);
    END IF;
    RETURN OLD;
END $$;
