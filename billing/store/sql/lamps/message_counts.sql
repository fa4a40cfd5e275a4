-- Present messages of each of these names that has a mailbox; `old` are those in all folders but "new", and urgent ones
-- count in `new` and `old` too (RFC 3842 section 5.2).
CREATE OR REPLACE FUNCTION message_counts(names text[])
RETURNS TABLE (name text, new bigint, old bigint, new_urgent bigint, old_urgent bigint) LANGUAGE sql STABLE AS $$
    SELECT n.name, c.new, c.old, c.new_urgent, c.old_urgent
        FROM unnest(names) AS asked
        JOIN billing_alias n ON n.name = asked
        JOIN billing_account a ON a.id = n.account_id
        LEFT JOIN billing_mailbox m ON m.account_id = a.id
        CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE v.folder = 'new') AS new,
                   count(*) FILTER (WHERE v.folder <> 'new') AS old,
                   count(*) FILTER (WHERE v.folder = 'new' AND v.urgent) AS new_urgent,
                   count(*) FILTER (WHERE v.folder <> 'new' AND v.urgent) AS old_urgent
                FROM billing_voicemessage v WHERE v.account_id = a.id AND v.deleted_at IS NULL) AS c
        WHERE a.kind <> 'voucher' AND coalesce(m.enabled, true)
$$;
