-- The account that a name leads to, once for each of the name's live bindings (or once without). `may_register`: the
-- name authenticates by itself. A plain query that the planner inlines: it is asked for every registration.
CREATE OR REPLACE FUNCTION subscriber(asked text) RETURNS TABLE (
    account_id bigint, number text, password text, terms text, may_register boolean,
    aor text, key text, contact text, received text, path text[], expires_at timestamptz, q double precision,
    call_id text, cseq bigint, instance text, reg_id integer, user_agent text, node text, socket text)
LANGUAGE sql STABLE AS $$
    SELECT a.id, a.number, a.password, a.terms, a.may_register,
           b.aor, b.key, b.contact, b.received, b.path::text[], b.expires_at, b.q,
           b.call_id, b.cseq, b.instance, b.reg_id, b.user_agent, b.node, b.socket
        FROM account_by_name a
        LEFT JOIN billing_binding b ON b.aor = a.name AND b.expires_at > now() AND a.may_register
        WHERE a.name = asked AND a.name NOT LIKE '%@pstn'
$$;
