-- Transfers a voucher to an account, once; the caller has compared the password. Everything that may change meanwhile
-- is in the condition of the one statement that marks the voucher as used; with it in one transaction go the ledger's
-- entry, the extension of the account's life and the answer under this key. Asked again with the same key the answer is
-- the same; the same key for another voucher or account is an error.
CREATE OR REPLACE FUNCTION redeem_voucher(voucher_id text, redemption_key text, account bigint,
                                          OUT outcome text, OUT amount numeric, OUT currency text, OUT funds numeric,
                                          OUT available numeric, OUT life text)
LANGUAGE plpgsql AS $$
DECLARE
    done billing_redemption;
    payee record;
    face record;
BEGIN
    SELECT * INTO done FROM billing_redemption r WHERE r.key = redemption_key;
    IF NOT FOUND THEN
        SELECT a.balance_id, a.sub_realm, b.currency,
               recharge_refusal(a.kind, a.state, c.state) AS refusal
          INTO payee
          FROM billing_account a
          JOIN billing_balance b ON b.id = a.balance_id
          JOIN billing_customer c ON c.id = a.customer_id
         WHERE a.id = account;
        outcome := CASE WHEN FOUND THEN payee.refusal ELSE 'account' END;
        IF outcome IS NOT NULL THEN
            RETURN;
        END IF;
        UPDATE billing_voucher v SET used_at = now(), used_by = account
          FROM billing_batch k JOIN billing_customer c ON c.id = k.customer_id
         WHERE v.id = voucher_id AND k.id = v.batch_id AND v.used_at IS NULL AND v.state = 'active'
           AND NOT voucher_expired(v.expires, c.timezone)
           AND v.currency = payee.currency AND v.sub_realm = payee.sub_realm
        RETURNING v.amount, v.currency INTO face;
        IF FOUND THEN
            PERFORM post_entry('voucher:' || voucher_id, payee.balance_id, face.amount, 'voucher', '');
            INSERT INTO billing_redemption (key, account_id, state, voucher, amount, currency, funds, available,
                                            done_at)
                SELECT redemption_key, account, 'done', voucher_id, face.amount, face.currency, b.amount, b.available,
                       now()
                  FROM billing_balance b WHERE b.id = payee.balance_id
                RETURNING * INTO done;
            PERFORM touch_account(account, now(), true);  -- last: its lock comes after that of the balance
        ELSE
            SELECT * INTO done FROM billing_redemption r WHERE r.key = redemption_key;  -- by another, while we waited
            IF NOT FOUND THEN
                outcome := voucher_refusal(voucher_id, payee.currency, payee.sub_realm);
                RETURN;
            END IF;
        END IF;
    END IF;
    IF (done.voucher, done.account_id) IS DISTINCT FROM (voucher_id, account) THEN
        RAISE unique_violation USING MESSAGE = format('key %s was used for another voucher or account', redemption_key);
    END IF;
    outcome := 'ok';
    amount := done.amount;
    currency := done.currency;
    funds := done.funds;
    available := done.available;
    life := account_life(account);
END $$;
