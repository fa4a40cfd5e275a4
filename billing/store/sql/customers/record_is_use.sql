-- Trigger of records and corrections: an answered call is a use of the account that its record names, of who paid or
-- was called by a carrier. Deferred to the end of the transaction, when every call and balance that it needs is locked.
CREATE OR REPLACE FUNCTION record_is_use() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'billing_xdr' THEN
        PERFORM touch_account(NEW.account_id, NEW.answered_at, false, NEW.ended_at);
    ELSE
        PERFORM touch_account(x.account_id, NEW.answered_at, false, NEW.ended_at)
            FROM billing_xdr x WHERE x.call_id = NEW.call_id;
    END IF;
    RETURN NULL;
END $$;
