-- Locks these until the transaction ends; null: none of that kind. This is the order of all locks of the store: whoever
-- needs several takes them in it, and those of one kind by their keys, so that nobody waits in a circle.
--
--   1. what an event is about: a live call, a voucher, a redemption, an e-mail, wrong codes and PINs by their subject;
--   2. accounts: their rows by whoever changes them; where calls are counted, an advisory lock instead. Who changes a
--      hundred thousand accounts in one transaction holds all of their rows, and no call shall wait for that;
--   3. customers, whose calls and spending are counted;
--   4. balances (`lock_funds`, `post_entry`, `ledger_post`, `adjust_balances`);
--   5. uses of accounts (`touch_account`), last of all.
CREATE OR REPLACE FUNCTION lock_in_order(calls text[], accounts bigint[], customers bigint[], balances bigint[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    account bigint;
BEGIN
    IF cardinality(calls) > 0 THEN
        PERFORM FROM billing_activecall WHERE call_id = ANY (calls) ORDER BY call_id FOR UPDATE;
    END IF;
    FOR account IN SELECT DISTINCT id FROM unnest(accounts) AS id WHERE id IS NOT NULL ORDER BY id LOOP
        PERFORM pg_advisory_xact_lock((x'61'::bigint << 48) + account);
    END LOOP;
    IF cardinality(customers) > 0 THEN
        PERFORM FROM billing_customer WHERE id = ANY (customers) ORDER BY id FOR NO KEY UPDATE;
    END IF;
    IF cardinality(balances) > 0 THEN
        PERFORM FROM billing_balance WHERE id = ANY (balances) ORDER BY id FOR NO KEY UPDATE;
    END IF;
END $$;
