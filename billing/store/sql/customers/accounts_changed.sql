-- Trigger of accounts, once for each statement: switches hear which have changed. New ones are told of too: somebody
-- may remember that they do not exist.
CREATE OR REPLACE FUNCTION accounts_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM notify_accounts(array_agg(DISTINCT number)) FROM changed;
    RETURN NULL;
END $$;
