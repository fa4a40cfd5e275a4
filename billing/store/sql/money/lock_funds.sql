-- Takes `want` of a balance, or what there is if that is at least `minimum`, or else nothing (granted = 0).
-- The row stays locked until the transaction ends; the table's constraint holds whatever the callers do.
CREATE OR REPLACE FUNCTION lock_funds(balance bigint, want numeric, minimum numeric,
                                      OUT granted numeric, OUT owes boolean, OUT currency text)
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE billing_balance b SET locked = b.locked + want WHERE b.id = balance AND b.available >= want
        RETURNING want, b.kind = 'credit', b.currency INTO granted, owes, currency;
    IF FOUND THEN
        RETURN;
    END IF;
    SELECT least(want, b.available), b.kind = 'credit', b.currency INTO granted, owes, currency
        FROM billing_balance b WHERE b.id = balance FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE foreign_key_violation USING MESSAGE = format('no balance %s', balance);
    END IF;
    IF granted <= 0 OR granted < minimum THEN
        granted := 0;
    ELSE
        UPDATE billing_balance b SET locked = b.locked + granted WHERE b.id = balance;
    END IF;
END $$;
