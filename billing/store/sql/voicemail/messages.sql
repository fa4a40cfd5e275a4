-- The present messages in a folder of a mailbox, urgent ones first, then in the order of their coming.
CREATE OR REPLACE FUNCTION messages(asked text, of_folder text) RETURNS TABLE (
    id uuid, folder text, caller text, caller_name text, received_at timestamptz, seconds double precision,
    urgent boolean, comment_of uuid)
LANGUAGE sql STABLE AS $$
    SELECT v.id, v.folder, v.caller, v.caller_name, v.received_at, v.seconds, v.urgent, v.comment_of
        FROM billing_voicemessage v
        WHERE v.account_id = mailbox_account(asked) AND v.folder = of_folder AND v.deleted_at IS NULL
        ORDER BY v.urgent DESC, v.received_at, v.id
$$;
