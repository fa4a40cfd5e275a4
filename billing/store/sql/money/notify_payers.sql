-- Tells switches that a balance has gained, by the accounts whose calls it pays for now: who is short asks again.
CREATE OR REPLACE FUNCTION notify_payers(balance bigint) RETURNS void LANGUAGE sql AS $$
    SELECT notify_accounts(array_agg(DISTINCT a.number::text))
        FROM billing_activecall c JOIN billing_account a ON a.id = c.account_id
        WHERE c.balance_id = balance HAVING count(*) > 0
$$;
