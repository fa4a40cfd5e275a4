-- The external store has depleted the voucher: credits its value, once. Again it gives the same answer.
CREATE OR REPLACE FUNCTION credit_redemption(redemption_key text, OUT outcome text, OUT amount numeric,
                                             OUT currency text, OUT funds numeric, OUT available numeric, OUT life text)
LANGUAGE plpgsql AS $$
DECLARE
    row_ billing_redemption;
    balance bigint;
BEGIN
    SELECT * INTO row_ FROM billing_redemption r WHERE r.key = redemption_key FOR UPDATE;
    outcome := CASE WHEN row_.state IS NULL THEN 'unknown' WHEN row_.state = 'refused' THEN 'used' ELSE 'ok' END;
    IF outcome <> 'ok' THEN
        RETURN;
    END IF;
    IF row_.state = 'pending' THEN
        SELECT a.balance_id INTO balance FROM billing_account a WHERE a.id = row_.account_id;
        PERFORM post_entry('external:' || encode(row_.digest, 'hex'), balance, row_.amount, 'voucher', row_.store);
        UPDATE billing_redemption r
           SET state = 'done', done_at = now(), due_at = NULL, sealed = NULL, key_id = NULL, funds = b.amount,
               available = b.available
          FROM billing_balance b WHERE r.key = redemption_key AND b.id = balance RETURNING r.* INTO row_;
        PERFORM touch_account(row_.account_id, now(), true);
    END IF;
    amount := row_.amount;
    currency := row_.currency;
    funds := row_.funds;
    available := row_.available;
    life := account_life(row_.account_id);
END $$;
