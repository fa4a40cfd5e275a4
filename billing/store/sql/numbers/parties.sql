-- The accounts that two names lead to; that of the second once for each live binding of what it rings. `answering` says
-- how an account takes its calls; null: it only rings. `trust`, of a calling number: see `number_trust`. `shows`: what
-- `billing_client.rules.callerid` says which numbers it may show by, beside `names`, its own. `reached`: the
-- name that the second one stands for, which of a number in the range of a trunk is the trunk's. A plain query that the
-- planner inlines: it is asked for every call.
CREATE OR REPLACE FUNCTION parties(calling text, called text) RETURNS TABLE (
    asked text, account_id bigint, number text, name text, display text, customer_id bigint, customer_name text,
    kind text, terms text, tariff_id bigint, balance_id bigint, currency text, available numeric, password text,
    via text, may_call boolean, answering text, trust text, language text, shows text, names text[], transfers text,
    extension text, plan text, place text, inside_id bigint, between_id bigint,
    reached text, aor text, key text, contact text, received text, path text[], expires_at timestamptz,
    q double precision, call_id text, cseq bigint, instance text, reg_id integer, user_agent text, node text,
    socket text)
LANGUAGE sql STABLE AS $$
    SELECT a.name, a.id, a.number, CASE WHEN a.may_register THEN a.name ELSE a.number END,
           a.display, a.customer_id, a.customer_name, a.kind, a.terms,
           p.tariff_id, f.id, f.currency, f.available, a.password,
           CASE WHEN a.is_number THEN 'account' WHEN a.name LIKE '%@pstn' THEN 'ani' WHEN a.name LIKE '%@pin' THEN 'pin'
                ELSE 'alias' END,
           a.may_register,
           CASE WHEN a.answering <> '{}' OR m.account_id > 0
                THEN (a.answering || jsonb_build_object('timezone', a.zone, 'mailbox', m.enabled))::text END,
           CASE WHEN a.name LIKE '%@pstn' THEN number_trust(a.name, a.ani, a.claimed_at) END,
           a.language,
           CASE WHEN a.trunk <> '{}' THEN (a.caller_id || jsonb_build_object('trunk', a.trunk, 'ranges', (
               SELECT jsonb_agg(jsonb_build_array(r.first, r.last) ORDER BY r.first)
                 FROM billing_numberrange r WHERE r.account_id = a.id)))::text
                WHEN a.caller_id <> '{}' THEN a.caller_id::text END,
           ARRAY(SELECT o.name FROM billing_alias o
                  WHERE o.account_id = a.id AND o.claimed_at IS NULL AND o.name NOT LIKE '%@pin'),
           a.transfers, a.extension, a.plan, a.place, p.inside_id, p.between_id, t.name,
           b.aor, b.key, b.contact, b.received, b.path::text[], b.expires_at, b.q,
           b.call_id, b.cseq, b.instance, b.reg_id, b.user_agent, b.node, b.socket
        FROM (SELECT CASE WHEN EXISTS (SELECT FROM billing_alias o WHERE o.name = called) THEN called
                          ELSE coalesce((SELECT k.number FROM billing_numberrange r
                                           JOIN billing_account k ON k.id = r.account_id
                                          WHERE int8range(r.first, r.last, '[]')
                                                @> CASE WHEN called ~ '^[1-9][0-9]{6,14}$' THEN called::bigint END),
                                        called) END AS name) t
        JOIN account_by_name a ON a.name IN (calling, t.name)
        JOIN billing_balance f ON f.id = a.balance_id
        LEFT JOIN billing_product p ON p.id = a.product_id
        LEFT JOIN billing_mailbox m ON m.account_id = a.id
        LEFT JOIN billing_binding b
            ON a.name = t.name AND b.expires_at > now()
            AND b.aor = CASE WHEN a.may_register THEN a.name ELSE a.number END
$$;
