-- Trigger of messages, once for each statement: message lamps hear of every change.
CREATE OR REPLACE FUNCTION mailboxes_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM notify_mailboxes(array_agg(DISTINCT account_id)) FROM changed WHERE deleted_at IS NULL OR TG_OP = 'UPDATE';
    RETURN NULL;
END $$;
