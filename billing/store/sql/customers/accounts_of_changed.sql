-- Trigger of what belongs to accounts, once for each statement: switches hear of the accounts whose column (the
-- trigger's first word) is the changed rows' (its second).
CREATE OR REPLACE FUNCTION accounts_of_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SELECT notify_accounts(array_agg(DISTINCT a.number))
                      FROM changed JOIN billing_account a ON a.%I = changed.%I', TG_ARGV[0], TG_ARGV[1]);
    RETURN NULL;
END $$;
