-- Trigger of a balance to be deleted: one that was used stays. Tables written for every call check no foreign keys;
-- this, and `account_keep_used`, is what keeps what they point to.
CREATE OR REPLACE FUNCTION balance_keep_used() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.locked <> 0 OR EXISTS (SELECT FROM billing_ledgerentry WHERE balance_id = OLD.id) THEN
        RAISE integrity_constraint_violation
            USING MESSAGE = format('balance %s has a history: close it instead', OLD.id);
    END IF;
    RETURN OLD;
END $$;
