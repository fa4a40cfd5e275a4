-- An e-mail is to be tried again for those recipients that are left, unless somebody else has taken it meanwhile.
CREATE OR REPLACE FUNCTION email_again(message uuid, attempt integer, remaining text[], at timestamptz) RETURNS void
LANGUAGE sql AS $$
    UPDATE billing_voiceemail SET recipients = remaining, due_at = at
        WHERE message_id = message AND attempts = attempt
$$;
