-- Notes a use of an account, or that it was recharged. Uses are kept to the minute, so that what calls without end
-- writes little. Nothing is moved backwards: the first use only to an earlier one that is told of later.
-- Locks the row of the account in billing_accountuse: call it last in a transaction, after balances were locked.
CREATE OR REPLACE FUNCTION touch_account(account bigint, at timestamptz, renewed boolean DEFAULT false,
                                         until timestamptz DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF renewed THEN
        INSERT INTO billing_accountuse AS u (account_id, renewed_at) VALUES (account, at)
            ON CONFLICT (account_id) DO UPDATE SET renewed_at = greatest(u.renewed_at, EXCLUDED.renewed_at);
        -- Only terms in days are news; announcements make commits wait for each other.
        PERFORM notify_accounts(array_agg(a.number)) FROM billing_account a
            WHERE a.id = account AND num_nonnulls(a.expire_after_first_use_days, a.expire_after_last_use_days) > 0;
        RETURN;
    END IF;
    until := greatest(at, until);
    IF EXISTS (SELECT FROM billing_accountuse u WHERE u.account_id = account
               AND u.first_used_at <= at AND u.last_used_at >= date_trunc('minute', until)) THEN
        RETURN;
    END IF;
    INSERT INTO billing_accountuse AS u (account_id, first_used_at, last_used_at) VALUES (account, at, until)
        ON CONFLICT (account_id) DO UPDATE SET
            first_used_at = least(u.first_used_at, EXCLUDED.first_used_at),
            last_used_at = greatest(u.last_used_at, EXCLUDED.last_used_at);
END $$;
