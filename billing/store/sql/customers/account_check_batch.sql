-- Trigger of a changed account: its batch is its customer's, and one of accounts.
CREATE OR REPLACE FUNCTION account_check_batch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM billing_batch
                    WHERE id = NEW.batch_id AND customer_id = NEW.customer_id AND kind = 'account') THEN
        RAISE integrity_constraint_violation
            USING MESSAGE = format('account %s: its batch is another customer''s, or holds vouchers', NEW.number);
    END IF;
    RETURN NULL;
END $$;
