-- Until the transaction ends nobody else counts the calls of these accounts; null: none. An advisory lock, not that of
-- the rows: who changes a hundred thousand accounts in one transaction holds all of their rows, and no call shall wait
-- for that. In the order of their ids, and before customers and balances, so that nobody waits in a circle.
CREATE OR REPLACE FUNCTION count_accounts_alone(ids bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    account bigint;
BEGIN
    FOR account IN SELECT DISTINCT id FROM unnest(ids) AS id WHERE id IS NOT NULL ORDER BY id LOOP
        PERFORM pg_advisory_xact_lock((x'61'::bigint << 48) + account);
    END LOOP;
END $$;
