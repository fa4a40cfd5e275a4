-- The owner wants the e-mail of a message (again): false where the mailbox has no address. One that is queued stays.
CREATE OR REPLACE FUNCTION email_message(message uuid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    addresses text[];
BEGIN
    SELECT m.email INTO addresses
        FROM billing_voicemessage v JOIN billing_mailbox m ON m.account_id = v.account_id
        WHERE v.id = message AND v.deleted_at IS NULL;
    IF coalesce(cardinality(addresses), 0) = 0 THEN
        RETURN false;
    END IF;
    INSERT INTO billing_voiceemail (message_id, recipients, due_at) VALUES (message, addresses, now())
        ON CONFLICT (message_id) DO NOTHING;
    RETURN true;
END $$;
