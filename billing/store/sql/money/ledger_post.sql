-- Trigger of a new entry of the ledger: it moves its balance and frees the locks that it settles, in one update of the
-- row.
CREATE OR REPLACE FUNCTION ledger_post() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE billing_balance SET amount = amount + NEW.amount, locked = locked - NEW.released WHERE id = NEW.balance_id;
    IF NOT FOUND THEN
        RAISE foreign_key_violation USING MESSAGE = format('ledger entry %s: no balance %s', NEW.key, NEW.balance_id);
    END IF;
    RETURN NULL;
END $$;
