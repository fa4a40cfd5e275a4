-- The mailbox that a name leads to, as its owner and its callers need it; no row: there is none.
CREATE OR REPLACE FUNCTION mailbox(asked text) RETURNS TABLE (
    account_id bigint, number text, display text, language text, timezone text, has_pin boolean, ask_pin boolean,
    greetings text[], max_messages integer, operator text, new bigint, old bigint, new_urgent bigint, old_urgent bigint,
    attach text, delete_after_email boolean, terms text)
LANGUAGE sql STABLE AS $$
    SELECT a.id, a.number, a.display, a.language, a.zone, coalesce(m.pin, '') <> '', coalesce(m.ask_pin, false),
           ARRAY(SELECT g.kind::text FROM billing_greeting g WHERE g.account_id = a.id), m.max_messages,
           coalesce(m.operator, ''), c.new, c.old, c.new_urgent, c.old_urgent,
           CASE WHEN cardinality(m.email) > 0 THEN m.attach ELSE '' END, coalesce(m.delete_after_email, false), a.terms
        FROM message_counts(ARRAY[asked]) c
        JOIN account_by_name a ON a.name = asked
        LEFT JOIN billing_mailbox m ON m.account_id = a.id
$$;
