-- The accounts that two names lead to; that of the second once for each live binding of what it rings. `answering` says
-- how an account takes its calls; null: it only rings. `trust`, of a calling number: see `number_trust`. A plain query
-- that the planner inlines: it is asked for every call.
CREATE OR REPLACE FUNCTION parties(calling text, called text) RETURNS TABLE (
    asked text, account_id bigint, number text, name text, display text, customer_id bigint, customer_name text,
    kind text, terms text, tariff_id bigint, balance_id bigint, currency text, available numeric, password text,
    via text, may_call boolean, answering text, trust text, language text,
    aor text, key text, contact text, received text, path text[], expires_at timestamptz, q double precision,
    call_id text, cseq bigint, instance text, reg_id integer, user_agent text, node text, socket text)
LANGUAGE sql STABLE AS $$
    SELECT n.name, a.id, a.number,
           CASE WHEN alias_allows(n.allow_authentication, n.is_number, c.alias_authentication)
                THEN n.name ELSE a.number END,
           a.display, c.id, c.name, a.kind,
           account_terms(a.kind, a.state, c.state, a.activation_date, a.expiry_date, a.expire_after_first_use_days,
                         a.expire_after_last_use_days, u.first_used_at, u.last_used_at, u.renewed_at, c.timezone),
           p.tariff_id, f.id, f.currency, f.available, a.password,
           CASE WHEN n.is_number THEN 'account' WHEN n.name LIKE '%@pstn' THEN 'ani' WHEN n.name LIKE '%@pin' THEN 'pin'
                ELSE 'alias' END,
           alias_allows(n.allow_authentication, n.is_number, c.alias_authentication),
           CASE WHEN a.answering <> '{}' OR m.account_id > 0
                THEN (a.answering || jsonb_build_object('timezone', coalesce(nullif(a.timezone, ''), c.timezone),
                                                        'mailbox', m.enabled))::text END,
           CASE WHEN n.name LIKE '%@pstn' THEN number_trust(n.name, a.ani, n.claimed_at) END,
           a.language,
           b.aor, b.key, b.contact, b.received, b.path::text[], b.expires_at, b.q,
           b.call_id, b.cseq, b.instance, b.reg_id, b.user_agent, b.node, b.socket
        FROM billing_alias n
        JOIN billing_account a ON a.id = n.account_id
        JOIN billing_customer c ON c.id = a.customer_id
        JOIN billing_balance f ON f.id = a.balance_id
        LEFT JOIN billing_accountuse u ON u.account_id = a.id
            AND num_nonnulls(a.expire_after_first_use_days, a.expire_after_last_use_days) > 0
        LEFT JOIN billing_product p ON p.id = a.product_id
        LEFT JOIN billing_mailbox m ON m.account_id = a.id
        LEFT JOIN billing_binding b
            ON n.name = called AND b.expires_at > now()
            AND b.aor = CASE WHEN alias_allows(n.allow_authentication, n.is_number, c.alias_authentication)
                             THEN n.name ELSE a.number END
        WHERE n.name IN (calling, called)
$$;
