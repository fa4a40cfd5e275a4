-- Where vouchers, redemptions and the ledger disagree, and what an external store still owes an answer to.
CREATE OR REPLACE FUNCTION audit_vouchers() RETURNS TABLE (finding text, subject text, expected numeric, found numeric)
LANGUAGE sql STABLE AS $$
    SELECT 'voucher and ledger disagree', coalesce('voucher ' || left(v.id, -4) || 'xxxx', left(e.key, -4) || 'xxxx'),
           v.amount, e.gain
        FROM (SELECT v.id, v.amount, a.balance_id FROM billing_voucher v
                LEFT JOIN billing_account a ON a.id = v.used_by WHERE v.used_at IS NOT NULL) v
        FULL JOIN (SELECT e.key, e.balance_id, CASE b.kind WHEN 'credit' THEN -e.amount ELSE e.amount END AS gain
                     FROM billing_ledgerentry e JOIN billing_balance b ON b.id = e.balance_id
                    WHERE e.kind = 'voucher' AND e.key LIKE 'voucher:%') e
            ON e.key = 'voucher:' || v.id AND e.balance_id = v.balance_id
        WHERE v.amount IS DISTINCT FROM e.gain
    UNION ALL
    SELECT 'external voucher and ledger disagree', coalesce('redemption ' || r.key, left(e.key, 20)), r.amount, e.gain
        FROM (SELECT r.key, r.digest, r.amount, a.balance_id FROM billing_redemption r
                LEFT JOIN billing_account a ON a.id = r.account_id
               WHERE r.state = 'done' AND r.digest IS NOT NULL) r
        FULL JOIN (SELECT e.key, e.balance_id, CASE b.kind WHEN 'credit' THEN -e.amount ELSE e.amount END AS gain
                     FROM billing_ledgerentry e JOIN billing_balance b ON b.id = e.balance_id
                    WHERE e.kind = 'voucher' AND e.key LIKE 'external:%') e
            ON e.key = 'external:' || encode(r.digest, 'hex') AND e.balance_id = r.balance_id
        WHERE r.amount IS DISTINCT FROM e.gain
    UNION ALL
    SELECT 'external voucher is pending', 'redemption ' || r.key, r.amount, NULL
        FROM billing_redemption r WHERE r.state = 'pending' AND r.created_at < now() - interval '15 minutes'
$$;
