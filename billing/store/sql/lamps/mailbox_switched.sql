-- Trigger of a mailbox that is switched on or off: its message lamps hear of it.
CREATE OR REPLACE FUNCTION mailbox_switched() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM notify_mailboxes(ARRAY[NEW.account_id]);
    RETURN NULL;
END $$;
