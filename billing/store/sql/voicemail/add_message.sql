-- Writes a message whose sounds are there, and the e-mail that tells of it where the mailbox wants one.
CREATE OR REPLACE FUNCTION add_message(message uuid, account bigint, cli text, cli_name text, received timestamptz,
                                       length double precision, is_urgent boolean, introduced uuid)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO billing_voicemessage (id, account_id, folder, caller, caller_name, received_at, seconds, urgent,
                                      comment_of)
        VALUES (message, account, 'new', cli, cli_name, received, length, is_urgent, introduced);
    INSERT INTO billing_voiceemail (message_id, recipients, due_at)
        SELECT message, m.email, now() FROM billing_mailbox m WHERE m.account_id = account AND cardinality(m.email) > 0;
$$;
