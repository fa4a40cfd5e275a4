-- Everything in which ledger, balances, locks, records and corrections disagree.
CREATE OR REPLACE FUNCTION audit_calls() RETURNS TABLE (finding text, subject text, expected numeric, found numeric)
LANGUAGE sql STABLE AS $$
    SELECT 'balance differs from its ledger', b.id::text, coalesce(l.total, 0), b.amount
        FROM billing_balance b
        LEFT JOIN (SELECT balance_id, sum(amount) AS total FROM billing_ledgerentry GROUP BY balance_id) l
            ON l.balance_id = b.id
        WHERE b.amount <> coalesce(l.total, 0)
    UNION ALL
    SELECT 'locks differ from live calls', b.id::text, coalesce(c.total, 0), b.locked
        FROM billing_balance b
        LEFT JOIN (SELECT balance_id, sum(locked) AS total FROM billing_activecall GROUP BY balance_id) c
            ON c.balance_id = b.id
        WHERE b.locked <> coalesce(c.total, 0)
    UNION ALL
    SELECT 'record and ledger disagree', coalesce('call:' || x.call_id, e.key), x.amount, e.charged
        FROM (SELECT call_id, balance_id, amount FROM billing_xdr WHERE amount > 0) x
        FULL JOIN (SELECT key, balance_id, abs(amount) AS charged FROM billing_ledgerentry WHERE kind = 'call') e
            ON e.key = 'call:' || x.call_id AND e.balance_id = x.balance_id
        WHERE x.amount IS DISTINCT FROM e.charged
    UNION ALL
    SELECT 'correction and ledger disagree', coalesce('correction:' || k.call_id, e.key), k.amount, e.charged
        FROM (SELECT k.call_id, x.balance_id, k.amount FROM billing_correction k
                JOIN billing_xdr x ON x.call_id = k.call_id WHERE k.amount <> 0) k
        FULL JOIN (SELECT e.key, e.balance_id, CASE b.kind WHEN 'credit' THEN e.amount ELSE -e.amount END AS charged
                     FROM billing_ledgerentry e JOIN billing_balance b ON b.id = e.balance_id
                    WHERE e.kind = 'correction') e
            ON e.key = 'correction:' || k.call_id AND e.balance_id = k.balance_id
        WHERE k.amount IS DISTINCT FROM e.charged
    UNION ALL
    SELECT 'call both live and recorded', c.call_id, NULL, NULL
        FROM billing_activecall c JOIN billing_xdr x ON x.call_id = c.call_id
$$;
