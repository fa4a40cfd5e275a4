-- An e-mail was accepted by all: it is done with, and so is the message where its owner wants that.
CREATE OR REPLACE FUNCTION email_accepted(message uuid) RETURNS void LANGUAGE sql AS $$
    WITH done AS (DELETE FROM billing_voiceemail WHERE message_id = message RETURNING message_id)
    UPDATE billing_voicemessage v SET deleted_at = now()
        FROM done, billing_mailbox m
        WHERE v.id = done.message_id AND v.deleted_at IS NULL AND m.account_id = v.account_id AND m.delete_after_email
$$;
