-- Takes up to `most` e-mails that are due, for `lease_seconds` in which nobody else takes them, with all that is needed
-- to write them. `attempts` counts this one.
CREATE OR REPLACE FUNCTION take_emails(at timestamptz, lease_seconds double precision, most integer) RETURNS TABLE (
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
    SELECT t.message_id, t.attempts, t.queued_at, t.recipients::text[], a.number, a.display, a.language,
           a.zone, coalesce(m.attach, 'wav'), v.caller, v.caller_name, v.received_at, v.seconds, v.urgent,
           s.format, CASE WHEN m.attach <> 'none' THEN s.data END,
           i.format, CASE WHEN m.attach <> 'none' THEN i.data END
        FROM taken t
        JOIN billing_voicemessage v ON v.id = t.message_id
        JOIN account_with_terms a ON a.id = v.account_id
        LEFT JOIN billing_mailbox m ON m.account_id = a.id
        LEFT JOIN billing_voicesound s ON s.id = v.id
        LEFT JOIN billing_voicesound i ON i.id = v.comment_of
        ORDER BY t.queued_at
$$;
