-- The mailbox that a name leads to, as its owner and its callers need it; no row: there is none.
CREATE OR REPLACE FUNCTION mailbox(asked text) RETURNS TABLE (
    account_id bigint, number text, display text, language text, timezone text, has_pin boolean, ask_pin boolean,
    greetings text[], max_messages integer, operator text, new bigint, old bigint, new_urgent bigint, old_urgent bigint,
    attach text, delete_after_email boolean, terms text)
LANGUAGE sql STABLE AS $$
    SELECT a.id, a.number, a.display, a.language, coalesce(nullif(a.timezone, ''), u.timezone), coalesce(m.pin, '') <> '',
           coalesce(m.ask_pin, false),
           ARRAY(SELECT g.kind::text FROM billing_greeting g WHERE g.account_id = a.id), m.max_messages,
           coalesce(m.operator, ''), c.new, c.old, c.new_urgent, c.old_urgent,
           CASE WHEN cardinality(m.email) > 0 THEN m.attach ELSE '' END, coalesce(m.delete_after_email, false),
           account_terms(a.kind, a.state, u.state, a.activation_date, a.expiry_date, a.expire_after_first_use_days,
                         a.expire_after_last_use_days, s.first_used_at, s.last_used_at, s.renewed_at, u.timezone)
        FROM message_counts(ARRAY[asked]) c
        JOIN billing_alias n ON n.name = asked
        JOIN billing_account a ON a.id = n.account_id
        JOIN billing_customer u ON u.id = a.customer_id
        LEFT JOIN billing_mailbox m ON m.account_id = a.id
        LEFT JOIN billing_accountuse s ON s.account_id = a.id
$$;
