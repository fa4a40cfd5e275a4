-- Trigger of `billing_adjustment`: adds `gain` to what the owner of each account's balance has, once for each number
-- and account. The entries come first, which locks nothing; then one statement moves the balances, because from there
-- to the end of the transaction calls of these accounts wait. It takes them in the order of their ids, as all do who
-- lock several: the settings leave it no way but one after the other.
CREATE OR REPLACE FUNCTION adjust_balances() RETURNS trigger LANGUAGE plpgsql
    SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    ids bigint[];
    amounts numeric[];
BEGIN
    WITH made AS (
        INSERT INTO billing_ledgerentry (key, balance_id, amount, kind)
            SELECT concat('adjustment:', NEW.number, ':', a.id), b.id,
                   CASE b.kind WHEN 'debit' THEN NEW.gain ELSE -NEW.gain END, 'adjustment'
                FROM billing_account a JOIN billing_balance b ON b.id = a.balance_id WHERE a.id = ANY (NEW.accounts)
            RETURNING balance_id, amount)
    SELECT array_agg(balance_id ORDER BY balance_id), array_agg(amount ORDER BY balance_id) INTO ids, amounts FROM made;
    UPDATE billing_balance b SET amount = b.amount + e.amount
        FROM unnest(ids, amounts) AS e (id, amount) WHERE b.id = e.id;
    RETURN NEW;
END $$;
