-- Trigger of a balance whose credit limit changed: switches hear of its accounts. A balance moves with every call: only
-- a new limit is news, and a trigger with a column list may not see transition tables, so this one goes by row.
CREATE OR REPLACE FUNCTION limit_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM notify_accounts(array_agg(number)) FROM billing_account WHERE balance_id = NEW.id;
    RETURN NULL;
END $$;
