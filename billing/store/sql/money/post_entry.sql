-- Posts an entry once: the same key again changes nothing, the same key for something else is an error.
-- `gain` is what the owner of the balance gains: funds of a debit balance, less debt of a credit one.
CREATE OR REPLACE FUNCTION post_entry(entry_key text, balance bigint, gain numeric, entry_kind text, entry_note text)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    delta numeric;
    earlier billing_ledgerentry;
BEGIN
    SELECT CASE b.kind WHEN 'debit' THEN gain ELSE -gain END INTO delta
        FROM billing_balance b WHERE b.id = balance FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE foreign_key_violation USING MESSAGE = format('no balance %s', balance);
    END IF;
    SELECT * INTO earlier FROM billing_ledgerentry WHERE key = entry_key;
    IF FOUND THEN
        IF (earlier.balance_id, earlier.amount, earlier.kind) IS DISTINCT FROM (balance, delta, entry_kind) THEN
            RAISE unique_violation USING MESSAGE = format('key %s was used for another entry', entry_key);
        END IF;
        RETURN false;
    END IF;
    INSERT INTO billing_ledgerentry (key, balance_id, amount, kind, note)
        VALUES (entry_key, balance, delta, entry_kind, entry_note);
    IF gain > 0 THEN
        PERFORM notify_payers(balance);
    END IF;
    RETURN true;
END $$;
