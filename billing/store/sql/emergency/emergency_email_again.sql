-- The e-mail of a call for help is to be tried again then, for those recipients that are left; null: it is done with.
-- Not if somebody else has taken it meanwhile.
CREATE OR REPLACE FUNCTION emergency_email_again(call text, attempt integer, remaining text[], next_at timestamptz)
RETURNS void LANGUAGE sql AS $$
    UPDATE billing_emergencycall SET recipients = remaining, due_at = next_at
     WHERE call_id = call AND attempts = attempt
$$;
