-- The queue of e-mails that tell of messages.

-- Takes up to `most` e-mails that are due, for `lease_seconds` in which nobody else takes them, with all that is needed
-- to write them. `attempts` counts this one.
CREATE FUNCTION take_emails(at timestamptz, lease_seconds double precision, most integer) RETURNS TABLE (
    message_id uuid, attempts integer, queued_at timestamptz, recipients text[], number text, display text,
    language text, timezone text, attach text, caller text, caller_name text, received_at timestamptz,
    seconds double precision, urgent boolean, format text, data bytea, introduced_format text, introduced_data bytea)
LANGUAGE sql AS $$
    WITH due AS (
        SELECT e.message_id FROM billing_voiceemail e WHERE e.due_at <= at ORDER BY e.due_at LIMIT most
        FOR UPDATE SKIP LOCKED),
    taken AS (
        UPDATE billing_voiceemail e SET attempts = e.attempts + 1, due_at = at + make_interval(secs => lease_seconds)
            FROM due WHERE e.message_id = due.message_id
        RETURNING e.message_id, e.attempts, e.queued_at, e.recipients)
    SELECT t.message_id, t.attempts, t.queued_at, t.recipients::text[], a.number, a.display, a.language, a.timezone,
           coalesce(m.attach, 'wav'), v.caller, v.caller_name, v.received_at, v.seconds, v.urgent,
           s.format, CASE WHEN m.attach <> 'none' THEN s.data END,
           i.format, CASE WHEN m.attach <> 'none' THEN i.data END
        FROM taken t
        JOIN billing_voicemessage v ON v.id = t.message_id
        JOIN billing_account a ON a.id = v.account_id
        LEFT JOIN billing_mailbox m ON m.account_id = a.id
        LEFT JOIN billing_voicesound s ON s.id = v.id
        LEFT JOIN billing_voicesound i ON i.id = v.comment_of
        ORDER BY t.queued_at
$$;

-- An e-mail was accepted by all: it is done with, and so is the message where its owner wants that.
CREATE FUNCTION email_accepted(message uuid) RETURNS void LANGUAGE sql AS $$
    WITH done AS (DELETE FROM billing_voiceemail WHERE message_id = message RETURNING message_id)
    UPDATE billing_voicemessage v SET deleted_at = now()
        FROM done, billing_mailbox m
        WHERE v.id = done.message_id AND v.deleted_at IS NULL AND m.account_id = v.account_id AND m.delete_after_email
$$;

-- An e-mail is to be tried again for those recipients that are left, unless somebody else has taken it meanwhile.
CREATE FUNCTION email_again(message uuid, attempt integer, remaining text[], at timestamptz) RETURNS void
LANGUAGE sql AS $$
    UPDATE billing_voiceemail SET recipients = remaining, due_at = at
        WHERE message_id = message AND attempts = attempt
$$;

-- The owner wants the e-mail of a message (again): false where the mailbox has no address. One that is queued stays.
CREATE FUNCTION email_message(message uuid) RETURNS boolean LANGUAGE plpgsql AS $$
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

-- Forgets e-mails that nobody has sent for long, as where no server is configured; returns how many.
CREATE FUNCTION prune_emails(most integer) RETURNS integer LANGUAGE sql AS $$
    WITH gone AS (
        DELETE FROM billing_voiceemail WHERE message_id IN (
            SELECT message_id FROM billing_voiceemail
                WHERE due_at < now() - interval '1 hour' AND queued_at < now() - interval '25 hours'
                ORDER BY due_at LIMIT most FOR UPDATE SKIP LOCKED)
        RETURNING 1)
    SELECT count(*)::integer FROM gone
$$;
