-- Opens the redemption of an external code, or finds the one that is open or done: under this key, or of this code for
-- the same account (who asks again takes it over). 'used': the code went to another account, or is done under another
-- key. The row is committed before the store is asked and again before it is told to deplete the voucher; the credit
-- and the end of the row are one transaction. Whatever dies in between, the row says what is owed.
CREATE OR REPLACE FUNCTION open_redemption(redemption_key text, account bigint, code_digest bytea, sealing_key integer,
                                           sealed_code bytea, lease_seconds double precision,
                                           OUT outcome text, OUT key text, OUT store text, OUT amount numeric)
LANGUAGE plpgsql AS $$
DECLARE
    found_row billing_redemption;
BEGIN
    SELECT * INTO found_row FROM billing_redemption r WHERE r.key = redemption_key;
    IF FOUND AND (found_row.digest, found_row.account_id) IS DISTINCT FROM (code_digest, account) THEN
        RAISE unique_violation USING MESSAGE = format('key %s was used for another voucher or account', redemption_key);
    END IF;
    IF found_row.key IS NULL THEN
        INSERT INTO billing_redemption AS r
               (key, account_id, state, digest, key_id, sealed, currency, due_at)
            SELECT redemption_key, account, 'pending', code_digest, sealing_key, sealed_code, b.currency,
                   now() + make_interval(secs => lease_seconds)
              FROM billing_account a JOIN billing_balance b ON b.id = a.balance_id WHERE a.id = account
            ON CONFLICT DO NOTHING RETURNING r.* INTO found_row;
    END IF;
    IF found_row.key IS NULL THEN
        SELECT * INTO found_row FROM billing_redemption r WHERE r.digest = code_digest AND r.state <> 'refused';
    END IF;
    key := found_row.key;
    store := found_row.store;
    amount := found_row.amount;
    outcome := CASE
        WHEN found_row.key IS NULL THEN 'unavailable'  -- the other one was given up this instant
        WHEN found_row.state = 'refused' THEN 'used'
        WHEN found_row.key = redemption_key THEN found_row.state
        WHEN found_row.account_id = account AND found_row.state = 'pending' THEN 'pending'
        ELSE 'used' END;
END $$;
