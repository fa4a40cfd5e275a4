-- The account that a name leads to, once for each of the name's live bindings (or once without). `may_register`: the
-- name authenticates by itself. A plain query that the planner inlines: it is asked for every registration.
CREATE OR REPLACE FUNCTION subscriber(asked text) RETURNS TABLE (
    account_id bigint, number text, password text, terms text, may_register boolean,
    aor text, key text, contact text, received text, path text[], expires_at timestamptz, q double precision,
    call_id text, cseq bigint, instance text, reg_id integer, user_agent text, node text, socket text)
LANGUAGE sql STABLE AS $$
    SELECT a.id, a.number, a.password,
           account_terms(a.kind, a.state, c.state, a.activation_date, a.expiry_date, a.expire_after_first_use_days,
                         a.expire_after_last_use_days, u.first_used_at, u.last_used_at, u.renewed_at, c.timezone),
           alias_allows(n.allow_authentication, n.is_number, c.alias_authentication),
           b.aor, b.key, b.contact, b.received, b.path::text[], b.expires_at, b.q,
           b.call_id, b.cseq, b.instance, b.reg_id, b.user_agent, b.node, b.socket
        FROM billing_alias n
        JOIN billing_account a ON a.id = n.account_id
        JOIN billing_customer c ON c.id = a.customer_id
        LEFT JOIN billing_accountuse u ON u.account_id = a.id
            AND num_nonnulls(a.expire_after_first_use_days, a.expire_after_last_use_days) > 0
        LEFT JOIN billing_binding b ON b.aor = n.name AND b.expires_at > now()
            AND alias_allows(n.allow_authentication, n.is_number, c.alias_authentication)
        WHERE n.name = asked AND n.name NOT LIKE '%@pstn'
$$;
