-- Trigger of an account to be deleted: one that has calls or records of calls stays. Tables written for every call
-- check no foreign keys; this, and `balance_keep_used`, is what keeps what they point to.
CREATE OR REPLACE FUNCTION account_keep_used() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM billing_xdr WHERE account_id = OLD.id)
        OR EXISTS (SELECT FROM billing_activecall WHERE account_id = OLD.id) THEN
        RAISE integrity_constraint_violation
            USING MESSAGE = format('account %s has a history: close it instead', OLD.number);
    END IF;
    RETURN OLD;
END $$;
